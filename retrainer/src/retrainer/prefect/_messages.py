"""The messages to the team: pure functions that build them, and one function that sends.

Any Prefect notification block will do (Slack, Teams, Discord, PagerDuty, e-mail): the setting names it as
`<block type>/<block name>`. A missing block or a dead webhook is a warning, and the message another one, never an
error: the run's own outcome stands.
"""

import contextvars
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from ..project import Project
from ..registry import Record
from ..settings import read_leniently

Result = TypeVar("Result")
LOAD_SECONDS = (
    45.0  # longer, and the server is dead; the first import of a Kubernetes worker took 20 on a busy machine
)
SECONDS = 3.0  # a webhook that takes longer is dead; the run goes on

# Apprise, which sends for Prefect's blocks, logs the URLs that it cannot read, with the secrets in them. A filter stays
# when the logging is configured once more.
logging.getLogger("apprise").addFilter(lambda record: False)


@dataclass(frozen=True)
class Message:
    """A subject of one line and a body of a few."""

    subject: str
    body: str

    def __str__(self) -> str:
        return f"{self.subject}\n{self.body}"


def _message(subject: str, *lines: str) -> Message:
    return Message(subject, "\n".join(lines))


def failure_message(
    *,
    project: str,
    flow: str,
    run: str,
    state: str,
    reason: str,
    link: str,
    champion: str,
    decided: bool = False,
) -> Message:
    """Report that a run failed, crashed or was cancelled, and what is in production; mostly, it is what it was."""
    return _message(
        f"{project}: {flow} {state.lower()}",
        f"Run: {_linked(run, link)}",
        f"Why: {reason}",
        f"In production: {champion} ({'as this run decided before it ended' if decided else 'untouched by this run'})",
        "To do: fix the cause, then run it again; `doctor` checks the usual ones.",
    )


TODO = {
    "staging": "look at `registry explain`; `registry promote staging --reason …` puts it into production.",
    "rejected": "look at the data: `registry explain` has the numbers.",
}
ROLLBACK = "; `registry rollback --reason …` puts the former model back"
OVERRULED = {"kept": "kept it", "staging": "put it into staging", "rejected": "rejected it"}
UNSENT = "The message was: "  # begins the line of the log with a message that nobody took


def decision_message(*, project: str, run: str, link: str, decision: dict[str, Any]) -> Message:
    """Report what the gate decided; `decision` is what the record task returned."""
    refit = decision["refit"] or {}
    lines = [f"Run: {_linked(run, link)}", f"Why: {decision['reason']}"]
    lines += [f"To look at: {alarm}" for alarm in decision["alarms"]]
    lines += _in_production(decision["champion"], decision["held"])
    if failed := refit.get("failed"):
        lines.append(
            f"Refit: fitting it once more on all rows failed ({failed}); the model that was compared serves"
        )
    return _message(
        f"{project}: {decision['version']} {decision['verdict']}",
        *lines,
        _report(decision),
        f"To do: {TODO.get(decision['verdict']) or _to_do(decision)}",
    )


def _to_do(decision: dict[str, Any]) -> str:
    """Return what to do about a champion that is kept or new."""
    rollback = decision["verdict"] == "promoted" and decision["champion_before"]
    return (
        f"{'look at what is named above' if decision['alarms'] else 'nothing'}{ROLLBACK if rollback else ''}."
    )


def _in_production(champion: str | None, held: Iterable[str]) -> list[str]:
    on_hold = ", ".join(held)
    return [f"In production: {champion or 'no model yet'}", *([f"On hold: {on_hold}"] if on_hold else [])]


def _report(result: dict[str, Any]) -> str:
    return f"Report: {result['report'] or 'missing, it could not be drawn (' + result['report_error'] + ')'}"


BY_HAND = {
    "rolled_back": ("rolled back to {version}", "find out what was wrong with the model before."),
    "promoted": ("{version} promoted by hand", "nothing{rollback}."),
    "held": (
        "{version} is on hold",
        "nothing; a challenger must be better than it too, until `registry release {version} --reason …`.",
    ),
    "released": ("{version} is no longer on hold", "nothing; the next retrain decides without it."),
}


def by_hand_message(*, project: str, record: Record, gate: Record | None = None) -> Message:
    """Tell what a person decided: a rollback, a promotion by hand, a hold, or its end.

    Args:
        project: The project's name.
        record: The decision.
        gate: What the gate decided about the same version, which a promotion may overrule.
    """
    rollback = ROLLBACK if record.champion_before else ""
    subject, to_do = (
        text.format(version=record.version, rollback=rollback) for text in BY_HAND[record.verdict]
    )
    why = [f"Why: {record.reason}"]
    if record.verdict == "promoted" and gate and gate.verdict in OVERRULED:
        reason = gate.reason.removeprefix(f"{gate.verdict.capitalize()}: ")
        why.append(f"The gate had {OVERRULED[gate.verdict]}: {reason}")
    if record.verdict == "rolled_back" and record.champion_before in record.held:
        before = record.champion_before
        to_do += f" {before} is on hold: a challenger must be better than it too,"
        to_do += f" until `registry release {before} --reason …`."
    in_production = _in_production(record.champion, record.held)
    return _message(f"{project}: {subject}", *why, *in_production, f"To do: {to_do}")


def drift_message(*, project: str, run: str, link: str, window: dict[str, Any]) -> Message:
    """Report that new data no longer look like the training data, or that the model is worse on them.

    `window` is what `check_drift` returned, with `triggered` and `to_do`.
    """
    what = "the data drifted" if window["drifted"] else "the model is worse on new data"
    columns = window["drifted_columns"]
    return _message(
        f"{project}: {what}, {'a' if window['triggered'] else 'no'} retrain is triggered",
        f"Run: {_linked(run, link)}",
        f"Why: {window['reason']}",
        *([f"Columns: {', '.join(columns)}"] if columns else []),
        f"Data: {window['source']}",
        _report(window),
        f"In production: {window['version']}",
        window["to_do"],
    )


# What the server sends itself: it fills in the braces.
_RUN = "Run: {{ flow_run.name }} {{ flow_run | ui_url or '' }}"  # no link where PREFECT_UI_URL is not set
_WHY = "Why: {{ flow_run.state.message }}"


def unreported_message(*, project: str) -> Message:
    """Tell that a run ended badly and could not say so itself."""
    return _message(
        f"{project}: {{{{ flow.name }}}} {{{{ flow_run.state.name | lower }}}}",
        _RUN,
        _WHY,
        "In production: what `registry list` says; the registry survives a kill at any instruction",
        "To do: see that the machine is up and deploy.py or the worker runs; `doctor` checks the rest.",
    )


def collision_message(*, project: str) -> Message:
    """Tell that a run was cancelled because another was at work."""
    return _message(
        f"{project}: {{{{ flow.name }}}} cancelled, another run is at work",
        _RUN,
        _WHY,
        "To do: nothing if it happens once; else schedule the flow less often, or look for a run that hangs.",
    )


def late_message(*, project: str) -> Message:
    """Tell that a run was not started on time."""
    return _message(
        f"{project}: {{{{ flow.name }}}} is late",
        _RUN,
        "Why: it was due, and nobody has started it: no process serves it, or every slot is taken",
        "To do: see that deploy.py or the worker runs and has a free slot; `doctor` checks both.",
    )


def trial_message(*, project: str) -> Message:
    """Show that messages arrive."""
    return Message(subject=f"{project}: a test message", body="Retraining messages will arrive here.")


def _linked(run: str, link: str) -> str:
    return f"{run} {link}".rstrip()


class NotSent(Exception):
    """Nobody took the message; the text says why, without the words of the block, which may hold its URL."""


def recipient(project: Project) -> tuple[str, str | None]:
    """Return the project's name and its notification block, also from settings that are broken elsewhere."""
    try:
        settings = project.settings
    except Exception:
        where: Any = {"config_file": project.config_file, "env_prefix": project.env_prefix}
        name = read_leniently("project", **where) or project.package
        return name, read_leniently("notifications.block", **where)
    return settings.project, settings.notifications.block


def send(message: Message, *, block: str | None, logger: Any) -> bool:
    """Send `message` through the notification block `<type>/<name>`; return whether it was taken.

    Whatever goes wrong is a warning, and one more holds the message.
    """
    if not block:
        logger.info("No notification block is set.")
        logger.info("%s%s", UNSENT, message)
        return False
    try:
        deliver(message, block=block)
    except NotSent as error:
        logger.warning("No message was sent. %s", error)
        logger.warning("%s%s", UNSENT, message)
        return False
    return True


def deliver(message: Message, *, block: str) -> None:
    """Send `message` through the notification block `<type>/<name>`.

    Raises:
        NotSent: the block cannot be loaded, or its service did not take the message in time.
    """
    from prefect.blocks.core import Block
    from prefect.blocks.notifications import (
        NotificationBlock,  # with all it imports: the time limits are for others
    )
    from prefect.exceptions import ObjectNotFound

    try:
        loaded = within(LOAD_SECONDS, lambda: Block.load(block))
    except TimeoutError:
        raise NotSent(
            f"The notification block {block} was not loaded within {LOAD_SECONDS:g} seconds."
        ) from None
    except Exception as error:
        missing = isinstance(error.__cause__, ObjectNotFound)
        trouble = "does not exist" if missing else f"cannot be loaded ({type(error).__name__})"
        slack = "`setup slack` saves it, or " if block.startswith("slack-webhook/") else ""
        raise NotSent(
            f"The notification block {block} {trouble}: {slack}set notifications.block to one you have."
        ) from None
    if not isinstance(loaded, NotificationBlock):
        raise NotSent(f"{block} is not a notification block: set notifications.block to one.")
    notify(loaded, message, name=block)


def notify(block: Any, message: Message, *, name: str) -> None:
    """Send `message` through a notification block that is loaded, and maybe not saved.

    Raises:
        NotSent: its service did not take the message in time.
    """
    try:
        with block.raise_on_failure():
            within(SECONDS, lambda: block.notify(body=message.body, subject=message.subject))
    except Exception as error:
        raise NotSent(
            f"The notification block {name} did not send ({type(error).__name__}): check its URL, and that its"
            " service answers."
        ) from None


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """Return what `call` returns, and give up on one that takes longer: not all that is called has a time limit.

    Raises:
        TimeoutError: it took longer.
        Exception: whatever the call raised.
    """
    results: list[Result] = []
    errors: list[Exception] = []

    def guarded() -> None:
        try:
            results.append(call())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(guarded,), daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]
