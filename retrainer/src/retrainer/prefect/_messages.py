"""The messages to the team: a table of texts, pure functions that fill it in, and one function that sends.

Any Prefect notification block will do (Slack, Teams, Discord, PagerDuty, e-mail): the setting names it as
`<block type>/<block name>`. A missing block or a dead webhook is a warning, and the message another one, never an
error: the run's own outcome stands.
"""

import contextvars
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from string import Formatter
from typing import Any, TypeVar

from ..errors import shell_command
from ..pipeline import Run
from ..project import Project
from ..registry import Record
from ..settings import read_leniently

Result = TypeVar("Result")
LOAD_SECONDS = 45.0  # longer, and the server is dead; the first import of a Kubernetes worker took 20 on a busy machine
SECONDS = 3.0  # a webhook that takes longer is dead; the run goes on

# Apprise, which sends for Prefect's blocks, logs the URLs that it cannot read, with the secrets in them. A filter stays
# when the logging is configured once more.
logging.getLogger("apprise").addFilter(lambda record: False)


@dataclass(frozen=True)
class Message:
    """A subject of one line and a body of a few, about a project."""

    subject: str
    body: str
    project: str = ""

    def __str__(self) -> str:
        return f"{self.subject}\n{self.body}"


# Each text has PROJECT in place of the name of the project, which is that of its console command.
DOCTOR, REGISTRY = shell_command("PROJECT", "doctor"), partial(shell_command, "PROJECT", "registry")
UNSENT = "The message was: "  # begins the log line of a message that was not sent
RUN, WHY, TO_DO = "Run: {run}", "Why: {reason}", "To do: {to_do}"
PRODUCTION, HOLD, REPORT = "In production: {champion}", "On hold: {held}", "Report: {report}"
# The server fills in the double braces; there is no link where PREFECT_UI_URL is not set.
SERVER_RUN, SERVER_WHY = (
    "Run: {{ flow_run.name }} {{ flow_run | ui_url or '' }}",
    "Why: {{ flow_run.state.message }}",
)

# The subject after the project's name, then the lines of the body, each left out where a value in it is empty.
TEXTS: dict[str, tuple[str, ...]] = {
    "ended": (
        "{flow} {state}",
        RUN,
        WHY,
        "In production: {champion} ({touched})",
        f"To do: fix the cause and run it again; {DOCTOR} checks common causes.",
    ),
    "decided": (
        "{what}",
        RUN,
        WHY,
        "{alarms}",
        PRODUCTION,
        HOLD,
        "Refit: failed ({failed}); the evaluated model serves",
        REPORT,
        TO_DO,
    ),
    "drift": (
        "{what}, {article} retrain is triggered",
        RUN,
        WHY,
        "Columns: {columns}",
        "Data: {source}",
        REPORT,
        PRODUCTION,
        "{to_do}",
    ),
    "by hand": ("{what}", WHY, "{gate}", PRODUCTION, HOLD, TO_DO),
    "trial": ("a test message", "Messages about retraining will arrive here."),
    "unreported": (
        "{{ flow.name }} {{ flow_run.state.name | lower }}",
        SERVER_RUN,
        SERVER_WHY,
        f"In production: see {REGISTRY('list')}; a killed run does not damage the registry",
        f"To do: check that the machine is up and that deploy.py or the worker runs; {DOCTOR} checks the rest.",
    ),
    "collision": (
        "{{ flow.name }} cancelled, another run is in progress",
        SERVER_RUN,
        SERVER_WHY,
        "To do: nothing if it happens once; otherwise schedule the flow less often, or find a run that hangs.",
    ),
    "not ended": (
        "{{ flow.name }} cancelled, it did not end in time",
        SERVER_RUN,
        SERVER_WHY,
        "To do: check that its process is gone, and that deploy.py or the worker runs.",
    ),
    "late": (
        "{{ flow.name }} is late",
        SERVER_RUN,
        "Why: no process has started it: none serves it, or every slot is taken",
        f"To do: check that deploy.py or the worker runs and has a free slot; {DOCTOR} checks both.",
    ),
}
DECIDED = {
    "promoted": "{version} promoted",
    "kept": "{version} not promoted, {production}",
    "staging": "{version} waits in staging, {production}",
    "rejected": "{version} rejected, {production}",
}
BY_HAND = {
    "rolled_back": ("rolled back to {version}", "find out what was wrong with {before}."),
    "promoted": ("{version} promoted by hand", "nothing."),
    "held": ("{version} is on hold", "nothing."),
    "released": ("{version} is no longer on hold", "nothing. The next retrain does not compare with it."),
}
ROLLBACK = f" To return to {{before}}: {REGISTRY('rollback')}."
HOLD_RULE = (
    " {held} is on hold: until the hold ends, a new model is promoted only if it is better than {held} and the"
    f" champion. To end the hold: {REGISTRY('release', '{held}')}."
)
OVERRULED = {"kept": "did not promote it", "staging": "put it into staging", "rejected": "rejected it"}


def message(kind: str, *, project: str, **values: str) -> Message:
    """Return a message of `TEXTS`. Without values, its placeholders are for the server, or there are none.

    Examples:
        >>> message("trial", project="churn").subject
        'churn: a test message'
    """
    subject, *lines = (text.replace("PROJECT", project) for text in TEXTS[kind])
    if values:
        kept = (line for line in lines if all(values[name] for name in _placeholders(line)))
        subject, lines = subject.format(**values), [line.format(**values) for line in kept]
    return Message(f"{project}: {subject}", "\n".join(lines), project)


def _placeholders(line: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(line) if name]


def decision_message(*, project: str, run: Run, decision: dict[str, Any]) -> Message:
    """Return the message about a decision; `decision` is the result of the record task."""
    champion = decision["champion"]
    production = f"{champion} stays in production" if champion else "no model is in production yet"
    what, alarms = (
        DECIDED[decision["verdict"]].format(version=decision["version"], production=production),
        decision["alarms"],
    )
    return message(
        "decided",
        project=project,
        what=f"{what}, {len(alarms)} alarm{'s' * (len(alarms) > 1)}" if alarms else what,
        run=_name_and_url(run),
        alarms="\n".join(f"Alarm: {alarm}" for alarm in alarms),
        failed=(decision["refit"] or {}).get("failed", ""),
        report=_report_text(decision),
        **_production_fields(champion, decision["held"]),
        **{name: decision[name] for name in ("reason", "to_do")},
    )


def _production_fields(champion: str | None, held: Iterable[str]) -> dict[str, str]:
    return {"champion": champion or "no model yet", "held": ", ".join(held)}


def _report_text(result: dict[str, Any]) -> str:
    return result["report"] or f"missing, drawing it failed ({result['report_error']})"


def by_hand_message(*, project: str, record: Record, gate: Record | None = None) -> Message:
    """Return the message about a person's decision: a rollback, a promotion by hand, a hold, or its end.

    Args:
        project: The name of the project.
        record: The decision by hand.
        gate: The gate's decision about the same version, which a promotion may overrule.

    Examples:
        >>> print(by_hand_message(project="churn", record=rollback).subject)
        churn: rolled back to v1
    """
    before, verdict, overruled, more = record.champion_before, record.verdict, "", ""
    if verdict == "promoted" and gate and gate.verdict in OVERRULED:
        overruled = f"The gate {OVERRULED[gate.verdict]}: {gate.reason.partition(': ')[2]}"
    if verdict == "promoted" and before:
        more = ROLLBACK
    if verdict == "held" or (verdict == "rolled_back" and before in record.held):
        more = HOLD_RULE
    held = record.version if verdict == "held" else before
    what, to_do = (
        text.replace("PROJECT", project).format(version=record.version, before=before, held=held)
        for text in (BY_HAND[verdict][0], BY_HAND[verdict][1] + more)
    )
    in_production = _production_fields(record.champion, record.held)
    facts = {"what": what, "reason": record.reason, "gate": overruled, "to_do": to_do}
    return message("by hand", project=project, **facts, **in_production)


def drift_message(*, project: str, run: Run, window: dict[str, Any]) -> Message:
    """Report drift, a worse score on new data, or data that do not match the training data.

    `window` is the result of `check_drift`, with `triggered` and `to_do`.
    """
    return message(
        "drift",
        project=project,
        what=_describe_window(window),
        article="a" if window["triggered"] else "no",
        run=_name_and_url(run),
        columns=", ".join(window["drifted_columns"]),
        report=_report_text(window),
        champion=window["version"],
        **{name: window[name] for name in ("reason", "source", "to_do")},
    )


def _describe_window(window: dict[str, Any]) -> str:
    if window["misfit"]:
        return "the new data do not match the training data"
    return "the data drifted" if window["drifted"] else "the model is worse on new data"


def _name_and_url(run: Run) -> str:
    return f"{run.name} {run.url}".rstrip()


class NotSent(Exception):
    """The message was not sent; the text says why, without the text of the block, which may hold its URL."""


def recipient(project: Project) -> tuple[str, str | None]:
    """Return the project's name and its notification block, also from settings that are broken elsewhere.

    Examples:
        >>> name, block = recipient(project)
        >>> name
        'churn'
    """
    try:
        settings = project.settings
    except Exception:
        where: Any = {"config_file": project.config_file, "env_prefix": project.env_prefix}
        name = read_leniently("project", **where) or project.package
        return name, read_leniently("notifications.block", **where)
    return settings.project, settings.notifications.block


def send(message: Message, *, block: str | None, logger: Any) -> bool:
    """Send `message` through the notification block `<type>/<name>`; return whether it was sent.

    An error becomes a warning in the log, and a second one contains the message.
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
    from prefect.blocks import notifications  # with all it imports: the time limits are for others
    from prefect.blocks.core import Block
    from prefect.exceptions import ObjectNotFound

    kind, _, name = block.partition("/")
    classes: list[Any] = [
        each for each in vars(notifications).values() if isinstance(each, type) and issubclass(each, Block)
    ]
    known = {each.get_block_type_slug(): each for each in classes}
    try:
        # `Block.load` imports all that is installed and may have blocks, such as the Kubernetes worker: 5 s of a core.
        loaded = within(LOAD_SECONDS, lambda: known[kind].load(name) if kind in known else Block.load(block))
    except TimeoutError:
        raise NotSent(f"The notification block {block} was not loaded within {LOAD_SECONDS:g} seconds.") from None
    except Exception as error:
        missing = isinstance(error.__cause__, ObjectNotFound)
        trouble = "does not exist" if missing else f"cannot be loaded ({type(error).__name__})"
        save = f"{shell_command(message.project, 'setup', 'slack')} saves it, or "
        slack = save if block.startswith("slack-webhook/") else ""
        raise NotSent(
            f"The notification block {block} {trouble}: {slack}set notifications.block to one you have."
        ) from None
    if not isinstance(loaded, notifications.NotificationBlock):
        raise NotSent(f"{block} is not a notification block: set notifications.block to one.")
    notify(loaded, message, name=block)


def notify(block: Any, message: Message, *, name: str) -> None:
    """Send `message` through a loaded notification block; it need not be saved.

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
    """Return the result of `call`, or stop waiting after `seconds`.

    Raises:
        TimeoutError: the call took longer.
        Exception: the call raised an error.
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
