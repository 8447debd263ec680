"""The contract of a model: everything but the fitted pipeline that decides what it predicts.

It is learned at training and saved with the version. Whatever reads a table for a model reads it through the contract,
so that the same row gives the same prediction from any kind of file, alone or among others, this year and next.
"""

import difflib
import json
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..errors import DataError
from ..settings import ProblemType, ReadSettings, Settings
from ._checks import check_duplicates
from ._columns import (
    CATEGORIES_KEPT,
    FEW_ROWS,
    Cells,
    Column,
    NumberFormat,
    as_floats,
    clean_text,
    is_identifier,
    is_row_counter,
    learn_column,
    read_column,
    tolerated,
)
from ._identity import FORMAT as IDENTITY_FORMAT
from ._identity import Identities, row_identities
from ._numbers import MARKS_ATTRIBUTE, decimal_signs
from ._numbers import SIGNS_ATTRIBUTE as SIGNS

logger = logging.getLogger(__name__)

MISSING_RISE = 0.3  # of the share of missing cells, beyond which a column is not what it was
MISSING_ROWS = 30  # fewer rows say nothing about a share
MOSTLY = 0.5  # of a column's values may be unknown from training
THOUSAND = 1000.0  # what a point or a comma that is read as the other one makes of a number
_SHOWN = 10  # columns in an error
_FORMAT = 1
_AS_FOUND = ReadSettings()


class SchemaError(DataError):
    """The table is not what the model was trained on.

    Attributes:
        gone: The columns that it lacks.
    """

    gone: tuple[str, ...] = ()


class ContractError(DataError):
    """The contract of a version cannot be read by this release."""


@dataclass
class Unread:
    """Cells of one column that could not be read: how many of how many with a value, and the first of them."""

    cells: int
    known: int
    example: str
    row: int


@dataclass
class ReadReport:
    """What was noticed while reading a table, batch by batch.

    Attributes:
        rows: How many were read.
        unread: Column to the cells that could not be read, and are missing now.
        missing: Column to how many cells are missing, unread ones not among them.
        new_categories: Column to value to how many rows hold it, for values that training did not have.
        new_columns: Names that were not there in training; they are ignored.
        spans: Column to its smallest and largest number.
    """

    rows: int = 0
    unread: dict[str, Unread] = field(default_factory=dict)
    missing: Counter[str] = field(default_factory=Counter)
    new_categories: dict[str, Counter[str]] = field(default_factory=dict)
    new_columns: list[str] = field(default_factory=list)
    spans: dict[str, tuple[float, float]] = field(default_factory=dict, compare=False, repr=False)

    def note(self, name: str, cells: Cells) -> None:
        """Note one column of the rows."""
        self.missing[name] = cells.missing
        if cells.bad_example:
            text, position = cells.bad_example
            self.unread[name] = Unread(cells.bad, self.rows - cells.missing, text, position + 1)
        if cells.new_categories:
            self.new_categories[name] = Counter(cells.new_categories)
        if cells.values.dtype == np.float64:
            self.note_spans({name: cells.values.to_numpy()})

    def note_spans(self, columns: Mapping[str, Any]) -> None:
        """Note the smallest and the largest number of columns that have one."""
        for name, numbers in columns.items():
            if len(numbers) and not math.isnan(least := np.fmin.reduce(numbers)):
                self.spans[name] = float(least), float(np.fmax.reduce(numbers))

    def add(self, more: "ReadReport") -> None:
        """Count another part of the same table, whose rows come after."""
        for name, theirs in more.unread.items():
            known = self.rows - self.missing[name]
            ours = self.unread.setdefault(name, Unread(0, known, theirs.example, self.rows + theirs.row))
            ours.cells += theirs.cells
        for name, unread in self.unread.items():
            unread.known += more.rows - more.missing[name]
        self.missing.update(more.missing)
        for name, counts in more.new_categories.items():
            self.new_categories.setdefault(name, Counter()).update(counts)
        for name, (least, most) in more.spans.items():
            first, last = self.spans.get(name, (least, most))
            self.spans[name] = min(first, least), max(last, most)
        self.new_columns = self.new_columns or more.new_columns
        self.rows += more.rows


@dataclass(frozen=True)
class Contract:
    """What a model takes as its input.

    Attributes:
        columns: Every column of the table it was trained on, by name, the target among them.
        inputs: The columns that `features()` is given, in order.
        target: The column that is predicted.
        problem_type: What is predicted.
        classes: The classes of the target, in order; None for a regression.
        identity: The columns whose values tell a row from others; empty where all inputs do. A column that counts the
            rows does not.
        identity_from: Why these: `keys` and `time` of the settings, an `identifier` that was found, or the `content`.
        content: The columns that tell a row where `identity` does not, those that the model does not get among them;
            empty: the inputs.
        tolerance: The share of a column's cells that may be unreadable.
        features_sha256: Of the features.py the model was trained with.
        decimal: The decimal sign of text files by the settings; None: what each file proves.
        imports: Modules of the project that features.py or the pipeline use, and that the version does not hold, to
            their SHA-256.
    """

    columns: dict[str, Column]
    inputs: tuple[str, ...]
    target: str
    problem_type: ProblemType
    classes: tuple[Any, ...] | None = None
    identity: tuple[str, ...] = ()
    identity_from: Literal["keys", "identifier", "content"] = "content"
    content: tuple[str, ...] = ()
    tolerance: float = 0.01
    features_sha256: str = ""
    decimal: str | None = None
    imports: dict[str, str] = field(default_factory=dict)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """The columns that name a row, and are carried over beside its prediction."""
        return tuple(name for name in self.identity if self.identity_from != "content")

    @property
    def target_words(self) -> tuple[str, ...]:
        """The words of missingness that are classes."""
        return self.columns[self.target].words if self.target in self.columns else ()

    @cached_property
    def input_index(self) -> "pd.Index[str]":
        """The inputs as the columns of a frame: frames that share it share its hash table, which is built here."""
        names = pd.Index(self.inputs)
        assert names.is_unique
        return names

    @property
    def texts(self) -> frozenset[str]:
        """The columns whose cells must come as they are written, for reading them as numbers would lose something."""
        return frozenset(
            name
            for name, column in self.columns.items()
            if column.as_written or (self.decimal and column.kind == "number")
        )

    def read(self, frame: pd.DataFrame, *, report: ReadReport | None = None, keep_extra: bool = False) -> pd.DataFrame:
        """Return the inputs in the form they had in training: float64, `boolean`, datetime64[us] and `str`.

        What a cell becomes depends on that cell and the contract alone. Cells that cannot be read are missing; whether
        they are too many is for `check` to say, when the whole table was read.

        Args:
            frame: n rows as a file has them, or as another contract read them.
            report: Counts what is noticed.
            keep_extra: Return the other columns of the table too, as far as they are there, those new since training as
                they come: for label().

        Raises:
            SchemaError: columns are missing; ten are named, the others counted.
            DuplicateColumnsError: two columns have the same name.
        """
        part = ReadReport(len(frame))
        if (floats := self._read_already(frame)) is not None:
            part.missing.update(dict(zip(self.inputs, np.isnan(floats).sum(axis=0).tolist(), strict=True)))
            if report is not None:
                part.note_spans(dict(zip(self.inputs, floats.T, strict=True)))
                report.add(part)
            return pd.DataFrame(floats, index=frame.index, columns=self.input_index)
        names = [clean_text(str(name)) for name in frame.columns]
        frame = frame if names == list(frame.columns) else frame.set_axis(names, axis=1)
        check_duplicates(frame)
        self._require(frame)
        signs = self._signs(frame)
        names = [
            *self.inputs,
            *((name for name in frame.columns if name not in self.inputs) if keep_extra else ()),
        ]
        nothing = pd.Series(math.nan, index=frame.index)  # for a column that was empty in training, and is gone
        parts: dict[str, pd.Series] = {}
        for name in names:
            column = self.columns.get(name)
            if column is None:
                parts[name] = frame[name]
                continue
            cells = read_column(frame.get(name, nothing), column, decimal=signs.get(name, signs.get("")))
            parts[name] = cells.values
            if name in self.inputs:
                part.note(name, cells)
        part.new_columns = [name for name in frame.columns if name not in self.columns]
        if report is not None:
            report.add(part)
        # Few rows are soon put side by side in memory, where every later step finds them faster.
        return pd.DataFrame(parts, index=frame.index, copy=len(frame) <= FEW_ROWS)

    def _read_already(self, frame: pd.DataFrame) -> Any:
        """Return the cells where nothing is left to read: few rows of the inputs alone, all numbers; otherwise None."""
        numbers = all(self.columns[name].kind == "number" for name in self.inputs)
        return as_floats(frame) if numbers and frame.columns.equals(self.input_index) else None

    def check(self, report: ReadReport, *, rows: int | None = None, counted: str = "row", unknown: bool = True) -> None:
        """Make sure that what was read fits, and warn of what is new.

        Args:
            report: Of the whole table, or of its beginning.
            rows: Of the whole table, where it is known and `report` is of its beginning: only what more rows could
                not cure is an error then.
            counted: What the rows are called in messages.
            unknown: Whether most values of a column may not be new.

        Raises:
            SchemaError: too many cells of a column could not be read, most of its values are unknown from training, or
                it is emptier by 30 points or more; ten are named with what was expected, what came, and where.
        """
        rest = max(0, (rows or 0) - report.rows)
        problems = []
        for name, unread in report.unread.items():
            if not tolerated(unread.cells, unread.known + rest, tolerance=self.tolerance):
                known = f"the first {unread.known:,}" if rest else f"{unread.known:,}"
                problems.append(
                    f"column {name!r}: expected {_expected(self.columns[name])}, but {unread.cells:,} of {known} "
                    f"cells cannot be read as that, such as {unread.example!r} ({counted} {unread.row:,})"
                )
        for name, missing in report.missing.items() if not rest else ():
            share, before = missing / max(1, report.rows), self.columns[name].missing
            if report.rows >= MISSING_ROWS and share >= before + MISSING_RISE:
                problems.append(
                    f"column {name!r}: {share:.0%} of {report.rows:,} rows have no value, {before:.0%} in training"
                )
        if not rest and report.rows >= MISSING_ROWS:
            problems += self._scaled(report)
        if unknown and not rest:
            problems += self._unknown(report)
        if problems:
            raise _not_as_trained(problems)
        if rest:
            return
        for name, unread in report.unread.items():
            logger.warning("%s", describe_unread(name, unread, self.columns[name]))
        if report.new_categories:
            new = [
                f"{name} ({sum(counts.values())} rows, such as {next(iter(counts))!r})"
                for name, counts in report.new_categories.items()
            ]
            more = f" and {len(new) - _SHOWN:,} more columns" if len(new) > _SHOWN else ""
            logger.warning("Categories unknown from training, read as missing: %s", ", ".join(new[:_SHOWN]) + more)

    def _scaled(self, report: ReadReport) -> Iterator[str]:
        """Name the columns whose numbers are all beyond those of training, and among them times or over a thousand."""
        for name, (least, most) in report.spans.items():
            low, high = self.columns[name].minimum, self.columns[name].maximum
            if not isinstance(low, float) or not isinstance(high, float) or (least <= high and most >= low):
                continue
            for factor, said in ((THOUSAND, "smaller"), (1 / THOUSAND, "larger")):
                if low <= least * factor and most * factor <= high:
                    yield (
                        f"column {name!r}: all numbers, {least:g} to {most:g}, are as if 1000 times {said} than in "
                        f"training, {low:g} to {high:g}. If the file's decimal sign was misread, set "
                        "data.read.decimal; otherwise bring the column back to its unit"
                    )

    def _unknown(self, report: ReadReport) -> Iterator[str]:
        for name, counts in report.new_categories.items():
            unread = report.unread[name].cells if name in report.unread else 0
            known, new = report.rows - report.missing[name] - unread, sum(counts.values())
            if report.rows < MISSING_ROWS or new <= MOSTLY * known:
                continue
            if len(self.columns[name].categories or ()) <= CATEGORIES_KEPT:  # more: new codes come with new customers
                yield (
                    f"column {name!r}: {new:,} of {known:,} cells hold values unknown from training, such as "
                    f"{next(iter(counts))!r}; training had values such as {self.columns[name].example!r}. A column "
                    "whose values are always new says nothing: leave it out (data.drop)"
                )

    def identities(self, frame: pd.DataFrame) -> Identities:
        """Return the identity of each row, shape (n,), of n rows that this contract read.

        Raises:
            SchemaError: columns that tell rows apart are missing.
        """
        content = self.content or self.inputs
        if gone := {*self.identity, *content}.difference(frame.columns):
            raise _not_as_trained([f"column {name!r} tells rows apart, and is missing" for name in sorted(gone)])
        return row_identities(frame, columns=self.identity or content, otherwise=content)

    def to_json(self) -> str:
        """Return it as it is saved."""
        content = asdict(self) | {"format": _FORMAT, "identity_format": IDENTITY_FORMAT}
        for column in content["columns"].values():
            for bound in ("minimum", "maximum"):
                if isinstance(column[bound], float) and not math.isfinite(column[bound]):
                    column[bound] = None
        return json.dumps(content, indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Contract":
        """Return the contract of a `to_json()`.

        Raises:
            ContractError: it was written by a release that this one does not know.
        """
        try:
            content: Mapping[str, Any] = json.loads(text)
            if (content["format"], content["identity_format"]) != (_FORMAT, IDENTITY_FORMAT):
                raise ValueError(f"its format is {content['format']}.{content['identity_format']}")
            columns = {
                name: Column(
                    **facts
                    | {
                        "number_format": NumberFormat(facts["number_format"]["decimal"]),
                        "categories": None if facts["categories"] is None else tuple(facts["categories"]),
                        "words": tuple(facts.get("words", ())),
                        "absent": tuple(facts.get("absent", ())),
                    }
                )
                for name, facts in content["columns"].items()
            }
            known = {name: content[name] for name in cls.__dataclass_fields__ if name in content}
            tuples = {name: tuple(known[name]) for name in ("inputs", "identity", "content") if name in known}
            classes = None if known["classes"] is None else tuple(known["classes"])
            return cls(**known | tuples | {"columns": columns, "classes": classes})
        except (ValueError, KeyError, TypeError) as error:
            raise ContractError(f"The contract cannot be read by this release: {error}.") from None

    def _signs(self, frame: pd.DataFrame) -> dict[str, str]:
        """Return the decimal signs that the file of a frame proves; a frame without a file speaks for itself."""
        if self.decimal:
            return {"": self.decimal}
        if SIGNS in frame.attrs:
            signs: dict[str, str] = frame.attrs[SIGNS]
            return signs
        numbers = [name for name, column in self.columns.items() if column.kind == "number"]
        return decimal_signs(frame[[name for name in numbers if name in frame.columns]])

    def _require(self, frame: pd.DataFrame) -> None:
        gone = [name for name in self.inputs if name not in frame.columns and self.columns[name].kind != "empty"]
        if not gone:
            return
        new = [str(name) for name in frame.columns if name not in self.columns]
        lines = []
        for name in gone:
            near = [other for other in new if other.casefold() == name.casefold()]
            near = near or difflib.get_close_matches(name, new, n=1)
            hint = f" (is {near[0]!r} its new name?)" if near else ""
            lines.append(f"column {name!r}: expected {_expected(self.columns[name])}, but it is missing{hint}")
        error = _not_as_trained(lines)
        error.gone = tuple(gone)
        raise error


def _not_as_trained(problems: list[str]) -> SchemaError:
    """Return the error of so many columns; a message has room for ten."""
    shown = problems[:_SHOWN]
    if rest := len(problems) - len(shown):
        shown.append(f"and {rest:,} more columns")
    return SchemaError("The table is not what the model was trained on:\n  " + "\n  ".join(shown))


class _EveryColumn(frozenset[str]):
    def __contains__(self, name: object) -> bool:
        return True


def texts_of(settings: Settings, prior: Contract | None) -> frozenset[str]:
    """Return the columns that must come as they are written, for `learn_columns`."""
    how = settings.data.read
    if how.decimal:  # no number is to be read by the sign that the file seems to have
        return _EveryColumn()
    texts = frozenset(name for name, kind in how.types.items() if kind == "text")
    return texts | prior.texts if prior else texts


def learn_columns(
    frame: pd.DataFrame,
    *,
    tolerance: float,
    prior: Contract | None = None,
    target: str | None = None,
    how: ReadSettings = _AS_FOUND,
) -> tuple[dict[str, Column], pd.DataFrame, ReadReport]:
    """Determine what each column of a table is, and read it.

    Args:
        frame: The table as its files have it, n rows.
        tolerance: The share of a column's cells that may be unreadable.
        prior: The contract of the model in production: what its columns are is kept where the cells still fit.
        target: The column in which a word that stands for missing numbers elsewhere in the file is no class.
        how: How files are read, by the settings.

    Returns:
        The columns by name, the n rows read, and what was noticed.
    """
    signs = {"": how.decimal} if how.decimal else frame.attrs.get(SIGNS) or decimal_signs(frame)
    columns: dict[str, Column] = {}
    parts: dict[str, pd.Series] = {}
    report = ReadReport(len(frame))
    for name in map(str, frame.columns):
        before = prior.columns.get(name) if prior else None
        columns[name], cells = learn_column(
            frame[name],
            tolerance=tolerance,
            prior=before,
            decimal=signs.get(name, signs.get("")),
            marks={*how.missing, *(frame.attrs.get(MARKS_ATTRIBUTE, ()) if name == target else ())},
            kind=how.types.get(name),
            how=how,
        )
        cells.new_categories = {}
        report.note(name, cells)
        parts[name] = cells.values
    for name, unread in report.unread.items():
        logger.warning("%s", describe_unread(name, unread, columns[name]))
    if target in columns and (words := columns[target].words):
        named = ", ".join(map(repr, words))
        logger.warning(
            "%s is a class of %r here, for many rows have it. If it says that there is no label, list it in "
            "data.read.missing.", named, target
        )  # fmt: skip
    return columns, pd.DataFrame(parts, index=frame.index, copy=False), report


def identity_of(
    frame: pd.DataFrame,
    columns: Mapping[str, Column],
    *,
    names: Sequence[str],
    keys: Iterable[str],
    time_column: str | None,
    prior: Contract | None,
) -> tuple[tuple[str, ...], Literal["keys", "identifier", "content"]]:
    """Choose the columns that tell a row from others.

    The keys of the settings, with the time of the row where the split is by time; else the identifier that the model
    in production goes by, if the table still has it; else one that is found; else the whole row.

    Args:
        frame: The table, read.
        columns: What its columns are.
        names: The columns to choose from: those of the source, whether the model gets them or not.
        keys: Of the settings.
        time_column: Of a split by time.
        prior: The contract of the model in production.

    Returns:
        The columns, empty for the whole row, and where they come from. A column that counts the rows tells nothing: the
        next file may count them anew.
    """
    if keys := tuple(keys):
        return (*keys, *([time_column] if time_column and time_column not in keys else [])), "keys"
    if prior and prior.identity_from == "identifier" and set(prior.identity) <= set(names):
        return prior.identity, "identifier"
    found = [name for name in names if is_identifier(name, frame[name], columns[name])]
    if len(found) == 1:
        return (found[0],), "identifier"
    telling = tuple(name for name in names if not is_row_counter(frame[name], columns[name]))
    return (telling if len(telling) < len(names) else ()), "content"


def describe_unread(name: str, unread: Unread, column: Column) -> str:
    """Say how many cells of a column are missing because they could not be read."""
    return (
        f"Column {name!r}: {unread.cells:,} of {unread.known:,} cells cannot be read as a {column.kind}, such as "
        f"{unread.example!r} (row {unread.row:,}): treated as missing."
    )


def _expected(column: Column) -> str:
    example = f" such as {column.example!r}" if column.example is not None else ""
    dates = f" written as {column.date_format}" if column.kind == "date" else ""
    return f"{column.kind}{example}{dates}"
