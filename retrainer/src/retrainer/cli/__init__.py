"""The console command.

In:    what is typed: a command and its options.
Out:   what it prints, as text or JSON, and an exit code: 2 for a configuration, 1 for a run that failed.
Never: imports at its start what only one command needs; shows a traceback for an error that a person can fix.
"""

from ._app import app, main

__all__ = ["app", "main"]
