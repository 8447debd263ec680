"""The console command without an installation: `python -m <package>.cli`."""

from . import main

main()
