"""What a person should do about a decision, with the commands for it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..errors import shell_command


def to_do(facts: Mapping[str, Any], *, project: str) -> str:
    """Return what to do about a decision.

    Args:
        facts: The facts of the run that decided.
        project: The name of the project and of its console command.

    Examples:
        >>> facts = {"version": "v2", "verdict": "rejected", "kind": "below_floor"}
        >>> to_do(facts, project="churn")
        'check the data. `churn registry explain v2` has the numbers.'
    """
    command = partial(shell_command, project)
    if facts["verdict"] == "staging":
        return _about_staged(facts, project)
    if facts["verdict"] == "rejected":
        return f"check the data. {command('registry', 'explain', facts['version'])} has the numbers."
    if facts["kind"] == "not_comparable":
        accept = command("retrain", "--accept-not-comparable")
        return f"correct the table or its query. If the change is meant: {accept}."
    first = "check the alarms." if facts["alarms"] else "nothing."
    if facts["verdict"] == "promoted" and (before := facts["champion_before"]):
        return f"{first} To return to {before}: {command('registry', 'rollback')}."
    return first


def _about_staged(facts: Mapping[str, Any], project: str) -> str:
    command, version, kind = partial(shell_command, project), facts["version"], facts["kind"]
    numbers = f"{command('registry', 'explain', version)} has the numbers."
    if kind == "baseline":
        return (
            f"do not promote {version}, it is not better than a prediction without a model. Check the data. {numbers}"
        )
    if alarms := facts["alarms"]:
        urgency = f"find the cause of the alarm{'s' * (len(alarms) > 1)}, and do not promote {version} before that."
    else:
        stays = f"{facts['champion']} stays in production" if facts["champion"] else "no model is in production yet"
        urgency = f"not urgent, {stays}."
    text = f"{urgency} {numbers} To put {version} into production: {command('registry', 'promote', version)}."
    ends = [
        command("registry", "release", name) for name in facts["held"] if kind == "held" and name in facts["reason"]
    ]
    return f"{text} To end the hold: {', '.join(ends)}." if ends else text
