"""The contract of a model: everything but the fitted pipeline that decides what it predicts.

It is learned at training and saved with the version. Whatever reads a table for a model reads it through the contract,
so that the same row gives the same prediction from any kind of file, alone or among others, this year and next.
"""

import difflib
import json
import logging
import math
import re
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
    middle_of,
    read_column,
    within_tolerance,
)
from ._identity import FORMAT as IDENTITY_FORMAT
from ._identity import Identities, row_identities
from ._numbers import MARKS_ATTRIBUTE, OPEN_ATTRIBUTE, decimal_signs, is_word
from ._numbers import SIGNS_ATTRIBUTE as SIGNS

logger = logging.getLogger(__name__)

MISSING_RISE = 0.3  # of the share of missing cells, beyond which a column is not what it was
MISSING_ROWS = 30  # fewer rows say nothing about a share
MOSTLY = 0.5  # of a column's values may be unknown from training
UNITS = 20.0  # times larger or smaller in the middle: another unit, or another time
MONTHS = 12
THOUSAND = 1000.0  # the factor of a number whose point or comma is read as the other one
_SHOWN = 10  # columns in an error
_FORMAT = 1
_AS_FOUND = ReadSettings()


class SchemaError(DataError):
    """The table does not match the training data of the model.

    Attributes:
        gone: The columns that it lacks.
    """

    gone: tuple[str, ...] = ()


class ContractError(DataError):
    """The contract of a version cannot be read by this release."""


@dataclass
class Unread:
    """The cells of one column that could not be read: their number, that of all cells, and an example."""

    cells: int
    known: int
    example: str
    row: int


@dataclass
class ReadReport:
    """A report of reading a table, batch by batch.

    Attributes:
        rows: The number of rows read.
        unread: Maps each column to its cells that could not be read and are treated as missing.
        missing: Maps each column to its number of missing cells, without unread ones.
        new_categories: Maps each column to its new values, with their numbers of rows.
        new_columns: Names of columns that are new since training; they are ignored.
        spans: Maps each column to its smallest and largest number.
        middles: Maps each column to the median of its numbers, from the first batch with enough of them.
        guesses: Sentences on how the table was read that a person should check; of `learn_columns`.
        totals: Columns whose last number is the sum of the others, as in a row of totals.
    """

    rows: int = 0
    unread: dict[str, Unread] = field(default_factory=dict)
    missing: Counter[str] = field(default_factory=Counter)
    new_categories: dict[str, Counter[str]] = field(default_factory=dict)
    new_columns: list[str] = field(default_factory=list)
    spans: dict[str, tuple[float, float]] = field(default_factory=dict, compare=False, repr=False)
    middles: dict[str, float] = field(default_factory=dict, compare=False, repr=False)
    totals: list[str] = field(default_factory=list)
    guesses: list[str] = field(default_factory=list)

    def note(self, name: str, cells: Cells) -> None:
        """Add the cells of one column to the report."""
        self.missing[name] = cells.missing
        if cells.bad_example:
            text, position = cells.bad_example
            self.unread[name] = Unread(cells.bad, self.rows - cells.missing, text, position + 1)
        if cells.new_categories:
            self.new_categories[name] = Counter(cells.new_categories)
        if cells.values.dtype == np.float64:
            self.note_spans({name: cells.values.to_numpy()})

    def note_spans(self, columns: Mapping[str, Any]) -> None:
        """Record smallest, largest and median number of each number column, and whether the last one is a sum."""
        for name, numbers in columns.items():
            if not len(numbers) or math.isnan(least := np.fmin.reduce(numbers)):
                continue
            most = np.fmax.reduce(numbers)
            self.spans[name] = float(least), float(most)
            if len(numbers) < MISSING_ROWS:
                continue
            self.middles[name] = middle_of(numbers)
            if numbers[-1] == most > 0 and math.isclose(np.nansum(numbers[:-1]), most, rel_tol=1e-6):
                self.totals.append(name)

    def add(self, more: "ReadReport") -> None:
        """Add the counts of the next part of the same table."""
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
        self.middles = more.middles | self.middles
        self.totals = more.totals  # at the end of the table alone
        self.new_columns = self.new_columns or more.new_columns
        self.rows += more.rows


@dataclass(frozen=True)
class Contract:
    """How a model reads its input.

    Attributes:
        columns: Every column of the training table by name, including the target.
        inputs: The columns that `features()` is given, in order.
        target: The column that is predicted.
        problem_type: Whether the target is a class or a number.
        classes: The classes of the target, in order; None for a regression.
        identity: The columns whose values identify a row; empty where all inputs do. A column that counts the
            rows does not.
        identity_from: The source of `identity`: `keys` (and the time) of the settings, an `identifier` that was found,
            or the `content`.
        content: The columns that identify a row where `identity` does not, including columns that the model does not
            get; empty means the inputs.
        tolerance: The share of a column's cells that may be unreadable.
        features_sha256: The SHA-256 of the features.py that the model was trained with.
        decimal: The decimal sign of text files that the settings name; None takes the one that each file shows.
        imports: Maps each module of the project that features.py or the pipeline use to its SHA-256. The version does
            not contain these modules.
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
        """The columns that identify a row; they are copied beside its prediction."""
        return tuple(name for name in self.identity if self.identity_from != "content")

    @property
    def target_words(self) -> tuple[str, ...]:
        """The words of missingness that are classes."""
        return self.columns[self.target].words if self.target in self.columns else ()

    @cached_property
    def input_index(self) -> "pd.Index[str]":
        """The names of the inputs as a pandas Index. Frames that share it also share its hash table."""
        names = pd.Index(self.inputs)
        assert names.is_unique
        return names

    @property
    def texts(self) -> frozenset[str]:
        """The columns whose cells must be read as text, because a number would lose a part of them."""
        return frozenset(
            name
            for name, column in self.columns.items()
            if column.as_written or (self.decimal and column.kind == "number")
        )

    def read(self, frame: pd.DataFrame, *, report: ReadReport | None = None, keep_extra: bool = False) -> pd.DataFrame:
        """Return the inputs in the form they had in training: float64, `boolean`, datetime64[us] and `str`.

        The value of a cell depends only on that cell and the contract. Cells that cannot be read become missing. When
        the whole table was read, `check` refuses it if there are too many.

        Args:
            frame: n rows as a file has them, or as another contract read them.
            report: Counts of unreadable cells and of unknown values are added to it.
            keep_extra: Whether to return the other columns of the table too, for `label()`. Columns that are new since
                training keep their type.

        Raises:
            SchemaError: columns are missing; the message names ten and counts the others.
            DuplicateColumnsError: two columns have the same name.
        """
        part = ReadReport(len(frame))
        if (floats := self._as_already_read(frame)) is not None:
            part.missing.update(dict(zip(self.inputs, np.isnan(floats).sum(axis=0).tolist(), strict=True)))
            if report is not None:
                part.note_spans(dict(zip(self.inputs, floats.T, strict=True)))
                report.add(part)
            return pd.DataFrame(floats, index=frame.index, columns=self.input_index)
        names = [clean_text(str(name)) for name in frame.columns]
        frame = frame if names == list(frame.columns) else frame.set_axis(names, axis=1)
        check_duplicates(frame)
        self._require_columns(frame)
        signs = self._decimal_signs(frame)
        names = [*self.inputs, *((name for name in frame.columns if name not in self.inputs) if keep_extra else ())]
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

    def _as_already_read(self, frame: pd.DataFrame) -> Any:
        """Return the cells where nothing is left to read: few rows of the inputs alone, all numbers; otherwise None."""
        numbers = all(self.columns[name].kind == "number" for name in self.inputs)
        return as_floats(frame) if numbers and frame.columns.equals(self.input_index) else None

    def check(self, report: ReadReport, *, rows: int | None = None, counted: str = "row", unknown: bool = True) -> None:
        """Check that the table matches the contract, and warn of new categories.

        Args:
            report: The report of the whole table, or of its beginning.
            rows: The number of rows of the whole table, where `report` is of its beginning. Then only problems that
                more rows cannot solve are errors.
            counted: The word for a row in messages.
            unknown: Whether new values in most rows of a column are an error.

        Raises:
            SchemaError: too many cells of a column could not be read, most of its values were not in the training data,
                or it is emptier by 30 points or more. The message names ten columns, with the expected and the actual
                values.
        """
        rest = max(0, (rows or 0) - report.rows)
        problems = []
        for name, unread in report.unread.items():
            if not within_tolerance(unread.cells, unread.known + rest, tolerance=self.tolerance):
                known = f"the first {unread.known:,}" if rest else f"{unread.known:,}"
                cure = ". If that means a missing value, add it to data.read.missing and retrain"
                problems.append(
                    f"column {name!r}: expected {_expected_text(self.columns[name])}, but {unread.cells:,} of {known} "
                    f"cells cannot be read as that, such as {unread.example!r} ({counted} {unread.row:,})"
                    + cure
                    * is_word(unread.example)
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
            raise _not_as_trained_error(problems)
        if rest:
            return
        for name, unread in report.unread.items():
            logger.warning("%s", describe_unread(name, unread, self.columns[name]))
        for said in (*describe_totals(report), *self._other_units(report)):
            logger.warning("%s", said)
        if report.new_categories:
            new = [
                f"{name} ({sum(counts.values())} rows, such as {next(iter(counts))!r})"
                for name, counts in report.new_categories.items()
            ]
            more = f" and {len(new) - _SHOWN:,} more columns" if len(new) > _SHOWN else ""
            logger.warning(
                "Categories that were not in the training data, read as missing: %s", ", ".join(new[:_SHOWN]) + more
            )

    def _scaled(self, report: ReadReport) -> Iterator[str]:
        """Name the columns whose numbers are all about 1,000 times smaller or larger than in training."""
        for name, (least, most) in report.spans.items():
            low, high = self.columns[name].minimum, self.columns[name].maximum
            if not isinstance(low, float) or not isinstance(high, float) or (least <= high and most >= low):
                continue
            for factor, said in ((THOUSAND, "smaller"), (1 / THOUSAND, "larger")):
                if low <= least * factor and most * factor <= high:
                    yield (
                        f"column {name!r}: all numbers, {least:g} to {most:g}, are about 1000 times {said} than in "
                        f"training, {low:g} to {high:g}. If the decimal sign was misread, set data.read.decimal; "
                        "otherwise restore the unit of the column"
                    )

    def _other_units(self, report: ReadReport) -> Iterator[str]:
        """Name the columns whose median differs much from that in training, as between cents and euros."""
        for name, middle in report.middles.items():
            before = self.columns[name].middle
            if before and middle and before * middle > 0 and not 1 / UNITS < middle / before < UNITS:
                yield (
                    f"Column {name!r}: half of the numbers are beyond {middle:g}, {before:g} in training. "
                    "If the unit is another (cents, shares for percents), restore it"
                )

    def _unknown(self, report: ReadReport) -> Iterator[str]:
        for name, counts in report.new_categories.items():
            unread = report.unread[name].cells if name in report.unread else 0
            known, new = report.rows - report.missing[name] - unread, sum(counts.values())
            if report.rows < MISSING_ROWS or new <= MOSTLY * known:
                continue
            if len(self.columns[name].categories or ()) <= CATEGORIES_KEPT:  # more: new codes come with new customers
                yield (
                    f"column {name!r}: {new:,} of {known:,} cells have values that were not in the training data, such "
                    f"as {next(iter(counts))!r} (a value in training: {self.columns[name].example!r}). If this column "
                    "has new values each time, leave it out (data.drop); otherwise check the source"
                )

    def identities(self, frame: pd.DataFrame) -> Identities:
        """Return the identity of each row, shape (n,), of n rows that this contract read.

        Raises:
            SchemaError: columns that identify the rows are missing.
        """
        content = self.content or self.inputs
        if gone := {*self.identity, *content}.difference(frame.columns):
            raise _not_as_trained_error(
                [f"column {name!r} identifies the rows, and is missing" for name in sorted(gone)]
            )
        return row_identities(frame, columns=self.identity or content, otherwise=content)

    def to_json(self) -> str:
        """Return the contract as JSON."""
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
            ContractError: it was written by an unknown release.
        """
        try:
            content: Mapping[str, Any] = json.loads(text)
            if (content["format"], content["identity_format"]) != (_FORMAT, IDENTITY_FORMAT):
                raise ValueError(f"its format is {content['format']}.{content['identity_format']}")
            columns = {
                name: Column(
                    **facts
                    | {
                        "number_format": _read_number_format(facts["number_format"]),
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

    def _decimal_signs(self, frame: pd.DataFrame) -> dict[str, str]:
        """Return the decimal signs that the file of a frame shows; without a file, those that the frame shows."""
        if self.decimal:
            return {"": self.decimal}
        if SIGNS in frame.attrs:
            signs: dict[str, str] = frame.attrs[SIGNS]
            return signs
        numbers = [name for name, column in self.columns.items() if column.kind == "number"]
        return decimal_signs(frame[[name for name in numbers if name in frame.columns]])

    def _require_columns(self, frame: pd.DataFrame) -> None:
        gone = [name for name in self.inputs if name not in frame.columns and self.columns[name].kind != "empty"]
        if not gone:
            return
        new = [str(name) for name in frame.columns if name not in self.columns]
        lines = []
        for name in gone:
            near = [other for other in new if other.casefold() == name.casefold()]
            near = near or difflib.get_close_matches(name, new, n=1)
            hint = f"; was it renamed to {near[0]!r}?" if near else ""
            lines.append(f"column {name!r} is missing ({_expected_text(self.columns[name])}){hint}")
        error = _not_as_trained_error(lines)
        error.gone = tuple(gone)
        raise error


def _not_as_trained_error(problems: list[str]) -> SchemaError:
    """Return the error about these columns; it lists ten at most."""
    shown = problems[:_SHOWN]
    if rest := len(problems) - len(shown):
        shown.append(f"and {rest:,} more columns")
    return SchemaError("The table does not match the training data:\n  " + "\n  ".join(shown))


class _EveryColumn(frozenset[str]):
    def __contains__(self, name: object) -> bool:
        return True


def texts_of(settings: Settings, prior: Contract | None) -> frozenset[str]:
    """Return the columns to read as text, for `learn_columns`."""
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
    """Learn the kind of each column of a table, and read it.

    Args:
        frame: The n rows as loaded.
        tolerance: The share of a column's cells that may be unreadable.
        prior: The contract of the model in production; a column keeps its kind where the cells still fit.
        target: The name of the target. In this column a word for missing numbers is a class.
        how: The settings of `data.read`.

    Returns:
        The columns by name, the n rows read, and a report of what could not be read.
    """
    signs = {"": how.decimal} if how.decimal else frame.attrs.get(SIGNS) or decimal_signs(frame)
    columns: dict[str, Column] = {}
    parts: dict[str, pd.Series] = {}
    report = ReadReport(len(frame))

    def learn(name: str, how: ReadSettings) -> None:
        columns[name], cells = learn_column(
            frame[name],
            tolerance=tolerance,
            prior=prior.columns.get(name) if prior else None,
            decimal=signs.get(name, signs.get("")),
            marks={*how.missing, *(frame.attrs.get(MARKS_ATTRIBUTE, ()) if name == target else ())},
            kind=how.types.get(name),
            how=how,
        )
        cells.new_categories = {}
        report.note(name, cells)
        parts[name] = cells.values

    for name in map(str, frame.columns):
        learn(name, how)
    if how.day_first is None:
        either, month_first = _either_way_round(columns, parts)
        for name in either if month_first else ():
            learn(name, how.model_copy(update={"day_first": False}))
        report.guesses += [
            f"Column {name!r}: no date proves whether the day or the month comes first; {columns[name].date_format} is "
            "assumed. Set data.read.day_first."
            for name in (either if month_first is None else ())
        ]
    report.guesses += _open_signs(frame, columns, how)
    report.guesses += _guesses(columns, report, target=target, how=how)
    for said in [describe_unread(name, cells, columns[name]) for name, cells in report.unread.items()] + report.guesses:
        logger.warning("%s", said)
    return columns, pd.DataFrame(parts, index=frame.index, copy=False), report


def _open_signs(frame: pd.DataFrame, columns: Mapping[str, Column], how: ReadSettings) -> Iterator[str]:
    """Say which decimals may be thousands, because no column of the file proves the sign."""
    named = () if how.decimal else sorted(frame.attrs.get(OPEN_ATTRIBUTE, ()))
    if first := next((name for name in named if columns[name].kind == "number"), None):
        yield (
            f"Column {first!r}{f' and {len(named) - 1} more' if named[1:] else ''}: no cell of the file proves the "
            f"decimal sign; numbers such as {columns[first].example} may be thousands. Set data.read.decimal."
        )


def _either_way_round(columns: Mapping[str, Column], parts: Mapping[str, pd.Series]) -> tuple[list[str], bool | None]:
    """Return the date columns that do not show the order of day and month, and whether others have months first.

    The order is None if no column shows it, or if columns differ.
    """
    strokes = {name: column.date_format[:2] for name, column in columns.items() if column.kind == "date"
               and re.match(r"%d([-/])%m|%m([-/])%d", column.date_format)}  # fmt: skip
    either = [name for name in strokes if parts[name].dt.day.max() <= MONTHS]
    proven = {first for name, first in strokes.items() if name not in either}
    return either, "%m" in proven if len(proven) == 1 else None


def _guesses(
    columns: Mapping[str, Column], report: ReadReport, *, target: str | None, how: ReadSettings
) -> Iterator[str]:
    """Say what a person should look at in a table as it was read."""
    for name, column in columns.items():
        if guessed := [word for word in column.absent if word not in how.missing]:
            yield (
                f"Column {name!r}: {', '.join(map(repr, guessed))} among {column.kind}s is taken for a missing value. "
                f'Add it to data.read.missing if it is; otherwise set data.read.types = {{ {name} = "text" }}.'
            )
        if (unit := column.number_format.unit) and name not in how.types:
            yield (
                f"Column {name!r}: {unit!r} behind each number is taken for its unit. Set data.read.types = "
                f'{{ {name} = "number" }} if it is; otherwise "text".'
            )
    if target is not None and target in columns and (words := columns[target].words):
        yield (
            f"{', '.join(map(repr, words))} is taken for a class of {target!r}, because many rows have it. If it means "
            "a missing label, add it to data.read.missing."
        )
    yield from describe_totals(report)


def identity_of(
    frame: pd.DataFrame,
    columns: Mapping[str, Column],
    *,
    names: Sequence[str],
    keys: Iterable[str],
    time_column: str | None,
    prior: Contract | None,
) -> tuple[tuple[str, ...], Literal["keys", "identifier", "content"]]:
    """Choose the columns that identify a row.

    The first of these that exists: the keys of the settings, with the time column of a split by time; the identifier
    that the model in production uses; an identifier that is found; the whole row.

    Args:
        frame: The table, as `learn_columns` returned it.
        columns: The learned columns.
        names: The columns to choose from: those of the source, whether or not the model uses them.
        keys: The setting `split.key_columns`.
        time_column: The time column of a split by time; else None.
        prior: The contract of the model in production.

    Returns:
        The columns, empty for the whole row, and their source (`Contract.identity_from`). A column that counts the rows
        is never used: the next file may start again at 1.
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


def describe_totals(report: ReadReport) -> Iterator[str]:
    """Say that the last row looks like one of totals."""
    if report.totals:
        shown = ", ".join(map(repr, report.totals[:_SHOWN]))
        yield f"Row {report.rows:,}, the last, holds the sum of all others in {shown}. If it is a total, remove it."


def describe_unread(name: str, unread: Unread, column: Column) -> str:
    """Say how many cells of a column are missing because they could not be read."""
    return (
        f"Column {name!r}: {unread.cells:,} of {unread.known:,} cells cannot be read as a {column.kind}, such as "
        f"{unread.example!r} (row {unread.row:,}): treated as missing."
    )


def _read_number_format(facts: Mapping[str, str]) -> NumberFormat:
    """Return a stored format; earlier releases stored the sign of thousands too, which the decimal sign decides."""
    return NumberFormat(**{name: value for name, value in facts.items() if name != "thousands"})


def _expected_text(column: Column) -> str:
    example = f" such as {column.example!r}" if column.example is not None else ""
    dates = f" written as {column.date_format}" if column.kind == "date" else ""
    article = "a " if column.kind in ("number", "date", "boolean") else ""
    return f"{article}{column.kind}{example}{dates}"
