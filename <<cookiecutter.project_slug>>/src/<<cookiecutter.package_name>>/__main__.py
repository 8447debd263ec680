"""The console command; `python -m <package>` is the same without an installation."""

from types import ModuleType

from . import project
from .retrainer import cli


def _flows() -> ModuleType:
    from . import flows  # imports Prefect, which not every command needs

    return flows


def main() -> None:
    """Run the command line."""
    cli.main(project, flows=_flows)


if __name__ == "__main__":
    main()
