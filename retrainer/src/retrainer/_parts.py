"""The optional parts: what each answer of the template adds to the library's copy, and the package it requires."""

import importlib.util
import json
from dataclasses import dataclass

LOCK = "requirements-extras.lock"


@dataclass(frozen=True)
class OptionalPart:
    """An optional part of the library, added by an answer of the template.

    Attributes:
        module: The module of the library that only exists with this answer.
        prompt: The question of the template.
        requires: The package that it imports.
    """

    module: str
    prompt: str
    requires: str


PARTS = {
    ("serving", "http"): OptionalPart(".serving", prompt="serving", requires="uvicorn"),
    ("registry.kind", "mlflow"): OptionalPart(".registry._mlflow_registry", prompt="tracking", requires="mlflow"),
    ("scale_out.runner", "dask"): OptionalPart(".prefect._dask", prompt="scale_out", requires="prefect_dask"),
}


def has_part(setting: str, value: str) -> bool:
    """Return whether the library of this project has the optional part."""
    module = PARTS[setting, value].module
    return importlib.util.find_spec(module, __package__) is not None


def check_part(setting: str, value: str) -> str:
    """Return `value` if this project has the optional part that it requires.

    Raises:
        ValueError: the part is missing; the message has the command that adds it.
    """
    part = PARTS.get((setting, value))
    if part is None:
        return value
    if not has_part(setting, value):
        answer = json.dumps({part.prompt: value})
        command = f"cruft update --skip-apply-ask --variables-to-update '{answer}'"
        raise ValueError(f"{value!r} is an option that this project was rendered without. Add it with {command}")
    if importlib.util.find_spec(part.requires) is None:
        raise ValueError(f"{value!r} needs the package {part.requires}. Install it with make setup LOCK={LOCK}")
    return value
