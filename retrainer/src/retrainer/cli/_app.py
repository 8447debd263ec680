"""The commands that run a flow, `doctor` and `setup`, and where each command begins and ends.

Heavy imports happen inside the commands, so that help and listings are quick.
"""

import atexit
import datetime
import gc
import io
import math
import os
import re
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number

from .._parts import has_part
from ..errors import ProjectError, translate_file_errors
from ..project import Project
from ._context import current_project, enter
from ._output import AsJson, write, write_json
from ._registry import registry_app
from ._run import run

TELEMETRY_OFF = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}  # to Prefect's makers
HELP = """Retrain the model, promote a better one, and inspect the registry.

For example:
  retrain --as-of 2026-10-01         with this date in the source
  score --source new.csv --json      predict another table
  registry explain champion          why this model is in production
  registry rollback --reason "slow"  put the previous champion back
  doctor                             check the project
"""

app = App(help=HELP, help_format="plaintext")
app.register_install_completion_command(add_to_startup=False)
app.command(registry_app)

setup_app = App(name="setup", help="What a project needs once, after it is rendered.")
app.command(setup_app)

SourceName = Annotated[str | None, Parameter(help="A source in place of the one in the settings.")]
AsOf = Annotated[datetime.datetime | None, Parameter(help="The date to fill into the source.")]


@app.command
def retrain(
    *,
    source: SourceName = None,
    as_of: AsOf = None,
    accept_not_comparable: Annotated[
        bool, Parameter(negative="", help="Promote a challenger even if it cannot be compared with the champion.")
    ] = False,
    dry_run: Annotated[bool, Parameter(negative="", help="Decide and draw the report, but record nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a challenger on fresh data, compare it with the champion, and promote it if it is better."""
    facts = run("retrain", source=source, as_of=as_of, accept_not_comparable=accept_not_comparable, dry_run=dry_run)
    if as_json:
        write_json(facts)
        return
    from rich.panel import Panel

    reason = re.sub(r"(?<=\.) (?=[A-Z])", "\n- ", facts["reason"])  # a sentence, and a list of what is behind it
    summary = f"{reason}\n\nScores on all {facts['holdout_rows']:,} holdout rows:"
    summary += f"\n  challenger {facts['version']}: {_format_scores(facts['metrics'])}"
    summary += f"\n  baseline, {facts['baseline']['name']}: {_format_scores(facts['baseline']['metrics'])}"
    if threshold := facts["threshold"]:
        tuned = f", tuned for {threshold['tuned_for']}" if "tuned_for" in threshold else ""
        at = f"at or above a probability of {threshold['value']:g}{tuned}"
        summary += f"\nThreshold: {str(threshold['positive'])!r} is predicted {at}."
    if refit := facts["refit"]:
        again = f"on all {refit['rows']:,} labelled rows; this model serves, its score is the evaluated model's"
        summary += f"\nRefit: {'failed, ' + refit['failed'] if 'failed' in refit else again}"
    from ..gate import shown_verdict

    title = ("dry run, nothing recorded: " if dry_run else "") + shown_verdict(facts["verdict"])
    write(Panel(summary, title=title, title_align="left"))
    for alarm in facts["alarms"]:
        write(f"alarm          {alarm}")
    write(f"in production  {facts['champion'] or 'no model yet'}")
    for name, reason in facts["held"].items():
        write(f"on hold        {name} ({reason})")
    write(f"report         {facts['report'] or 'missing: ' + facts['report_error']}")
    write(f"registry       {facts['registry']}")
    if not dry_run:
        write(f"to do          {facts['to_do']}")


@app.command
def score(*, source: SourceName = None, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Predict a table with the model in production: that of score.source, else the training table."""
    facts = run("score", source=source, as_of=as_of)
    if as_json:
        write_json(facts)
    else:
        write(f"{facts['rows']:,} rows of {facts['source']} scored by {facts['version']}: {facts['path']}")
        if facts["training_table"]:
            write("This is the training table. To score another one: --source, or score.source in config.toml.")


@app.command
def monitor(*, source: SourceName = None, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Compare new data with the training data, and trigger a retrain when drift is sustained."""
    window = run("monitor", source=source, as_of=as_of)
    if as_json:
        write_json(window)
    else:
        write(("Warning: " if window["drifted"] or window["worse"] else "") + window["reason"])
        if window["counts"]:
            write(window["counts"])
        if window["retrain"]:
            write(window["to_do"])
        write(f"report         {window['report'] or 'missing: ' + window['report_error']}")


@app.command
def tune(
    *,
    trials: Annotated[
        int, Parameter(help="Trials for each estimator, earlier runs included.", validator=Number(gte=1))
    ] = 60,
    time_limit: Annotated[str | None, Parameter(help="For all trials together: 90s, 30m, 2h.")] = None,
    estimator: Annotated[
        str | None, Parameter(help="The estimator to tune; by default each one in the settings with a search space.")
    ] = None,
    workers: Annotated[
        int | None, Parameter(help="Trials in parallel; by default one for each core.", validator=Number(gte=1))
    ] = None,
    dry_run: Annotated[bool, Parameter(negative="", help="Print params.toml, but do not write it.")] = False,
    source: SourceName = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Search better parameters by cross-validation and propose them in params.toml; run it again to continue."""
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
    """Check settings, data, registry, server, deployment and messages; exit code 2 on an error, 1 on a warning."""
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
    """Save the Slack webhook (SLACK_WEBHOOK_URL, or typed in) as a Prefect block, and send a test message."""
    from ..prefect import set_up_slack

    set_up_slack(current_project())


def _format_scores(metrics: Mapping[str, float | None]) -> str:
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


if has_part("serving", "http"):
    app.command(_serve, name="serve")
if has_part("registry.kind", "mlflow"):
    registry_app.command(_copy_to_mlflow, name="copy-to-mlflow")


def main(project: Project, *, flows: Callable[[], ModuleType]) -> None:
    """Run the command line of a project; a `ProjectError` ends it with a message and no traceback.

    Args:
        project: The project of the commands.
        flows: A function that imports and returns the project's flows.

    Examples:
        >>> sys.argv = ["churn", "registry", "list"]
        >>> with contextlib.suppress(SystemExit):
        ...     main(project, flows=dict)
        There is no version yet. `churn retrain` trains the first one.
    """
    enter(project, flows)
    for name, value in TELEMETRY_OFF.items():
        os.environ.setdefault(name, value)
    atexit.register(gc.freeze)  # the interpreter takes half a second to visit every object before it ends
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that has no █ shows its number
            stream.reconfigure(errors="backslashreplace")
    try:
        with translate_file_errors():
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
