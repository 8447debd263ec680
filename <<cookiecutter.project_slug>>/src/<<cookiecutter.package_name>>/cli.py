"""The console command. Heavy imports happen inside the commands, so that help and listings are quick."""

import atexit
import datetime
import gc
import io
import json
import logging
import math
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from . import optional
from .errors import ProjectError, RegistryError, files_explained

if TYPE_CHECKING:
    from . import reporting
    from .registry import Record, Registry, Version

NARROWEST = 60  # columns of a terminal in which a table still reads well
BARS = "▁▂▃▄▅▆▇█"
BY_HAND = "by hand"

# Without PREFECT_API_URL, Prefect starts a server for the time of the run. It records the run, and does without what
# only a server that stays needs. No command reports its use to Prefect's makers.
SERVER_OF_ONE_RUN = {
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_EVENTS_STREAM_OUT_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # a busy machine takes longer than the 20 of Prefect
}
UNREPORTED = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
HELP = """Retrain the model, promote what is better, and look into the registry.

For example:
  retrain --as-of 2026-10-01         as if it were October
  score --source new.csv --json      predict another table
  registry explain champion          why this one is in production
  registry rollback                  put the one before back
  doctor                             what is wrong now
"""

app = App(help=HELP, help_format="plaintext")
app.register_install_completion_command(add_to_startup=False)
registry_app = App(name="registry", help="What was trained, what was decided, and why.")
app.command(registry_app)

setup_app = App(name="setup", help="What a project needs once.")
app.command(setup_app)

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print the facts as JSON.")]
SourceName = Annotated[str | None, Parameter(help="Another source than the one of the settings.")]
AsOf = Annotated[datetime.datetime | None, Parameter(help="The moment that dates in the source stand for.")]
Reason = Annotated[str, Parameter(help="Why: recorded, and sent to the team.")]
VersionName = Annotated[str, Parameter(help="A version or the beginning of one, `champion` or `staging`.")]


@app.command
def retrain(
    *,
    source: SourceName = None,
    as_of: AsOf = None,
    accept_not_comparable: Annotated[
        bool, Parameter(negative="", help="Let a challenger replace a champion it cannot be compared with.")
    ] = False,
    dry_run: Annotated[
        bool, Parameter(negative="", help="Decide and draw the report, and leave the registry as it is.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train on fresh data, compare with production, promote only what is really better."""
    facts = _run(
        "retrain",
        source=source,
        as_of=as_of,
        accept_not_comparable=accept_not_comparable,
        dry_run=dry_run,
    )
    if as_json:
        _print_json(facts)
        return
    from rich.panel import Panel

    summary = f"{facts['reason']}\n\nchallenger {facts['version']}: {_scores(facts['metrics'])}"
    summary += f"\nwithout a model, {facts['baseline']['name']}: {_scores(facts['baseline']['metrics'])}"
    if threshold := facts["threshold"]:
        tuned = f", tuned for {threshold['tuned_for']}" if "tuned_for" in threshold else ""
        summary += (
            f"\n{threshold['positive']} is predicted from a probability of {threshold['value']:g} on{tuned}"
        )
    if refit := facts["refit"]:
        again = (
            f"failed: {refit['failed']}" if "failed" in refit else f"on all {refit['rows']:,} labelled rows"
        )
        summary += f"\nfitted once more, to serve: {again}"
    title = f"dry run, nothing is recorded: {facts['verdict']}" if dry_run else facts["verdict"]
    _print(Panel(summary, title=title, title_align="left"))
    for alarm in facts["alarms"]:
        _print(f"to look at     {alarm}")
    _print(f"in production  {facts['champion'] or 'no model yet'}")
    for name, reason in facts["held"].items():
        _print(f"on hold        {name} ({reason})")
    _print(f"report         {facts['report'] or 'missing: ' + facts['report_error']}")
    _print(f"registry       {facts['registry']}")


@app.command
def score(*, source: SourceName = None, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Let the model in production predict a table: that of score.source, or else the one it is trained on."""
    facts = _run("score", source=source, as_of=as_of)
    if as_json:
        _print_json(facts)
    else:
        _print(f"{facts['rows']:,} rows of {facts['source']} scored by {facts['version']}: {facts['path']}")
        if facts["training_table"]:
            _print(
                "That is the table the model is trained on. Another: --source, or score.source in config.toml."
            )


@app.command
def monitor(*, source: SourceName = None, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Compare new data with the training data, and trigger a retrain when drift is sustained."""
    window = _run("monitor", source=source, as_of=as_of)
    if as_json:
        _print_json(window)
    else:
        _print(window["reason"] + (" A retrain is triggered." if window["retrain"] else ""))
        _print(f"report         {window['report'] or 'missing: ' + window['report_error']}")


@app.command
def doctor(
    *,
    send: Annotated[bool, Parameter(negative="", help="Also send a test message to the team.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check settings, data, registry, server, deployment and messages; ends with 2 on an error, 1 on a warning."""
    from .doctor import examine

    checks = examine(send=send)
    if as_json:
        _print_json([vars(check) for check in checks])
    else:
        from rich.table import Column, Table
        from rich.text import Text

        for check in checks:
            colour = {"ok": "green", "warning": "yellow", "error": "red"}[check.severity]
            line = Table.grid(Column(width=7), Column(width=12), Column(), padding=(0, 1))
            line.add_row(Text(check.severity, style=colour), check.name, check.found)
            if check.severity != "ok":
                line.add_row("", "Fix:", check.fix + (":" if check.command else ""))
            _print(line)
            if check.command:
                _print(f"    {check.command}")
    severities = {check.severity for check in checks}
    if "error" in severities:
        sys.exit(2)
    sys.exit(1 if "warning" in severities else 0)


@setup_app.command
def slack() -> None:
    """Save the Slack webhook (SLACK_WEBHOOK_URL, or asked for) as a Prefect block, and send a test message."""
    from .orchestration import set_up_slack

    set_up_slack()


@registry_app.command(name="list")
def list_versions(*, as_json: AsJson = False) -> None:
    """List the versions, newest first: their score and what was decided."""
    registry = _registry()
    champion, staging, held = registry.champion(), registry.staging(), registry.held()
    decisions, by_people = registry.decisions(), ("rolled_back", "held", "released")
    verdicts = {record.version: record for record in decisions if record.verdict not in by_people}
    facts: list[dict[str, Any]] = [
        {
            "version": version.id,
            "created_at": version.created_at,
            "metric": version.metric,
            "score": version.metrics.get(version.metric),
            "verdict": verdicts[version.id].verdict if version.id in verdicts else "undecided",
            "now": [
                place
                for place, ids in (
                    ("champion", [champion and champion.id]),
                    ("staging", [staging and staging.id]),
                    ("on hold", held),
                )
                if version.id in ids
            ],
        }
        for version in reversed(registry.versions())
    ]
    if as_json:
        _print_json(facts)
        return
    if not facts:
        _print("There is no version yet: `retrain` trains the first one.")
        return
    from rich.table import Column, Table

    from .gate import known_metric

    wide = {"verdict": 10, "now": 8}  # so that no word is cut in a terminal of 60 columns
    table = Table(
        Column("version", no_wrap=True),
        "metric",
        "score",
        *(Column(name, min_width=width) for name, width in wide.items()),
        box=None,
        padding=(0, 1, 0, 0),
    )
    for fact, before in zip(facts, [*facts[1:], {}], strict=True):
        score = "" if fact["score"] is None else f"{fact['score']:.4f}"
        if before.get("metric") == fact["metric"]:
            score += _change(before["score"], fact["score"])
        label = known_metric(fact["metric"]).label
        table.add_row(fact["version"], label, score, fact["verdict"], ", ".join(fact["now"]))
    _print(table)
    metric = facts[0]["metric"]
    scores = [
        fact["score"] for fact in reversed(facts) if fact["metric"] == metric and fact["score"] is not None
    ]
    if len(scores) > 1:
        label = known_metric(metric).label
        _print(f"{_sparkline(scores[-60:])}  {label}, oldest first; each on the holdout of its time")
    for name, reason in held.items():
        _print(f"on hold: {name} ({reason}); `registry release {name}` lifts it")
    if decisions and len(decisions) < decisions[-1].sequence:
        _print("Some decisions cannot be read: `registry verify` names them.")


@registry_app.command
def show(version: VersionName = "champion", *, as_json: AsJson = False) -> None:
    """Show a version: its metrics and where it comes from."""
    shown = _registry().version(version)
    if as_json:
        _print_json(vars(shown))
        return
    _print(f"{shown.id}, trained {shown.created_at}")
    for name, value in shown.metrics.items():
        _print(f"  {name:<18} {value:.4f}")
    _print_json(shown.lineage)


@registry_app.command
def explain(
    version: Annotated[str | None, Parameter(help="A version; the one decided last if left out.")] = None,
    *,
    as_json: AsJson = False,
    markdown: Annotated[bool, Parameter(negative="", help="Print it as Markdown.")] = False,
) -> None:
    """Explain why a version was promoted or not: the verdict, the reason, each criterion with its numbers."""
    registry = _registry()
    record = _decision(registry, version)
    if as_json:
        _print_json(vars(record))
        return
    from .gate import Decision

    text = Decision.from_dict(record.decision).explain()
    later = [decision for decision in registry.decisions() if decision.sequence > record.sequence]
    sentences = (_by_hand(decision, about=record.version) for decision in reversed(later))
    if by_hand := [sentence for sentence in sentences if sentence]:
        text = "\n".join([*by_hand, f"  The gate, decision {record.sequence}: {text}"])
    if record.version in registry.held():
        text += f"\n  On hold: a challenger must be better than it too; `registry release {record.version}` lifts it."
    if markdown:
        from .reporting import escaped

        reason, *lines = map(escaped, text.splitlines())
        print("\n".join([f"### {record.version}\n\n{reason}\n", *(f"- {line}" for line in lines)]))
    else:
        _print(f"{record.version} {text}")


@registry_app.command
def compare(
    version: VersionName,
    other: VersionName = "champion",
    *,
    output: Annotated[Path | None, Parameter(help="Where to write the comparison as a page.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a version with another one on today's holdout, on rows neither was trained on; nothing is recorded."""
    from . import reporting
    from .comparison import compare_versions
    from .settings import get_settings

    facts = compare_versions(version, other, settings=get_settings())
    if as_json:
        _print_json(facts.decision.to_dict() | {"version": facts.version.id, "scores": facts.scores})
    else:
        _print(facts.decision.explain())
        for table in reporting.scores(facts).tables:
            _print_table(table)
    if output:
        with files_explained(output):
            output.write_text(reporting.page(facts, reporting.sections(facts)), encoding="utf-8")
        if not as_json:
            _print(f"Written: {output.resolve()}")


@registry_app.command
def report(
    *, output: Annotated[Path, Parameter(help="Where to write the page.")] = Path("history.html")
) -> None:
    """Write the model history as one page: its score over time, promotions, rejections, rollbacks, data sizes."""
    from .reporting import history
    from .settings import get_settings

    registry = _registry()
    page = history(registry.versions(), registry.decisions(), project=get_settings().project)
    with files_explained(output):
        output.write_text(page, encoding="utf-8")
    _print(f"Written: {output.resolve()}")


@registry_app.command
def verify(*, as_json: AsJson = False) -> None:
    """Check every file, digest and pointer of the registry; ends with 1 if a promise is broken."""
    problems = _registry().verify()
    errors = [problem for problem in problems if problem.severity == "error"]
    if as_json:
        _print_json([vars(problem) for problem in problems])
    else:
        for problem in problems:
            _print(f"{problem.severity}: {problem}")
        _print(f"{len(errors)} errors" if errors else "The registry is complete and undamaged.")
    sys.exit(1 if errors else 0)


@registry_app.command
def rollback(
    *,
    to: Annotated[str | None, Parameter(help="The version to put back.")] = None,
    reason: Annotated[str, Parameter(help="Why: recorded, and sent to the team.")] = "",
) -> None:
    """Put the champion before this one back, and the one it replaces on hold: no retrain promotes its like again."""
    registry = _registry()
    _tell(registry.rollback(to, reason=reason, check=lambda chosen: _check_usable(registry, chosen)))


@registry_app.command
def promote(version: VersionName = "staging", *, reason: Reason = BY_HAND) -> None:
    """Put a version into production by hand, whatever the gate decided."""
    registry = _registry()
    _tell(registry.promote(version, reason=reason, check=lambda chosen: _check_usable(registry, chosen)))


@registry_app.command
def hold(version: VersionName, *, reason: Reason = BY_HAND) -> None:
    """Put a version on hold: from now on a challenger must be better than it too, beside the champion."""
    _tell(_registry().hold(version, reason=reason))


@registry_app.command
def release(version: VersionName, *, reason: Reason = BY_HAND) -> None:
    """Lift the hold of a version."""
    _tell(_registry().release(version, reason=reason))


def _run(flow: str, **parameters: Any) -> Any:
    """Run a flow of the project here and now, as quickly as whoever typed the command expects.

    Imports fill the memory with objects that stay: looking for garbage among them, again and again, would take longer
    than a small training. No heartbeats are sent: the person sees it die, and they round a run up to whole seconds.
    """
    from .settings import source_parameter

    source_parameter(parameters.get("source"))  # before Prefect stores it
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    with files_explained(home):  # Prefect would look for its server for minutes
        home.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=home).close()
    for name, value in SERVER_OF_ONE_RUN.items():
        os.environ.setdefault(name, value)
    gc.disable()
    from prefect import tags
    from prefect.logging.configuration import setup_logging
    from prefect.logging.handlers import PrefectConsoleHandler
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from . import flows

    gc.freeze()
    gc.enable()
    setup_logging()
    for handler in logging.getLogger().handlers:
        if isinstance(handler, PrefectConsoleHandler):
            handler.addFilter(_not_said_by_the_command)
    try:
        _start_server()
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), tags(_project()):
            return getattr(flows, flow)(**parameters)
    except RuntimeError as error:
        if not str(error).startswith("Failed to reach API"):
            raise
        raise ProjectError(
            f"{error} Start the server (make server), or unset PREFECT_API_URL for a run with a server of its own."
        ) from None


def _start_server() -> None:
    """Start the server of one run, where none is set, so that Ctrl-C does not end it: it is to record that.

    A terminal sends Ctrl-C to all processes of a command. A process keeps signals blocked that were when it began.
    """
    from prefect.settings import PREFECT_API_URL

    if PREFECT_API_URL.value():
        return
    from prefect.server.api.server import SubprocessASGIServer

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        SubprocessASGIServer().start()  # the one that Prefect uses from now on
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _not_said_by_the_command(record: logging.LogRecord) -> bool:
    """Leave a failure to the command's last line, which says it once; the server's log keeps every line."""
    text = record.getMessage()
    repeated = text.startswith("Encountered exception") and not record.exc_info
    return not (repeated or text.startswith(("Finished in state Failed", "Running hook", "Hook ")))


def _project() -> str:
    from .settings import PACKAGE, get_settings

    try:
        return get_settings().project
    except ProjectError:  # the flow itself says so, and sends the message
        return PACKAGE


def _registry() -> "Registry":
    from .registry import open_registry
    from .settings import get_settings

    return open_registry(get_settings())


def _tell(record: "Record") -> None:
    """Print and send what a person decided."""
    from .orchestration import by_hand_message, send
    from .settings import get_settings

    settings = get_settings()
    message = by_hand_message(project=settings.project, record=record)
    _print(str(message))
    send(message, block=settings.notifications.block, logger=logging.getLogger(__name__))


def _check_usable(registry: "Registry", version: "Version") -> None:
    """Refuse to put a version into production that cannot predict here and now."""
    from .training import NoContractError, load_model

    try:
        load_model(registry, version)
    except NoContractError:
        raise RegistryError(
            f"{version.id} was saved before models carried a contract, so score and monitor cannot use it. Nothing"
            " was changed: name a later version."
        ) from None
    except ProjectError as error:
        raise RegistryError(f"Nothing was changed, since {version.id} cannot be used: {error}") from None


WHAT_PEOPLE_DID = {
    "promoted": "promoted by hand",
    "rolled_back": "put back into production",
    "held": "put on hold",
    "released": "released from its hold",
}


def _by_hand(record: "Record", *, about: str | None) -> str:
    """Return what a person decided about a version, as a sentence; empty if the decision is about another one."""
    what = WHAT_PEOPLE_DID.get(record.verdict, "") if record.version == about else ""
    if record.verdict == "rolled_back" and record.champion_before == about:
        what = "rolled back"
    reason = "" if record.reason == BY_HAND else f" ({record.reason.rstrip('.')})"
    return what and f"{what}, decision {record.sequence} of {record.time[:10]}{reason}."


def _decision(registry: "Registry", version: str | None) -> "Record":
    records = [record for record in registry.decisions() if record.version and "criteria" in record.decision]
    if version:
        name = registry.version(version).id
        records = [record for record in records if record.version == name]
    if not records:
        raise ProjectError(f"Nothing was decided about {version or 'any version'} yet: run retrain first.")
    return records[-1]


def _scores(metrics: Mapping[str, float | None]) -> str:
    from .gate import known_metric

    named = {name: known_metric(name) for name in metrics}
    values = {name: math.nan if value is None else value for name, value in metrics.items()}
    return ", ".join(f"{named[name].label} {named[name].format(value)}" for name, value in values.items())


def _change(before: float | None, now: float | None) -> str:
    if before is None or now is None or before == now:
        return ""
    return ", higher" if now > before else ", lower"


def _sparkline(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    if low == high:
        return BARS[0] * len(values)
    return "".join(BARS[round((value - low) / (high - low) * (len(BARS) - 1))] for value in values)


def _print(content: Any) -> None:
    from rich.console import Console

    # No markup: a column of the user's may be called [red].
    console = Console(highlight=False, markup=False)
    # A line of text is left to the terminal to wrap, so that a path or a command can be copied whole. A table is folded
    # where there is a terminal, and has long lines in a file.
    if not isinstance(content, str):
        whole = console.measure(content, options=console.options.update(max_width=1000)).maximum
        console.width = max(console.width, NARROWEST if console.is_terminal else whole)
    console.print(content, soft_wrap=isinstance(content, str))


def _print_table(table: "reporting.Table") -> None:
    from rich.table import Table

    shown = Table(*(cell.text for cell in table.header), title=table.caption, title_justify="left")
    for row in table.cells:
        shown.add_row(*(cell.text for cell in row))
    _print(shown)


def _print_json(facts: Any) -> None:
    print(json.dumps(facts, indent=2, default=str))


for part in optional.modules("cli"):
    part.add_commands(app, registry_app)


def main() -> None:
    """Run the command line; an error meant for a person ends it with its message, without a traceback."""
    for name, value in UNREPORTED.items():
        os.environ.setdefault(name, value)
    atexit.register(gc.freeze)  # the interpreter takes half a second to look at every object before it ends
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that has no █ shows its number
            stream.reconfigure(errors="backslashreplace")
    try:
        with files_explained():
            app()
    except BrokenPipeError:
        pass
    except ProjectError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    finally:
        _flush()


def _flush() -> None:
    """Write what is left of the output, however the command ended; its reader may have seen enough, as `head` has."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
