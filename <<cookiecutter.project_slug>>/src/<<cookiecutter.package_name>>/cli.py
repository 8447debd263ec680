"""The console command. Heavy imports happen inside the commands, so that help and listings are quick."""

import datetime
import json
import sys
from typing import Annotated, Any

from cyclopts import App, Parameter

from .errors import ProjectError

app = App(help="Retrain the model, promote what is better, and look into the registry.")
registry_app = App(name="registry", help="What was trained, what was decided, and why.")
app.command(registry_app)

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print the facts as JSON.")]
VersionName = Annotated[str, Parameter(help="A version, its first characters, `champion` or `staging`.")]


@app.command
def retrain(
    *,
    source: Annotated[str | None, Parameter(help="Another source than data.source of the settings.")] = None,
    as_of: Annotated[
        datetime.datetime | None, Parameter(help="The moment that dates in the source stand for.")
    ] = None,
    accept_incomparable: Annotated[
        bool, Parameter(negative="", help="Let a challenger replace a champion it cannot be compared with.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train on fresh data, compare with production, promote only what is really better.

    Examples:

        retrain

        retrain --source data/2026-10.parquet --json
    """
    settings = get_settings()
    from .flows import retrain as flow

    facts = flow(source=source, as_of=as_of, accept_incomparable=accept_incomparable)
    if as_json:
        _print_json(facts)
    else:
        _print_outcome(facts, settings)


@registry_app.command(name="list")
def list_versions(*, as_json: AsJson = False) -> None:
    """List the versions, newest first, with their metric and what was decided."""
    from .registry import open_registry

    settings = get_settings()
    registry = open_registry(settings)
    facts = registry.overview()
    if as_json:
        _print_json(facts)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{COMMAND}: versions", title_justify="left")
    for heading in ("version", settings.metric, "verdict", "decided (UTC)", "now"):
        table.add_column(heading, justify="right" if heading == settings.metric else "left")
    for fact in facts:
        table.add_row(
            fact["version"],
            f"{fact['metrics'].get(settings.metric, float('nan')):.4f}",
            fact["verdict"],
            fact["decided_at"][:16].replace("T", " "),
            fact["role"],
        )
    Console().print(table)


def _print_json(facts: Any) -> None:
    json.dump(facts, sys.stdout, indent=2, default=str)
    print()


def main() -> None:
    """Run the command line; an error meant for a person ends it with its message and exit code."""
    try:
        app()
    except ProjectError as error:
        print(f"{COMMAND}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
