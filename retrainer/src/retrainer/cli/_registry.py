"""The commands about the registry: what was trained, what was decided, and decisions by hand."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from ..errors import ProjectError, RegistryError, shell_command, translate_file_errors
from ._context import current_project
from ._output import AsJson, write, write_json, write_table

if TYPE_CHECKING:
    from rich.table import Table

    from ..registry import Record, Registry, Version

WHAT_PEOPLE_DID = {
    "promoted": "promoted by hand",
    "rolled_back": "put back into production",
    "held": "put on hold",
    "released": "no longer on hold",
}

registry_app = App(name="registry", help="Versions and decisions: list, explain, compare, roll back.")


def _require_reason(_type: Any, reason: str) -> None:
    if not reason.strip():
        raise ValueError("give a reason; it is recorded and sent to the team")


Reason = Annotated[str, Parameter(help="Why; it is recorded and sent to the team.", validator=_require_reason)]
VersionName = Annotated[str, Parameter(help="A version id, its first or last characters, `champion` or `staging`.")]


@registry_app.command(name="list")
def list_versions(*, as_json: AsJson = False) -> None:
    """List the versions, newest first: their score and what was decided."""
    registry = _registry()
    facts = _version_facts(registry)
    if as_json:
        write_json(facts)
        return
    if not facts:
        write(f"There is no version yet. {_command('retrain')} trains the first one.")
        return
    from ..gate import known_metric

    own = current_project().metrics()
    labels = {fact["metric"]: known_metric(fact["metric"], own_metrics=own).label for fact in facts}
    decisions = registry.decisions()
    write(_version_table(facts, labels, decisions))
    for name, reason in registry.held().items():
        write(f"on hold: {name} ({reason}); to end the hold: {_command('registry', 'release', name)}")
    if decisions and len(decisions) < decisions[-1].sequence:
        write(f"Some decisions cannot be read. {_command('registry', 'verify')} lists them.")


def _version_facts(registry: "Registry") -> list[dict[str, Any]]:
    """Return what is listed of each version, newest first."""
    champion, staging, held = registry.champion(), registry.staging(), registry.held()
    by_people = ("rolled_back", "held", "released")
    verdicts = {record.version: record.verdict for record in registry.decisions() if record.verdict not in by_people}
    places = {"champion": [champion and champion.id], "staging": [staging and staging.id], "on hold": held}
    return [
        {
            "version": version.id,
            "created_at": version.created_at,
            "metric": version.metric,
            "score": version.metrics.get(version.metric),
            "verdict": verdicts.get(version.id, "undecided"),
            "now": [place for place, ids in places.items() if version.id in ids],
        }
        for version in reversed(registry.versions())
    ]


def _version_table(facts: list[dict[str, Any]], labels: dict[str, str], decisions: "Sequence[Record]") -> "Table":
    """Return the versions as a table that fits a terminal of 60 columns."""
    from rich.table import Column, Table

    from ..gate import shown_verdict

    of_gate = {record.version: record.verdict for record in decisions if "criteria" in record.decision}
    wide = {"verdict": 12, "role": 8}  # so that no word is cut
    columns = (Column(name, min_width=width) for name, width in wide.items())
    table = Table(Column("version", no_wrap=True), "metric", "score", *columns, box=None, padding=(0, 1, 0, 0))
    for fact in facts:
        score = "" if fact["score"] is None else f"{fact['score']:.4f}"
        verdict, gate = fact["verdict"], of_gate.get(fact["version"])
        if verdict == "promoted" and gate not in (None, "promoted"):
            verdict = f"{shown_verdict(gate)}, then promoted by hand"
        table.add_row(fact["version"], labels[fact["metric"]], score, shown_verdict(verdict), ", ".join(fact["now"]))
    return table


@registry_app.command
def show(version: VersionName = "champion", *, as_json: AsJson = False) -> None:
    """Show a version, by default the champion: its metrics and its lineage."""
    registry = _registry()
    shown, champion = registry.version(version), registry.champion()
    role = ", in production" if champion and champion.id == shown.id else ""
    if as_json:
        write_json(vars(shown))
        return
    rows = f"{shown.lineage['rows']['holdout']:,}"
    write(f"{shown.id}{role}, trained {shown.created_at}; scores on its own {rows} holdout rows:")
    for name, value in shown.metrics.items():
        write(f"  {name:<18} {value:.4f}")
    write_json(shown.lineage)


@registry_app.command
def explain(
    version: Annotated[str | None, Parameter(help="A version; by default that of the latest decision.")] = None,
    *,
    as_json: AsJson = False,
    markdown: Annotated[bool, Parameter(negative="", help="Print it as Markdown.")] = False,
) -> None:
    """Explain a decision, by default the latest: the verdict, the reason, and each criterion with its numbers."""
    registry = _registry()
    record = _decision(registry, version)
    if as_json:
        write_json(vars(record))
        return
    from ..gate import Decision

    text = Decision.from_dict(record.decision).explain(current_project().metrics(), champion=record.champion_before)
    later = [decision for decision in registry.decisions() if decision.sequence > record.sequence]
    sentences = (_describe_manual_decision(decision, about=record.version) for decision in reversed(later))
    if by_hand := [sentence for sentence in sentences if sentence]:
        text = "\n".join([*by_hand, f"  The gate, decision {record.sequence}: {text}"])
    if record.version in registry.held():
        text += "\n  On hold: a challenger must be better than this version and the champion."
        text += f" To end the hold: {_command('registry', 'release', str(record.version))}"
    if markdown:
        from ..reporting import escaped

        reason, *lines = map(escaped, text.splitlines())
        print("\n".join([f"### {record.version}\n\n{reason}\n", *(f"- {line}" for line in lines)]))
    else:
        write(f"{record.version}{'' if version else ', the latest decision:'} {text}")


@registry_app.command
def compare(
    version: VersionName,
    other: VersionName = "champion",
    *,
    output: Annotated[Path | None, Parameter(help="Where to write the comparison as a page.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two versions on today's holdout rows that neither was trained on; nothing is recorded."""
    from .. import reporting
    from ._comparison import compare_versions

    facts = compare_versions(version, other, project=current_project())
    if as_json:
        write_json(facts.decision.to_dict() | {"version": facts.version.id, "scores": facts.scores})
    else:
        write(facts.decision.explain(current_project().metrics()))
        for table in reporting.scores(facts).tables:
            write_table(table)
    if output:
        with translate_file_errors(output):
            output.write_text(reporting.page(facts, reporting.sections(facts)), encoding="utf-8")
        if not as_json:
            write(f"Written: {output.resolve()}")


@registry_app.command
def report(*, output: Annotated[Path, Parameter(help="Where to write the page.")] = Path("history.html")) -> None:
    """Write the model history as one page: its score over time, promotions, rejections, rollbacks, data sizes."""
    from ..reporting import history

    registry = _registry()
    project = current_project()
    page = history(
        registry.versions(),
        registry.decisions(),
        project=project.settings.project,
        own_metrics=project.metrics(),
    )
    with translate_file_errors(output):
        output.write_text(page, encoding="utf-8")
    write(f"Written: {output.resolve()}")


@registry_app.command
def verify(*, as_json: AsJson = False) -> None:
    """Check every file, digest and pointer of the registry; exit code 1 if one is damaged."""
    problems = _registry().verify()
    errors = [problem for problem in problems if problem.severity == "error"]
    if as_json:
        write_json([vars(problem) for problem in problems])
    else:
        for problem in problems:
            write(f"{problem.severity}: {problem}")
        write(f"{len(errors)} errors" if errors else "The registry is complete and undamaged.")
    sys.exit(1 if errors else 0)


@registry_app.command
def rollback(
    *,
    to: Annotated[str | None, Parameter(help="The version to put back.")] = None,
    reason: Reason,
) -> None:
    """Put the previous champion back, and the present one on hold: a challenger must then beat both."""
    registry = _registry()
    _announce_decision(registry.rollback(to, reason=reason, check=lambda chosen: _check_usable(registry, chosen)))


@registry_app.command
def promote(version: VersionName = "staging", *, reason: Reason) -> None:
    """Promote a version by hand, whatever the gate decided."""
    registry = _registry()
    record = registry.promote(version, reason=reason, check=lambda chosen: _check_usable(registry, chosen))
    _announce_decision(record, gate=next(iter(_gate_decisions(registry, about=record.version)), None))


@registry_app.command
def hold(version: VersionName, *, reason: Reason) -> None:
    """Put a version on hold: a challenger must then be better than this version and the champion."""
    _announce_decision(_registry().hold(version, reason=reason))


@registry_app.command
def release(version: VersionName, *, reason: Reason) -> None:
    """End the hold of a version."""
    _announce_decision(_registry().release(version, reason=reason))


def _registry() -> "Registry":
    from ..registry import open_registry

    return open_registry(current_project().settings)


def _command(*words: str) -> str:
    return shell_command(current_project().settings.project, *words)


def _announce_decision(record: "Record", *, gate: "Record | None" = None) -> None:
    """Print and send what a person decided; where sending fails, one line says so."""
    from ..prefect import NotSent, by_hand_message, deliver

    settings = current_project().settings
    message = by_hand_message(project=settings.project, record=record, gate=gate)
    write(str(message))
    if block := settings.notifications.block:
        try:
            deliver(message, block=block)
        except NotSent as error:
            print(f"No message was sent. {error}", file=sys.stderr)


def _check_usable(registry: "Registry", version: "Version") -> None:
    """Refuse to put a version into production that cannot predict here and now."""
    from ..training import NoContractError, load_model

    try:
        load_model(registry, version, project=current_project())
    except NoContractError:
        raise RegistryError(
            f"{version.id} was saved before models had a contract, so score and monitor cannot use it. Nothing"
            " was changed. Choose a later version."
        ) from None
    except ProjectError as error:
        raise RegistryError(f"{version.id} cannot be used, so nothing was changed: {error}") from None


def _describe_manual_decision(record: "Record", *, about: str | None) -> str:
    """Return what a person decided about a version, as a sentence; empty if the decision is about another one."""
    what = WHAT_PEOPLE_DID.get(record.verdict, "") if record.version == about else ""
    if record.verdict == "rolled_back" and record.champion_before == about:
        what = "rolled back"
    person = record.decision.get("by")  # decisions of earlier releases do not say
    by = f" by {person} on {record.decision['host']}" if person else ""
    reason = record.reason.rstrip(".")
    return what and f"{what}{by}, decision {record.sequence} of {record.time[:10]} ({reason})."


def _decision(registry: "Registry", version: str | None) -> "Record":
    records = _gate_decisions(registry, about=registry.version(version).id if version else None)
    if not records:
        raise ProjectError(
            f"There is no decision about {version or 'any version'} yet. Run {_command('retrain')} first."
        )
    return records[0]


def _gate_decisions(registry: "Registry", *, about: str | None) -> list["Record"]:
    """Return what the gate decided about a version, or about all, the latest first."""
    records = [record for record in registry.decisions() if record.version and "criteria" in record.decision]
    return [record for record in reversed(records) if about in (None, record.version)]
