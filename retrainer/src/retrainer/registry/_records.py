"""The registry's two kinds of JSON file, each sealed with the SHA-256 of its own content."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from ..errors import RegistryError
from ..files import plain


@dataclass(frozen=True)
class Version:
    """A saved pipeline and its lineage; `files` maps a file's name to its `sha256` and `bytes`."""

    id: str
    created_at: str
    metric: str
    metrics: dict[str, float]
    lineage: dict[str, Any]
    files: dict[str, dict[str, Any]]
    sha256: str


@dataclass(frozen=True)
class Record:
    """A recorded decision: `decision` is the gate's, the other fields are the state of the registry after it.

    `promoted_by` is the number of the decision that made `champion` the champion, at `promoted_at`. `pins` holds the
    seal of every version named here, `previous` the seal of the decision before. `held` maps each version on hold to
    the reason. A clean-up is recorded too: its `version` is None, and `pruned` lists the versions it removed.
    """

    sequence: int
    time: str
    version: str | None
    decision: dict[str, Any]
    champion_before: str | None
    champion: str | None
    staging: str | None
    promoted_by: int | None
    promoted_at: str | None
    pruned: list[str]
    flow_run_id: str | None
    pins: dict[str, str]
    previous: str | None
    sha256: str
    held: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """`promoted`, `staging`, `kept`, `rejected`, `rolled_back`, `held`, `released` or `pruned`."""
        return str(self.decision["verdict"])

    @property
    def reason(self) -> str:
        """The reason in one sentence."""
        return str(self.decision.get("reason", ""))


@dataclass(frozen=True)
class Problem:
    """A finding of `verify`: an `error` breaks a promise of the registry, an `info` is worth knowing."""

    severity: Literal["error", "info"]
    path: str
    what: str
    fix: str

    def __str__(self) -> str:
        """Return the problem as a sentence."""
        return f"{self.path} {self.what}. {self.fix}"


class Damaged(RegistryError):
    """A file of the registry is missing or damaged."""

    def __init__(self, path: str, what: str, fix: str) -> None:
        """Name the path, the damage and the fix."""
        self.problem = Problem("error", path, what, fix)
        super().__init__(str(self.problem))


Entry = TypeVar("Entry", Version, Record)


def seal(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the content without its own seal; the layout of the file does not matter."""
    bare = {name: value for name, value in content.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(bare, sort_keys=True).encode()).hexdigest()


def sealed(content: Mapping[str, Any]) -> bytes:
    """Return the content of the file of a version or decision."""
    body = plain(content)
    return (json.dumps(body | {"sha256": seal(body)}, indent=2) + "\n").encode()


def unsealed(kind: type[Entry], data: bytes) -> Entry:
    """Return the version or decision in a file; ValueError, with the difference, if the file was changed.

    Unknown fields are ignored, and fields with a default may be missing, as the digest is of the file's content.
    """
    try:
        content = json.loads(data)
        entry = kind(**{name: content[name] for name in content if name in kind.__dataclass_fields__})
    except (ValueError, TypeError) as error:
        raise ValueError(f"is truncated, or from another release: {error}") from None
    if entry.sha256 != seal(content):
        raise ValueError("was changed by hand: its digest does not match")
    return entry
