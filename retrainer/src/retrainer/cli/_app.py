"""The commands that run a flow, `doctor` and `setup`, and where each command begins and ends.

Heavy imports happen inside the commands, so that help and listings are quick.
"""

import atexit
import datetime
import gc
import io
import math
import os
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number

from .._parts import has_part
from ..errors import ProjectError, files_explained
from ..project import Project
from ._context import current_project, enter
from ._output import AsJson, write, write_json
from ._registry import registry_app
from ._run import run

TELEMETRY_OFF = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}  # to Prefect's makers
HELP = """Retrain the model, promote what is better, and look into the registry.

For example:
  retrain --as-of 2026-10-01         as if it were October
  score --source new.csv --json      predict another table
  registry explain champion          why this one is in production
  registry rollback --reason "slow"  put the one before back
  doctor                             what is wrong now
"""

app = App(help=HELP, help_format="plaintext")
app.register_install_completion_command(add_to_startup=False)
app.command(registry_app)

setup_app = App(name="setup", help="What a project needs once.")
app.command(setup_app)

SourceName = Annotated[str | None, Parameter(help="Another source than the one of the settings.")]
AsOf = Annotated[datetime.datetime | None, Parameter(help="The moment that dates in the source stand for.")]


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
    facts = run(
        "retrain",
        source=source,
        as_of=as_of,
        accept_not_comparable=accept_not_comparable,
        dry_run=dry_run,
    )
    if as_json:
        write_json(facts)
        return
    from rich.panel import Panel

    summary = f"{facts['reason']}\n\nchallenger {facts['version']}: {_scores(facts['metrics'])}"
    summary += f"\nwithout a model, {facts['baseline']['name']}: {_scores(facts['baseline']['metrics'])}"
    if threshold := facts["threshold"]:
        tuned = f", tuned for {threshold['tuned_for']}" if "tuned_for" in threshold else ""
        summary += f"\n{threshold['positive']} is predicted from a probability of {threshold['value']:g} on{tuned}"
    if refit := facts["refit"]:
        again = f"failed: {refit['failed']}" if "failed" in refit else f"on all {refit['rows']:,} labelled rows"
        summary += f"\nfitted once more, to serve: {again}"
    title = f"dry run, nothing is recorded: {facts['verdict']}" if dry_run else facts["verdict"]
    write(Panel(summary, title=title, title_align="left"))
    for alarm in facts["alarms"]:
        write(f"to look at     {alarm}")
    write(f"in production  {facts['champion'] or 'no model yet'}")
    for name, reason in facts["held"].items():
        write(f"on hold        {name} ({reason})")
    write(f"report         {facts['report'] or 'missing: ' + facts['report_error']}")
    write(f"registry       {facts['registry']}")


@app.command
def score(*, source: SourceName = None, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Let the model in production predict a table: that of score.source, or else the one it is trained on."""
    facts = run("score", source=source, as_of=as_of)
    if as_json:
        write_json(facts)
    else:
        write(f"{facts['rows']:,} rows of {facts['source']} scored by {facts['version']}: {facts['path']}")
        if facts["training_table"]:
            write("That is the table the model is trained on. Another: --source, or score.source in config.toml.")


@app.command
def monitor(*, source: SourceName = None, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Compare new data with the training data, and trigger a retrain when drift is sustained."""
    window = run("monitor", source=source, as_of=as_of)
    if as_json:
        write_json(window)
    else:
        write(window["reason"])
        if window["retrain"]:
            write(window["to_do"])
        write(f"report         {window['report'] or 'missing: ' + window['report_error']}")


@app.command
def tune(
    *,
    trials: Annotated[
        int, Parameter(help="Of each estimator, those of earlier runs among them.", validator=Number(gte=1))
    ] = 60,
    time_limit: Annotated[str | None, Parameter(help="Of all trials: 90s, 30m, 2h.")] = None,
    estimator: Annotated[
        str | None, Parameter(help="To search for; by default each of the settings that has a space.")
    ] = None,
    workers: Annotated[
        int | None, Parameter(help="Trials side by side; by default one for each core.", validator=Number(gte=1))
    ] = None,
    dry_run: Annotated[bool, Parameter(negative="", help="Show what params.toml would be.")] = False,
    source: SourceName = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Search better parameters by cross-validation, and propose them in params.toml; the same command goes on."""
    proposed = run(
        "tune",
        source=source,
        as_of=as_of,
        estimator=estimator,
        trials=trials,
        time_limit=time_limit,
        workers=workers,
        dry_run=dry_run,
    )
    if as_json:
        write_json(proposed)
        return
    for facts in proposed:
        write(facts["reason"])
        for trial in facts["trials"]:
            if trial["error"]:
                write(f"failed         trial {trial['trial']}: {trial['error']}")
        if facts["diff"]:
            write(facts["diff"].rstrip())
        if facts["written"]:
            write(f"to review      {facts['written']}")
        write(f"page           {facts['page'] or 'missing'}")


@app.command
def doctor(
    *,
    send: Annotated[bool, Parameter(negative="", help="Also send a test message to the team.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check settings, data, registry, server, deployment and messages; ends with 2 on an error, 1 on a warning."""
    from ._doctor import examine

    checks = examine(current_project(), send=send)
    if as_json:
        write_json([vars(check) for check in checks])
    else:
        from rich.table import Column, Table
        from rich.text import Text

        widest = max(len(check.name) for check in checks)
        for check in checks:
            colour = {"ok": "green", "warning": "yellow", "error": "red"}[check.severity]
            line = Table.grid(Column(width=7), Column(width=widest), Column(), padding=(0, 1))
            line.add_row(Text(check.severity, style=colour), check.name, check.found)
            if check.severity != "ok":
                line.add_row("", "Fix:", check.fix + (":" if check.command else ""))
            write(line)
            if check.command:
                write(f"    {check.command}")
    severities = {check.severity for check in checks}
    if "error" in severities:
        sys.exit(2)
    sys.exit(1 if "warning" in severities else 0)


@setup_app.command
def slack() -> None:
    """Save the Slack webhook (SLACK_WEBHOOK_URL, or asked for) as a Prefect block, and send a test message."""
    from ..prefect import set_up_slack

    set_up_slack(current_project())


def _scores(metrics: Mapping[str, float | None]) -> str:
    from ..gate import known_metric

    texts, own = [], current_project().metrics()
    for name, value in metrics.items():
        metric = known_metric(name, own_metrics=own)
        texts.append(f"{metric.label} {metric.format(math.nan if value is None else value)}")
    return ", ".join(texts)


def _serve() -> None:
    """Serve predictions of the model in production over HTTP; address and limits are the settings of [serving]."""
    # Requests run side by side, each on one core: threads of their own would only get in each other's way.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

    from ..serving import run

    run(current_project())


def _copy_to_mlflow() -> None:
    """Copy the registry's files into MLflow, decisions included; needs a project that MLflow knows nothing of.

    The server is that of registry.tracking_uri or MLFLOW_TRACKING_URI. The files stay, and stay in use until
    registry.kind is "mlflow". A copy that was cut off is finished by another.
    """
    from ..registry import open_files, open_registry

    settings = current_project().with_settings(registry={"kind": "mlflow"}).settings
    target: Any = open_registry(settings)
    versions, decisions = target.copy_from(open_files(settings))
    print(f"Copied to {target.store.where('')}: {versions} versions, {decisions} decisions.")


def _add_commands_of_parts() -> None:
    if has_part("serving", "http"):
        app.command(_serve, name="serve")
    if has_part("registry.kind", "mlflow"):
        registry_app.command(_copy_to_mlflow, name="copy-to-mlflow")


_add_commands_of_parts()


def main(project: Project, *, flows: Callable[[], ModuleType]) -> None:
    """Run the command line of a project; an error meant for a person ends it with its message, without a traceback.

    Args:
        project: What the commands are about.
        flows: Imports and returns its flows.
    """
    enter(project, flows)
    for name, value in TELEMETRY_OFF.items():
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
