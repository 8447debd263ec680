"""What the team is told, and how: message builders that are pure, and one function that sends.

Any Prefect notification block will do (Slack, Teams, Discord, PagerDuty, e-mail): the setting names it as
`<block type>/<block name>`. A missing block or a dead webhook is a warning with the message in it, never an
error: the run's own outcome stands.
"""

import contextvars
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..registry import Record

SECONDS = 10  # a webhook that takes longer is dead; the run goes on


@dataclass(frozen=True)
class Message:
    """A subject of one line and a body of a few."""

    subject: str
    body: str

    def __str__(self) -> str:
        return f"{self.subject}\n{self.body}"


def failure_message(
    *, project: str, flow: str, run: str, state: str, reason: str, link: str, champion: str
) -> Message:
    """Tell that a run failed, crashed or was cancelled, and that production is what it was."""
    return Message(
        subject=f"{project}: {flow} {state.lower()}",
        body="\n".join(
            [
                f"Run: {_linked(run, link)}",
                f"Why: {reason}",
                f"In production: {champion} (untouched by this run)",
                "To do: mend the cause, then run it again; `doctor` checks the usual ones.",
            ]
        ),
    )


TODO = {
    "kept": "nothing.",
    "promoted": "nothing; `registry rollback` puts the former model back.",
    "staging": "look at `registry explain`; `registry promote staging --reason …` puts it into production.",
    "rejected": "look at the data: `registry explain` has the numbers.",
}


def decision_message(*, project: str, run: str, link: str, decision: dict[str, Any]) -> Message:
    """Tell what the gate decided; `decision` is what the record task returned."""
    return Message(
        subject=f"{project}: {decision['version']} {decision['verdict']}",
        body="\n".join(
            [
                f"Run: {_linked(run, link)}",
                f"Why: {decision['reason']}",
                f"In production: {decision['champion'] or 'no model yet'}",
                *([f"On hold: {', '.join(decision['held'])}"] if decision["held"] else []),
                f"Report: {decision['report'] or _missing(decision['report_error'])}",
                f"To do: {TODO[decision['verdict']]}",
            ]
        ),
    )


def _missing(reason: str) -> str:
    return f"missing, it could not be drawn ({reason})"


BY_HAND = {
    "rolled_back": (
        "rolled back to {version}",
        "find out what was wrong with the model before. It is on hold: a challenger must be better than it too, "
        "until `registry release` lifts that.",
    ),
    "promoted": ("{version} promoted by hand", "nothing; `registry rollback` puts the former model back."),
    "held": (
        "{version} is on hold",
        "nothing; a challenger must be better than it too, until `registry release` lifts that.",
    ),
    "released": ("{version} is no longer on hold", "nothing; the next retrain decides without it."),
}


def by_hand_message(*, project: str, record: Record) -> Message:
    """Tell what a person decided: a rollback, a promotion by hand, a hold, or its end."""
    subject, to_do = BY_HAND[record.verdict]
    lines = [f"Why: {record.reason}", f"In production: {record.champion or 'no model yet'}"]
    lines += [f"On hold: {', '.join(record.held)}"] if record.held else []
    return Message(
        subject=f"{project}: {subject.format(version=record.version)}",
        body="\n".join([*lines, f"To do: {to_do}"]),
    )


def drift_message(*, project: str, run: str, link: str, window: dict[str, Any]) -> Message:
    """Tell that new data no longer look like the training data; `window` has `reason`, `source` and `version`."""
    return Message(
        subject=f"{project}: the data drifted, a retrain is asked for",
        body="\n".join(
            [
                f"Run: {_linked(run, link)}",
                f"Why: {window['reason']}",
                f"Data: {window['source']}",
                f"Report: {window['report'] or _missing(window['report_error'])}",
                f"In production: {window['version']}",
                "To do: look whether the source is as it should be; the retrain starts by itself where it is deployed.",
            ]
        ),
    )


def silence_message(*, project: str, minutes: float) -> Message:
    """Tell that a run was killed together with its runner: the server says so, and fills in the braces."""
    return Message(
        subject=f"{project}: {{{{ flow.name }}}} crashed",
        body="\n".join(
            [
                "Run: {{ flow_run.name }} {{ flow_run | ui_url }}",
                f"Why: no heartbeat for {minutes:g} minutes: its process was killed, or its machine is gone",
                "In production: what `registry list` says; the registry survives a kill at any instruction",
                "To do: see that the machine is up and deploy.py or the worker runs, then run it again.",
            ]
        ),
    )


def _linked(run: str, link: str) -> str:
    return f"{run} {link}".rstrip()


def send(message: Message, *, block: str | None, logger: Any) -> bool:
    """Send `message` through the notification block `<type>/<name>`; return whether it was taken.

    Whatever goes wrong is a warning that holds the message. The block's own error is named by its type only:
    its text may carry the webhook's URL, which is a secret.
    """
    from prefect.blocks.abstract import NotificationBlock
    from prefect.blocks.core import Block

    if not block:
        logger.info("No notification block is set. The message was: %s", message)
        return False
    try:
        loaded = Block.load(block)
    except Exception:
        hint = "save it with `python setup_slack.py`, or set notifications.block to one you have"
        logger.warning(
            "The notification block %s cannot be loaded: %s. It would have said: %s", block, hint, message
        )
        return False
    try:
        if not isinstance(loaded, NotificationBlock):
            raise TypeError("not a notification block")
        with loaded.raise_on_failure():
            _within(SECONDS, lambda: loaded.notify(body=message.body, subject=message.subject))
    except Exception as error:
        kind = type(error).__name__
        logger.warning(
            "The notification block %s did not send (%s). It would have said: %s", block, kind, message
        )
        return False
    return True


def _within(seconds: float, call: Callable[[], object]) -> None:
    """Call, and give up on a call that takes longer: not every block has a time limit of its own, on all it does.

    Raises:
        TimeoutError: it took longer.
        Exception: whatever the call raised.
    """
    errors: list[Exception] = []

    def guarded() -> None:
        try:
            call()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(guarded,), daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError
    if errors:
        raise errors[0]
