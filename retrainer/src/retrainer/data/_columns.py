"""What a column is and how its cells are read: the one place that knows kinds and missing values.

Files disagree on how a value is written: 7, 7.0 and "7", TRUE and true, "1.234,50" and 1234.5, "03/02/2026" and a
timestamp. A column is learned once, and then read the same way from every file.
"""

import functools
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from ..settings import ReadSettings
from ._numbers import common_unit, infer_decimal_sign, is_word, looks_like_sums, parse, without_unit

if TYPE_CHECKING:
    import pyarrow as pa

# What stands for a missing value, in every kind of file: what pandas takes for one, and two signs of old statistics
# files. Words such as "none" are values: a missing fence is a kind of fence.
MISSING_VALUES = frozenset(
    {"", "?", "-", "N/A", "NA", "NULL", "NaN", "NaT", "None", "n/a", "nan", "null", "<NA>", "-NaN", "-nan"}
    | {"\\N", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN"}
)
# Of these, what people write as a value too: no disorder, no garage. A frequent one is a category.
VALUE_WORDS = frozenset({"None", "NA", "N/A", "n/a", "-"})
FREQUENT_WORD = 0.05  # of the rows
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
# Tried in turn, and taken if the values fit: where day and month could be exchanged, the day comes first.
DATE_FORMATS = (
    "ISO8601",
    *(
        f"{day}{time}"
        for time in (*_TIMES, " %H.%M", " %H.%M.%S")
        for day in (
            *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y"),
            *("%Y/%m/%d", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y"),
        )
    ),
    *(
        f"{day}{time}"
        for time in _TIMES
        for day in ("%d-%b-%Y", "%d-%b-%y", "%d %b %y", "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y")
    ),
    *("%Y%m%dT%H%M%S", "%m/%Y", "%b %Y", "%b-%y", "%b-%Y"),
    *(f"%y{sign}%m{sign}%d{time}" for sign in "-./" for time in ("", " %H:%M", " %H:%M:%S")),
)
_DAY_IN_DIGITS = "%Y%m%d"
_DIGITS = re.compile(r"(?:19|20)\d{6}|(?:0[1-9]|1[0-2])\.(?:19|20)\d\d")  # of a day or a month, not of a number
_DIGIT_FORMATS = (_DAY_IN_DIGITS, "%m.%Y")
# By the beginning of a month's name in de, en, es, fr, it, nl, pl, pt and sv, which differ in three or four letters.
_MONTHS = {
    start: english
    for english, starts in {
        "Jan": "jan gen sty ene", "Feb": "feb fév fev lut", "Mar": "mar mär mrz maa", "Apr": "apr avr abr kwi",
        "May": "may mai maj mag mei", "Jun": "jun juin giu cze", "Jul": "jul juil lug lip", "Aug": "aug ago aoû sie",
        "Sep": "sep set wrz", "Oct": "oct okt out ott paź", "Nov": "nov lis", "Dec": "dec dez dic déc gru",
    }.items()
    for start in starts.split()
}  # fmt: skip
_WEEKDAY = re.compile(r"^[^\W\d_]+\.?,? (?=\d{1,4}[-/.]\d{1,2}[-/.]\d|(?:\d+\.? )?[^\W\d_]{3})")
_ORDINAL = re.compile(
    r"(?<=\d)\.(?= [^\W\d_])|(?<=\d| )de (?=\D)|(?<=[^\W\d_] )de | ?Uhr$|日$|分$"
    r"|(?<=\d)(?:st|nd|rd|th)\b|\bof (?=[^\W\d_])| (?:GMT|UTC)$"
)
# 20/06/2023, 7:16 pm as browsers write it; 20 Jun, 2023.
_COMMA = re.compile(r"(?<=\d{4}),(?= \d)|(?<=[-/.]\d\d),(?= \d)|(?<=[^\W\d_]{3}),(?= \d{4}\b)")
_AFTERNOON = re.compile(r"(?<=\d)(?:[:.](\d\d))?\s?([ap])\.?m\.?$", re.IGNORECASE)
_MONTH_FIRST = sorted(DATE_FORMATS, key=lambda text: not text.startswith(("ISO", "%m")))
CATEGORIES_KEPT = 100
CODES_KEPT = 5000  # of a column whose values come again: codes, which are compared with those of training
FEW_ROWS = 1000
_LOOKED_AT = 10_000  # numbers of a column, for their median
_MISSING_WORDS = 3  # of a column, that may stand for what is missing
_MISSING_SHARE = 0.3  # of its cells
_MEASURED = 20  # different values, beside which a word is no other class
FEWEST_FOR_A_SLIP = 20  # cells; among fewer one that cannot be read is no slip of the pen
LARGEST_EXACT = 2.0**53  # float64 cannot distinguish larger whole numbers

# As Excel and databases write them, in its languages too.
_BOOLEANS = {"true": True, "false": False, "wahr": True, "falsch": False, "vrai": True, "faux": False, "vero": True}
_BOOLEANS |= {"falso": False, "verdadero": True, "verdadeiro": True, "prawda": True, "fałsz": False, "sant": True}
_BOOLEANS |= {"falskt": False, "waar": True, "onwaar": False}
_TRUTH = _BOOLEANS | dict.fromkeys(("1", "yes", "y", "t"), True) | dict.fromkeys(("0", "no", "n", "f"), False)
_DATE_LIKE = re.compile(r"\d.*[-/.: T].*\d|(?:19|20)\d{6}|[A-Z][a-z]{2}[- ](?:\d\d|\d{4})$")
_LEADING_ZERO = re.compile(r"0\d+")

Kind = Literal["number", "boolean", "date", "text", "empty", "other"]
Codes = np.ndarray[Any, np.dtype[np.intp]]
Written = tuple[Codes, list[str]]  # of each cell the position of its text, -1 without one; the texts
Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True)
class NumberFormat:
    """How numbers were written as text: their decimal sign, and the unit behind each of them, as in `63 kg`."""

    decimal: str = "."
    unit: str = ""


_PLAIN = NumberFormat()
_AS_FOUND = ReadSettings()


@dataclass(frozen=True)
class Column:
    """The kind of a column and its values in training.

    Attributes:
        kind: `number`, `boolean`, `date`, `text` (names, codes, prose), `empty`, or `other` (lists, bytes).
        number_format: The form of numbers that are written as text.
        date_format: The strptime format of dates that are written as text, or `ISO8601`.
        missing: Share of missing cells, 0 to 1.
        minimum: The smallest number, or the first date in ISO 8601; None without numbers or dates.
        maximum: The largest number or the last date, in the same form.
        categories: Every value of a text column, sorted, if at most 100, or 5,000 that come twice each on average.
        example: One value, as text.
        leading_zeros: Whether the numbers of a text column are codes such as 007.
        shortest: The number of digits of the shortest such code.
        plain_codes: Whether no code of a text column ends in `.0`; whole numbers get that ending where a value is
            missing.
        words: Words for missing values that are values in this column.
        absent: Words and numbers that mean a missing value here, in addition to the usual ones.
        middle: The median of a sample of the numbers.
    """

    kind: Kind
    number_format: NumberFormat = _PLAIN
    date_format: str = "ISO8601"
    missing: float = 0.0
    minimum: float | str | None = None
    maximum: float | str | None = None
    categories: tuple[str, ...] | None = None
    example: str | None = None
    leading_zeros: bool = False
    shortest: int = 0
    plain_codes: bool = False
    words: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    middle: float | None = None

    @property
    def as_written(self) -> bool:
        """Whether a reader of text files must hand over the text: 007 is a code, and 1.234 may be 1234."""
        in_digits = self.kind == "date" and self.date_format in _DIGIT_FORMATS
        return self.kind == "text" or in_digits or (self.kind == "number" and self.number_format != _PLAIN)


@dataclass
class Cells:
    """The cells of a column after reading.

    Attributes:
        values: The cells in the form of the column's kind: float64, `boolean`, datetime64[us] in UTC without a time
            zone, `str`; shape (n,).
        missing: The number of missing cells, without those that could not be read.
        bad: The number of cells that could not be read and are treated as missing.
        bad_example: The first cell that could not be read, with its text and position.
        new_categories: New values of a text column, with the number of cells of each.
    """

    values: pd.Series
    missing: int
    bad: int = 0
    bad_example: tuple[str, int] | None = None
    new_categories: dict[str, int] = field(default_factory=dict)


def kind_of(values: pd.Series) -> Kind:
    """Return the kind of the cells by their type; texts are not parsed.

    Examples:
        >>> kind_of(pd.Series([1.5, 2.0])), kind_of(pd.Series(["1.5", "2.0"]))
        ('number', 'text')
    """
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return kind_of(pd.Series(dtype.categories)) if len(dtype.categories) else "empty"
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if dtype.kind == "m" or (pd.api.types.is_numeric_dtype(dtype) and dtype.kind != "c"):
        return "number"
    if pd.api.types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        return "date"
    if isinstance(dtype, pd.StringDtype):
        return "text"
    content = pd.api.types.infer_dtype(values, skipna=True)
    kinds: dict[str, Kind] = {"string": "text", "boolean": "boolean", "empty": "empty"}
    kinds |= dict.fromkeys(("integer", "floating", "mixed-integer-float", "decimal"), "number")
    kinds |= dict.fromkeys(("date", "datetime", "datetime64"), "date")
    if content in kinds:
        return kinds[content]
    scalars = values.dropna().map(lambda value: isinstance(value, str | int | float | bool | np.generic))
    return "text" if scalars.all() or content == "time" else "other"


def within_tolerance(bad: int, known: int, *, tolerance: float) -> bool:
    """Return whether this number of unreadable cells is allowed: a share of the cells, or a single one."""
    return bad <= max(int(known >= FEWEST_FOR_A_SLIP), int(tolerance * known))


def learn_column(
    values: pd.Series,
    *,
    tolerance: float,
    prior: Column | None = None,
    decimal: str | None = None,
    marks: Collection[str] = (),
    kind: Kind | None = None,
    how: ReadSettings = _AS_FOUND,
) -> tuple[Column, Cells]:
    """Learn the kind of a column, and read it.

    Args:
        values: The cells as the file has them, n of them.
        tolerance: The share of cells that may be unreadable.
        prior: The column for the model in production; its kind is kept if the cells still fit.
        decimal: The decimal sign of this column; None detects it.
        marks: Words that are known to mean a missing value, however frequent.
        kind: The kind that the settings name; None detects it.
        how: The settings of `data.read`.
    """
    decimal = decimal or infer_decimal_sign(values)
    if prior is not None and prior.kind == (kind or prior.kind) and _keeps_kind(prior, how):
        prior = replace(prior, absent=tuple(dict.fromkeys((*how.missing, *prior.absent))))
        cells = read_column(values, prior, decimal=decimal)
        known = len(values) - cells.missing
        if known and within_tolerance(cells.bad, known, tolerance=tolerance):
            return _with_value_facts(prior, cells), cells
    found = _mask_missing_values(values, how.missing)
    written = _encode_texts(found) if kind_of(found) == "text" else None
    absent = how.missing
    if written and not kind and (guessed := _missing_words(written, decimal or ".", tolerance)):
        absent = (*absent, *guessed)
        found = _mask_missing_values(found, guessed)
        written = _encode_texts(found)
    column = _classify(found, written, 1.0 if kind else tolerance, decimal or ".", how.day_first)
    if kind and column.kind not in (kind, "empty"):
        column = Column(kind, number_format=NumberFormat(decimal or "."))
    column = replace(column, absent=absent)
    if column.kind == "text":
        column = _with_code_facts(column, written, marks)
    cells = read_column(values, column, decimal=decimal)
    return _with_value_facts(column, cells), cells


def _keeps_kind(prior: Column, how: ReadSettings) -> bool:
    """Return whether the settings leave a column what it was for the model in production."""
    return prior.kind not in ("empty", "other") and (prior.kind != "date" or how.day_first is None)


def _mask_missing_values(values: pd.Series, absent: Collection[str]) -> pd.Series:
    """Return the cells without those that the settings call missing; -999 also where the file has it as a number."""
    if not absent:
        return values
    if kind_of(values) == "number":
        numbers = parse(absent, ".")
        numbers = numbers[~np.isnan(numbers)]
        return values.mask(values.isin(numbers)) if len(numbers) else values
    return values.mask(values.astype("str").str.strip().isin(absent)) if kind_of(values) == "text" else values


def read_column(values: pd.Series, column: Column, *, decimal: str | None = None) -> Cells:
    """Read cells by the learned column; the value of a cell does not depend on other cells.

    Args:
        values: The cells as a file has them, of any type, n of them.
        column: What `learn_column` returned.
        decimal: The decimal sign of this column in the file; None takes the learned one.
    """
    if column.kind == "number" and values.dtype == np.float64 and not column.absent:  # most cells of most tables
        return Cells(values, int(np.count_nonzero(np.isnan(values.to_numpy()))))
    values = _mask_missing_values(values, column.absent)
    kind = kind_of(values)
    if column.kind == "other":
        return Cells(values, int(values.isna().sum()))
    if column.kind == "empty":
        empty = pd.Series(np.full(len(values), np.nan), index=values.index, name=values.name)
        return Cells(empty, int(values.isna().sum()))
    if kind == "empty":
        return Cells(_empty_column(column.kind, values), len(values))
    if kind == "other":  # lists and the like, which cannot be read as anything else
        there = values.notna().to_numpy()
        position = int(np.argmax(there))
        example = str(values.iloc[position]), position
        return Cells(_empty_column(column.kind, values), int((~there).sum()), int(there.sum()), example)
    if column.kind == "text":
        return _read_text_column(values, column)
    if column.kind == "number":
        if kind in ("number", "boolean"):
            return _typed_cells(as_numbers(values))
        sign, unit = decimal or column.number_format.decimal, column.number_format.unit
        return _parse_cells(values, lambda texts: parse(without_unit(texts, unit), sign))
    if column.kind == "boolean":
        if kind == "boolean":
            return _typed_cells(values.astype("boolean"))
        return _parse_cells(values, _parse_booleans)
    if kind == "date":
        return _typed_cells(_as_utc(values))
    if kind != "text" and column.date_format not in _DIGIT_FORMATS:  # 2021 would pass for a year
        return _parse_cells(values, lambda texts: _datetimes(pd.Series([None] * len(texts)), "ISO8601"))
    return _parse_cells(values, lambda texts: _parse_dates(texts, column.date_format))


def as_floats(frame: pd.DataFrame) -> "np.ndarray[Any, np.dtype[np.float64]] | None":
    """Return a frame of few rows and float64 columns alone as one array; None for any other.

    For a single row, inspecting each column would take most of the time.
    """
    if len(frame) <= FEW_ROWS and all(dtype == np.float64 for dtype in frame.dtypes):
        return frame.to_numpy(dtype=np.float64)
    return None


def is_identifier(name: str, values: pd.Series, column: Column) -> bool:
    """Return whether the values of a column identify the rows, as a key does.

    These are one-word texts that differ in every row, or such whole numbers in a column named like an identifier.
    Numbers that only count the rows are not.

    Args:
        name: The name of the column.
        values: n values, as `learn_column` returned them.
        column: The column, as `learn_column` returned it.
    """
    if len(values) < FEWEST_FOR_A_SLIP or column.missing or column.kind not in ("text", "number"):
        return False
    if column.kind == "text":
        if not values.is_unique or values.str.contains(r"\s").any():
            return False
        return not looks_like_sums(values)
    return is_number_identifier(name, values) and not _counts_rows(values.to_numpy(dtype=np.float64))


def is_number_identifier(name: str, values: pd.Series) -> bool:
    """Return whether a column has the name of an identifier, and unique whole numbers."""
    if not is_identifier_name(name) or len(values) < FEWEST_FOR_A_SLIP or values.dtype.kind == "m":
        return False
    return bool((values.dropna() % 1 == 0).all()) and bool(values.is_unique)


_ID_NAME = re.compile(
    r"(?i:unnamed: \d+|(.*[\W_])?(ids?|[ug]uid|key|pk|index|idx|row|no|nr|num|number|code|counter|ref))"
    r"|.*[a-z](ID|Id|Key|No|Nr|Number)|(?i:customer|client|user|account|order|session|record|person|patient|member|"
    r"employee|product|device|trip)id"
)


def is_identifier_name(name: str) -> bool:
    """Return whether a column is called like an identifier: `id`, `customer_id`, `customerID`, `row`, `number` ….

    Examples:
        >>> is_identifier_name("customerID"), is_identifier_name("paid")
        (True, False)
    """
    return _ID_NAME.fullmatch(name) is not None


def is_row_counter(values: pd.Series, column: Column) -> bool:
    """Return whether a column only numbers the rows: the next file may start again at 1.

    Args:
        values: n values, as `learn_column` returned them.
        column: The column, as `learn_column` returned it.
    """
    if column.kind != "number" or column.missing or len(values) < FEWEST_FOR_A_SLIP:
        return False
    return _counts_rows(values.to_numpy(dtype=np.float64))


def _counts_rows(numbers: np.ndarray[Any, np.dtype[np.float64]]) -> bool:
    """Return whether the numbers are the rows' positions, which say nothing about the same row in another file."""
    first = numbers.min()
    if first not in (0, 1) or numbers.max() - first != len(numbers) - 1:
        return False
    return bool((np.sort(numbers) == np.arange(len(numbers)) + first).all())


def distinct_texts(values: pd.Series, words: Collection[str] = ()) -> tuple[Codes, list[str | None]]:
    """Return codes, shape (n,), and the text of each code without spaces around it; None for what is missing.

    A word for missing values is a value if it is one of `words`.

    Work on distinct values keeps the reading of a large table cheap. Code -1 is a missing cell.
    """
    return _mask_missing_words(_encode_texts(values), words)


def _encode_texts(values: pd.Series) -> Written:
    codes, uniques = pd.factorize(values)
    return codes, [clean_text(_cell_text(value)) for value in uniques]


def _mask_missing_words(written: Written, words: Collection[str] = ()) -> tuple[Codes, list[str | None]]:
    missing = MISSING_VALUES.difference(words)
    return written[0], [None if text in missing else text for text in written[1]]


def clean_text(text: str) -> str:
    """Return a text without spaces around it, in Unicode's composed form: the ü of some systems is two characters."""
    return unicodedata.normalize("NFC", text.strip())


def nearest_floats(column: Any) -> "pa.Array | pa.ChunkedArray":
    """Return the float64 nearest to each number of an Arrow column as it would be written, as a text file gives it.

    Arrow's own cast misses the last bit of some decimals, and keeps what a float32 adds to 0.1.
    """
    import pyarrow as pa

    return column.cast(pa.string()).cast(pa.float64())


def _cell_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return str(value)


def _classify(
    values: pd.Series, written: Written | None, tolerance: float, decimal: str, day_first: bool | None
) -> Column:
    if written is None:
        kind = kind_of(values)
        if kind == "number" and _is_code(values):
            return Column("text")
        if kind == "number" and _are_days(values):
            return Column("date", date_format=_DAY_IN_DIGITS)
        return Column("empty" if values.isna().all() else kind)
    codes, texts = _mask_missing_words(written)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    known = [text for text, count in zip(texts, counts, strict=True) if text is not None and count]
    weights = counts[[text is not None and count > 0 for text, count in zip(texts, counts, strict=True)]]
    if not known:
        return Column("empty")
    total, distinct = int(weights.sum()), pd.Series(known, dtype="str")

    def fits(readable: Mask) -> bool:
        return bool(readable.any()) and within_tolerance(int(weights[~readable].sum()), total, tolerance=tolerance)

    if {text.lower() for text in known} <= _BOOLEANS.keys():
        return Column("boolean")
    in_digits = total >= FEWEST_FOR_A_SLIP and all(map(_DIGITS.fullmatch, known[:100]))
    if in_digits and (date_format := _date_format(distinct, fits, _DIGIT_FORMATS)):
        return Column("date", date_format=date_format)
    if any(map(_LEADING_ZERO.fullmatch, known)):
        return Column("text", leading_zeros=True)
    if not np.isnan(parse(distinct[:1000], decimal)).all():
        numbers = parse(distinct, decimal)
        if fits(~np.isnan(numbers)):
            large = np.abs(numbers) > LARGEST_EXACT
            return Column("text") if large.any() else Column("number", number_format=NumberFormat(decimal))
    if date_format := _date_format(distinct, fits, DATE_FORMATS if day_first is not False else _MONTH_FIRST):
        return Column("date", date_format=date_format)
    if len(distinct) >= _MEASURED and (unit := common_unit(known)):
        figures = without_unit(distinct, unit)
        sign = infer_decimal_sign(figures) or decimal
        if fits(~np.isnan(parse(figures, sign))):
            return Column("number", number_format=NumberFormat(sign, unit))
    return Column("text")


def _with_code_facts(column: Column, written: Written | None, marks: Collection[str]) -> Column:
    """Return a text column with its words of missingness, and with what tells its codes from those of other programs.

    A word is a value if the texts are few, and it is frequent.
    """
    if written is None:  # whole numbers too large for a float
        return replace(column, plain_codes=True)
    codes, texts = _mask_missing_words(written, VALUE_WORDS.difference(marks))
    counts = np.bincount(codes[codes >= 0], minlength=len(texts)).tolist()
    words = dict.fromkeys(VALUE_WORDS.difference(marks), 0)
    for text, count in zip(texts, counts, strict=True) if len(texts) <= CATEGORIES_KEPT else ():
        if text in words:
            words[text] += count
    frequent = sorted(word for word, count in words.items() if count > FREQUENT_WORD * len(codes))
    digits = [len(text) for text in texts if text and text.isdecimal()] if column.leading_zeros else []
    plain = not any(text and _is_whole_float(text) for text in texts)
    return replace(column, words=tuple(frequent), shortest=min(digits, default=0), plain_codes=plain)


def _is_whole_float(text: str) -> bool:
    return text.endswith(".0") and text[:-2].isdecimal()


def _is_code(values: pd.Series) -> bool:
    """Return whether whole numbers are too large for float64, as long account numbers are."""
    if values.dtype.kind not in "iu" and not pd.api.types.is_integer_dtype(values.dtype):
        return False
    known = values.dropna()
    return bool(len(known)) and max(abs(int(known.min())), abs(int(known.max()))) > LARGEST_EXACT


def _missing_words(written: Written, decimal: str, tolerance: float) -> tuple[str, ...]:
    """Return the words such as k.A. and #DIV/0! that stand in a column of numbers or dates, where they are few."""
    codes, texts = _mask_missing_words(written)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    words = {text: int(count) for text, count in zip(texts, counts, strict=True) if text and is_word(text)}
    known = sum(int(count) for text, count in zip(texts, counts, strict=True) if text)
    share = sum(words.values()) / max(1, known)
    values = pd.Series([text for text in texts if text and not is_word(text)], dtype="str")
    if not 0 < len(words) <= _MISSING_WORDS or not tolerance < share <= _MISSING_SHARE or len(values) < _MEASURED:
        return ()
    read = ~np.isnan(parse(values, decimal))
    if read.mean() < 1 - tolerance:
        read = np.array([_date_format(values, lambda readable: bool(readable.all()), DATE_FORMATS) is not None])
    return tuple(sorted(words)) if read.mean() >= 1 - tolerance else ()


def _are_days(values: pd.Series) -> bool:
    """Return whether all numbers are days such as 20240809."""
    known = values.dropna()
    if values.dtype.kind not in "iuf" or len(known) < FEWEST_FOR_A_SLIP or not 19e6 < known.min() <= known.max() < 21e6:
        return False
    found = pd.Series(known.unique())
    return bool((found % 1 == 0).all()) and bool(
        pd.to_datetime(found.astype("int64").astype("str"), format=_DAY_IN_DIGITS, errors="coerce").notna().all()
    )


def _date_format(distinct: pd.Series, fits: Callable[[Mask], bool], formats: Iterable[str]) -> str | None:
    distinct = distinct.map(_in_english)
    some = distinct[:100]
    if some.map(lambda text: _DATE_LIKE.search(text) is not None).mean() < 0.5:
        return None

    def moments(date_format: str) -> pd.Series | None:
        if not _plain_datetimes(some, date_format).notna().any():
            return None
        found = _plain_datetimes(distinct, date_format)
        return found if fits(found.notna().to_numpy()) else None

    for date_format in formats:
        if (found := moments(date_format)) is None:
            continue
        # 23-11-22: days of a month fill 31 years if they are taken for years, so the shorter time is meant.
        year_first = re.sub(r"^%[dm](.)%[md]\1%y", r"%y\1%m\1%d", date_format)
        other = moments(year_first) if year_first != date_format else None
        shorter = other is not None and other.max() - other.min() < found.max() - found.min()
        return year_first if shorter else date_format
    return None


def _with_value_facts(column: Column, cells: Cells) -> Column:
    values = cells.values
    rows = max(1, len(values))
    facts: dict[str, Any] = {"missing": round((cells.missing + cells.bad) / rows, 6)}
    if column.kind not in ("empty", "other") and cells.missing + cells.bad < len(values):
        if column.kind == "number":  # NumPy takes a sixth of pandas' time
            numbers = values.to_numpy()
            smallest, largest = float(np.fmin.reduce(numbers)), float(np.fmax.reduce(numbers))
            facts |= {"minimum": smallest, "maximum": largest, "example": str(smallest)}
            facts["middle"] = middle_of(numbers)
        elif column.kind == "date":
            first, last = values.min(), values.max()
            facts |= {"minimum": first.isoformat(), "maximum": last.isoformat(), "example": str(first)}
        else:
            distinct = values.dropna().unique()
            facts["example"] = str(distinct[0])
            repeated = CODES_KEPT if 2 * len(distinct) <= values.notna().sum() else 0
            few = column.kind == "text" and len(distinct) <= max(CATEGORIES_KEPT, repeated)
            facts["categories"] = tuple(sorted(map(str, distinct))) if few else None
    nothing: dict[str, Any] = dict.fromkeys(("minimum", "maximum", "categories", "example", "middle"))
    return replace(column, **(nothing | facts))


def middle_of(numbers: "np.ndarray[Any, np.dtype[np.float64]]") -> float:
    """Return the median of at most 10,000 of the numbers, taken evenly: it says in which unit they are."""
    return float(np.nanmedian(numbers[:: 1 + len(numbers) // _LOOKED_AT]))


def _empty_column(kind: Kind, values: pd.Series) -> pd.Series:
    dtypes = {"number": "float64", "boolean": "boolean", "date": "datetime64[us]", "text": "str"}
    return pd.Series([None] * len(values), index=values.index, name=values.name, dtype=dtypes[kind])


def _typed_cells(read: pd.Series) -> Cells:
    return Cells(read, int(read.isna().sum()))


def as_numbers(values: pd.Series) -> pd.Series:
    """Return a column whose kind is number or boolean as float64, durations as seconds."""
    dtype = values.dtype
    if dtype.name == "float64":
        return values
    if isinstance(dtype, pd.CategoricalDtype):
        return values.astype("float64")
    if dtype.kind == "m":
        return pd.Series(values.dt.total_seconds())
    if dtype.name == "float32":  # 0.1 is the same number in a float32 column and in a text file
        import pyarrow as pa

        exact = nearest_floats(pa.array(values.to_numpy(), from_pandas=True))
        return pd.Series(exact.to_numpy(zero_copy_only=False), index=values.index, name=values.name)
    if dtype.kind == "O":
        return values.where(values.notna(), np.nan).astype("float64")
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return pd.Series(numbers, index=values.index, name=values.name)


def _as_utc(values: pd.Series) -> pd.Series:
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    if values.dtype == object:
        values = pd.to_datetime(values, utc=True)
    if getattr(values.dtype, "tz", None) is not None:
        values = values.dt.tz_convert(None)
    return values if values.dtype == "datetime64[us]" else values.astype("datetime64[us]")


def _parse_cells(values: pd.Series, parse: Callable[[pd.Series], Any]) -> Cells:
    """Read cells through their texts; those that `parse` gives nothing for are bad."""
    codes, texts = distinct_texts(values)
    parsed = pd.Series(parse(pd.Series([*texts, None], dtype="str")))
    unread = parsed.isna().to_numpy()
    missing_text = np.array([*(text is None for text in texts), True])
    bad = (unread & ~missing_text)[codes]
    read = parsed.take(codes).set_axis(values.index)
    read.name = values.name
    cells = Cells(read, int(missing_text[codes].sum()), int(bad.sum()))
    if cells.bad:
        position = int(np.argmax(bad))
        cells.bad_example = str(texts[codes[position]]), position
    return cells


def _read_text_column(values: pd.Series, column: Column) -> Cells:
    codes, texts = distinct_texts(values, column.words)
    if column.plain_codes:
        texts = [text[:-2] if text and _is_whole_float(text) else text for text in texts]
    counts = np.bincount(codes[codes >= 0], minlength=len(texts)).tolist()
    missing = int((codes < 0).sum()) + sum(count for text, count in zip(texts, counts, strict=True) if text is None)
    new: dict[str, int] = {}
    if column.categories is not None:
        known = {None, *column.categories}
        for text, count in zip(texts, counts, strict=True):
            if text not in known and count:
                new[str(text)] = new.get(str(text), 0) + count
    distinct = pd.array([*texts, None], dtype="str")
    read = pd.Series(distinct.take(codes), index=values.index, name=values.name)
    bad = _codes_not_as_text(values, read, column)
    if column.shortest:  # 9 is none of 009 and 042, written as text or as a number
        short = [text is not None and text.isdecimal() and len(text) < column.shortest for text in texts]
        bad |= np.array([*short, False])[codes]
    if not bad.any():
        return Cells(read, missing, new_categories=new)
    position = int(np.argmax(bad))
    new = {text: count for text, count in new.items() if text not in set(read[bad])}
    return Cells(read.mask(bad), missing, int(bad.sum()), (str(values.iloc[position]), position), new)


def _codes_not_as_text(values: pd.Series, read: pd.Series, column: Column) -> Mask:
    """Return which cells are not the texts they were, stored as another type.

    7 is none of 007 and 012, a float does not hold more than 15 digits of a code, and true is neither "yes" nor "no".
    """
    lost, kind = np.zeros(len(values), dtype=bool), kind_of(values)
    if kind == "boolean" and column.categories is not None:
        return (read.notna() & ~read.isin(column.categories)).to_numpy()
    if kind != "number":
        return lost
    if pd.api.types.is_float_dtype(values.dtype):
        lost |= (values.abs() > LARGEST_EXACT).fillna(False).to_numpy(dtype=bool)
    if column.leading_zeros:
        lost |= (read.notna() & ~read.isin(column.categories or ())).to_numpy()
    return lost


def _parse_booleans(texts: pd.Series) -> pd.Series:
    return pd.Series([_TRUTH.get(str(text).lower()) for text in texts], dtype="boolean")


def _parse_dates(texts: pd.Series, date_format: str) -> pd.Series:
    """Return the moments in UTC; ISO 8601 is always read, because it is unambiguous."""
    moments = _datetimes(texts, date_format)
    if date_format != "ISO8601" and (rest := moments.isna() & texts.notna()).any():
        unambiguous = rest & texts.str.match(r"\d{4}-\d{2}-\d{2}").fillna(False).astype(bool)
        moments = moments.where(~unambiguous, _datetimes(texts, "ISO8601"))
    return moments.dt.tz_convert(None).astype("datetime64[us]")


def _datetimes(texts: pd.Series, date_format: str) -> pd.Series:
    moments = _plain_datetimes(texts, date_format)
    if (rest := moments.isna() & texts.notna()).any():
        plain = texts.mask(~rest).map(_in_english, na_action="ignore").astype("str")
        moments = moments.fillna(_plain_datetimes(plain, date_format.replace("%B", "%b")))
    return moments


def _plain_datetimes(texts: pd.Series, date_format: str) -> pd.Series:
    words = texts.str.lower().isin(["now", "today"])  # which pandas takes for the time of reading
    return pd.to_datetime(texts.mask(words), format=date_format, errors="coerce", utc=True)


@functools.lru_cache(maxsize=10_000)
def _in_english(text: str) -> str:
    """Return a date with its month in three English letters, and without the name of its weekday."""
    text = _COMMA.sub("", text)
    if not re.search(r"[^\W\d_]", text):
        return text
    text = _AFTERNOON.sub(_half_of_day, _WEEKDAY.sub("", text))
    text = re.sub(r"(?<=\d)[年月](?=\d)", "/", re.sub(r"(?<=\d)[h時](?=\d)", ":", text)).replace("日 ", " ")
    text = _ORDINAL.sub("", text)
    return re.sub(r"[^\W\d_]{3,}\.?", _english_month, text)


def _half_of_day(found: re.Match[str]) -> str:
    return f"{(found[1] and ':' + found[1]) or ''} {found[2]}M"


def _english_month(found: re.Match[str]) -> str:
    word = found[0].casefold()
    return _MONTHS.get(word[:4]) or _MONTHS.get(word[:3]) or found[0]
