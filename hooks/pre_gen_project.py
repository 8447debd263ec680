"""Check every answer before a file is written; print all that is wrong at once."""

import json
import keyword
import math
import re
import sys
import zoneinfo
from collections.abc import Iterator

ANSWERS = r"""<< cookiecutter | jsonify >>"""

LONGEST_NAME = 40
TAKEN = {
    "tests",
    "docs",
    "cookiecutter",
    "cyclopts",
    "dask",
    "distributed",
    "fastapi",
    "joblib",
    "matplotlib",
    "mlflow",
    "numpy",
    "pandas",
    "prefect",
    "pyarrow",
    "pydantic",
    "pytest",
    "scipy",
    "sklearn",
    "skrub",
    "sqlalchemy",
}
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
CRON_FIELDS = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of the month", 1, 31, []),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 7, DAYS),
)


def errors(answers: dict[str, str]) -> Iterator[str]:
    """Yield one sentence for each answer that would break the project: what, and what would do."""
    for name, value in answers.items():
        if name.startswith("_"):
            continue
        if not str(value).strip():
            yield f"{name} is empty."
        elif not str(value).isprintable():
            yield f"{name} holds a line break or another control character: {value!r}."
    yield from name_errors(answers)
    yield from number_errors(answers["min_improvement"])
    yield from cron_errors(answers["schedule"])
    yield from timezone_errors(answers["timezone"])
    for name in ("slack_block", "work_pool"):
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", answers[name]):
            yield f"{name} is {answers[name]!r}: lower-case letters, digits and single dashes only."


def name_errors(answers: dict[str, str]) -> Iterator[str]:
    """Check the names of folder, command and package."""
    slug, package = answers["project_slug"], answers["package_name"]
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", slug) or len(slug) > LONGEST_NAME:
        yield (
            f"project_slug is {slug!r}: lower-case letters, digits and single dashes, a letter first,"
            f" at most {LONGEST_NAME} characters."
        )
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", package) or len(package) > LONGEST_NAME:
        yield (
            f"package_name is {package!r}: lower-case letters, digits and single underscores, a letter first,"
            f" at most {LONGEST_NAME} characters."
        )
    elif keyword.iskeyword(package) or keyword.issoftkeyword(package):
        yield f"package_name is {package!r}, a word of Python's own."
    elif package in TAKEN or package in sys.stdlib_module_names:
        yield f"package_name is {package!r}, which a module that the project imports is called."


def number_errors(text: str) -> Iterator[str]:
    """Check the margin of the gate: a plain decimal number, as TOML wants it."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) or not math.isfinite(float(text)):
        yield f"min_improvement is {text!r}: a number such as 0.005, zero or more."


def timezone_errors(name: str) -> Iterator[str]:
    """Check the time zone, where this machine has a list of them."""
    known = zoneinfo.available_timezones()
    if known and name not in known:
        yield f"timezone is {name!r}, which is no IANA time zone; one is Europe/Berlin."


def cron_errors(expression: str) -> Iterator[str]:
    """Check a cron expression of five fields."""
    fields = expression.split()
    if len(fields) != len(CRON_FIELDS):
        yield f"schedule is {expression!r}: five fields are needed, such as 0 6 * * 1 for Mondays at six."
        return
    for text, (field, low, high, names) in zip(fields, CRON_FIELDS, strict=True):
        for part in text.split(","):
            if not _is_cron_part(part, low, high, names):
                yield f"schedule is {expression!r}: {part!r} is no {field}, which is {low} to {high}."


def _is_cron_part(part: str, low: int, high: int, names: list[str]) -> bool:
    span, _, step = part.partition("/")
    if "/" in part and not (step.isdecimal() and 1 <= int(step) <= high):
        return False
    if span == "*":
        return True
    ends = [_cron_number(end, low, names) for end in span.split("-")]
    if len(ends) > 2 or any(end is None or not low <= end <= high for end in ends):
        return False
    return ends == sorted(ends)


def _cron_number(text: str, low: int, names: list[str]) -> "int | None":
    if text.lower() in names:
        return names.index(text.lower()) + low
    return int(text) if text.isdecimal() and text.isascii() else None


def main() -> int:
    """Print every error and return 1, or return 0."""
    found = list(errors(json.loads(ANSWERS)))
    for error in found:
        print(f"error: {error}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
