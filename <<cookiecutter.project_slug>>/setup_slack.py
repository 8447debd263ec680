"""Save the Slack block and send a test message, as `<< cookiecutter.project_slug >> setup slack`."""

import sys

try:
    from << cookiecutter.package_name >>.cli import main
except ModuleNotFoundError as error:
    sys.exit(f"{error}. Run it with the project's own Python: .venv/bin/python setup_slack.py")

if __name__ == "__main__":
    sys.argv[1:] = ["setup", "slack"]
    main()
