"""Send a test message to Slack and save its block, as `<< cookiecutter.project_slug >> setup slack`."""

import sys

try:
    from << cookiecutter.package_name >>.__main__ import main
except ModuleNotFoundError as error:
    sys.exit(f"{error}. Run it with the project's own Python: .venv/bin/python setup_slack.py")

if __name__ == "__main__":
    sys.argv[1:] = ["setup", "slack"]
    main()
