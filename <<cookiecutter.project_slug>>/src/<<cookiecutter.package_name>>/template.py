"""What this project has of its template: a release, and the parts that its answers asked for.

A part brings modules that the rest of the package finds by name: `settings_<name>` with its settings, `cli/_<name>`
with its commands, and one in the room that it extends. The template's hook removes what was not asked for. `cruft
update` brings a newer release, and with a changed answer a part.
"""

import importlib
import importlib.util
import json
from dataclasses import dataclass
from types import ModuleType

VERSION = "1.0.0.dev0"
LOCK = "requirements-extras.lock"


@dataclass(frozen=True)
class OptionalPart:
    """What one answer adds to the project.

    Attributes:
        name: The value of the setting that uses it.
        instead_of: The value that every project can have.
        prompt: The question of the template whose answer `name` adds it.
        requires: The package it imports.
    """

    name: str
    instead_of: str
    prompt: str
    requires: str


PARTS = {
    "serving": OptionalPart("http", instead_of="none", prompt="serving", requires="uvicorn"),
    "registry.kind": OptionalPart("mlflow", instead_of="json", prompt="tracking", requires="mlflow"),
    "scale_out.runner": OptionalPart(
        "dask", instead_of="threads", prompt="scale_out", requires="prefect_dask"
    ),
}


def check_part(setting: str, value: str) -> str:
    """Return `value`, if this project can have the setting so.

    Raises:
        ValueError: it cannot; the message names the command that helps.
    """
    part = PARTS[setting]
    if value == part.instead_of:
        return value
    if value != part.name:
        raise ValueError(f"{value!r} is neither {part.instead_of!r} nor {part.name!r}")
    if not _find("settings", part):
        answer = json.dumps({part.prompt: value})
        command = f"cruft update --skip-apply-ask --variables-to-update '{answer}'"
        raise ValueError(f"{value!r} was not asked for when this project was made. Add it with {command}")
    if importlib.util.find_spec(part.requires) is None:
        raise ValueError(
            f"{value!r} needs the package {part.requires}. Install it with make setup LOCK={LOCK}"
        )
    return value


def part_modules(prefix: str) -> list[ModuleType]:
    """Import the modules `<prefix>_<name>` of the parts that this project has."""
    return [importlib.import_module(name) for part in PARTS.values() if (name := _find(prefix, part))]


def _find(prefix: str, part: OptionalPart) -> str:
    name = f"{__package__}.{prefix}_{part.name}"
    return name if importlib.util.find_spec(name) else ""
