"""The result of one check of `doctor`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: What was checked.
        severity: `ok`, `warning` or `error`.
        found: The finding.
        fix: The fix in words; empty without a problem.
        command: The command of the fix; empty if a person has to choose or edit.
    """

    name: str
    severity: Literal["ok", "warning", "error"]
    found: str
    fix: str = ""
    command: str = ""


def new_block(project: str, block: str) -> tuple[str, str]:
    """Return how to save a block again: the fix, and its command where there is one."""
    if block.startswith("slack-webhook/"):
        return "save it with the webhook's URL", f"{project} setup slack"
    return "save it in the Prefect UI under Blocks", ""
