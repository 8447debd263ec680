"""Write settings.md, the list of every setting, from the definitions in the library: `make docs`."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from retrainer.locations import Location
from retrainer.settings import Settings

PAGE = Path(__file__).parents[1] / "src" / "retrainer" / "docs" / "settings.md"
ENV_PREFIX = "CHURN_"  # of the package `churn`, the example of all pages
HEADER = f"""# Settings

Set a setting in `config.toml`, or in an environment variable, which overrides the file. The variables begin with the
name of your package in capitals, for which `{ENV_PREFIX}` stands below. An empty variable removes what the file says,
where a setting can be empty. In a variable, a list or a table is JSON: `{ENV_PREFIX}ESTIMATORS='["linear"]'`. An
unknown name is an error.

This page is generated from the library's `settings.py`.
"""
COLUMNS = "| setting | type | default | meaning | environment variable |\n| --- | --- | --- | --- | --- |"
TYPES = {
    str: "text",
    SecretStr: "text, kept secret",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
    Location: "path or URL",
}
BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def leaves(model: Any, *path: str) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Yield the path and the definition of each setting: those of a section first, then its subsections."""
    fields = model.model_fields
    for name in fields:
        if not _is_section(fields[name].annotation):
            yield (*path, name), fields[name]
    for name in fields:
        if _is_section(section := fields[name].annotation):
            yield from leaves(section, *path, name)


def page() -> str:
    """Return the page: one table for each section."""
    parts = [HEADER]
    for section, settings in groupby(leaves(Settings), key=lambda leaf: leaf[0][:-1]):
        rows = [_row(path, field) for path, field in settings]
        parts += [_heading(section), "\n".join([COLUMNS, *rows]) + "\n"]
    return "\n".join(parts)


def _heading(section: tuple[str, ...]) -> str:
    if not section:
        return "## At the top of `config.toml`\n"
    model: Any = Settings
    for name in section:
        model = model.model_fields[name].annotation
    return f"## `[{'.'.join(section)}]`\n\n{model.__doc__.splitlines()[0]}\n"


def _row(path: tuple[str, ...], field: FieldInfo) -> str:
    variable = ENV_PREFIX + "__".join(path).upper()
    cells = [f"`{path[-1]}`", _type(field), _default(field), str(field.description), f"`{variable}`"]
    return f"| {' | '.join(cells)} |"


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _type(field: FieldInfo) -> str:
    bounds = [
        f"{words} {getattr(bound, name):g}"
        for bound in field.metadata
        for name, words in BOUNDS.items()
        if hasattr(bound, name)
    ]
    return ", ".join([_words(field.annotation), *bounds])


def _words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_words(part) for part in arguments if part is not NoneType)
    if origin is Annotated:
        return _words(arguments[0])
    if origin is tuple:
        return f"list of {_words(arguments[0])}"
    if origin is dict:
        return f"table of {_words(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    return TYPES[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory or field.default is None or field.default in ((), {}):
        return "empty"
    value = str(field.default).lower() if isinstance(field.default, bool) else field.default
    return f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Written: {PAGE}")
