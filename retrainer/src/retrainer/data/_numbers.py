"""Numbers as people write them, and the decimal sign that a file shows.

`1,234` may be one number or another; `98,1` can only be one. The sign is found once for a file, from all its columns,
and every cell is read with it. A cell that only fits the other sign is not a number.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

SIGNS = (".", ",")
SIGNS_ATTRIBUTE = "decimal signs"  # of a frame: what `decimal_signs` found in its file
MARKS_ATTRIBUTE = "missing numbers"  # likewise: the words that stand for missing numbers in it
OPEN_ATTRIBUTE = "open signs"  # likewise: its columns that are all like 45.300, where no column proves the sign
_LOOKED_AT = 1000  # cells that must look like numbers before a whole column is looked at
_MOSTLY = 0.9  # of a column's values must be numbers, or it proves nothing
_TYPOGRAPHY = str.maketrans(
    dict.fromkeys("\u00a0\u2007\u2009\u202f", " ") | dict.fromkeys("\u2012\u2013\u2212", "-") | {"\u2019": "'"}
)
_NO_CENTS = re.compile(r"(?<=\d)([.,])-{1,2}(?=\D*$)")  # 25.160,- is a whole sum, and none below zero
_MONEY = (
    r"(?:(?:US|R)?\$|[€£¥₹₽₺₩\\]|Rs\.?|R(?= |\d+[ ,.'])|S?Fr\.|CHF|EUR|USD|GBP|INR|JPY|PLN|SEK|BRL|ZAR|zł|kr\.?|円|/-)"
)
_CURRENCY = re.compile(rf"^([+-]?\(?)\s*{_MONEY}?\s*|\s*(?:{_MONEY}|%)?\s*(\)?)$")
_NEGATIVE = re.compile(r"\((?P<brackets>[^-+()]+)\)|(?P<behind>[^-+]+)-")


def _number_pattern(decimal: str) -> re.Pattern[str]:
    """Return what numbers with this decimal sign look like; groups of three digits, or of two as in India."""
    other = re.escape(SIGNS[decimal == "."])
    point = re.escape(decimal)
    groups = "|".join(rf"[1-9]\d{{0,2}}(?:{sign}\d{{3}})+" for sign in (other, " ", "'"))
    indian = r"|[1-9]\d?(?:,\d{2})+,\d{3}" if decimal == "." else ""
    return re.compile(
        rf"[+-]?(?:(?:{groups}{indian})(?:{point}\d*)?|(?:\d+(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?)"
        r"|[+-]?[iI]nf(?:inity)?"
    )


_FIGURES = {sign: _number_pattern(sign) for sign in SIGNS}
# As pandas writes a duration, and as ISO 8601 does.
_DURATION = re.compile(
    r"-?\d+ days?(?: [+-]?\d\d?:\d\d:\d\d(?:\.\d+)?)?"
    r"|-?P(?=T?\d)(?:\d+W)?(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:[\d.]+S)?)?"
)
_UNIT = re.compile(r"[^\w\s]?\s?\d[\d.,' ]*([^\d\s.,'()+-]{1,8})")
# Written as sums of money or moments are, with signs between the digits: no name of a row is.
_SUM = re.compile(
    r"(?=.*[.,'( ]|.*-$)[-+(]?\s*[$€£¥₹]?\s*\d[\d.,' ]*[)-]?\s*[%€$]?"
    r"|[^\d\s]{0,4}\.?\s?\d[\d.,' ]*[.,]\d\d?\s?[^\d\s]{0,4}"
    r"|(?:\w+\.?,? )?\d{1,4}([-/.])\d{1,2}\1\d{2,4}\b.*"
)
_THOUSANDS = {",": re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+"), ".": re.compile(r"[1-9]\d{0,2}(?:,\d{3})+")}
_ONE_GROUP = {sign: re.compile(rf"[-+]?[1-9]\d{{0,2}}{re.escape(sign)}\d{{3}}") for sign in SIGNS}
_ENOUGH = 20  # cells
_GROUP = 3  # digits
_PROOF = 5  # numbers in groups beside smaller ones without: decimals of three digits would sometimes have fewer


def parse(texts: Iterable[Any], decimal: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the number in each text, NaN where there is none; a currency or % sign beside it is ignored.

    A duration becomes its number of seconds, as from a file with a duration type.
    """
    figure, groups = _FIGURES[decimal], re.compile(rf"[{SIGNS[decimal == '.']} ']")

    def number(text: Any) -> float:
        if not isinstance(text, str):
            return np.nan
        if not figure.fullmatch(text):
            if _DURATION.fullmatch(text):
                return pd.Timedelta(text).total_seconds()
            if not figure.fullmatch(text := _strip_signs_and_currency(text)):
                return np.nan
        # float() is exact, as the readers of files are: pandas' own parser may miss the last bit.
        return float(groups.sub("", text).replace(decimal, "."))

    return np.fromiter(map(number, texts), dtype=np.float64)


def _strip_signs_and_currency(text: str) -> str:
    """Return the figure alone, with its sign in front: `(1,234.50)`, `50.00-` and `€ 3` are figures."""
    text = _CURRENCY.sub(r"\1\2", _NO_CENTS.sub(r"\1", text.translate(_TYPOGRAPHY)))
    if found := _NEGATIVE.fullmatch(text):
        return "-" + _CURRENCY.sub(r"\1\2", found["brackets"] or found["behind"])
    return text


def infer_decimal_sign(values: pd.Series) -> str | None:
    """Return the decimal sign that the texts of a column show; None if they show none or are not numbers."""
    if not _may_be_numbers(values):
        return None
    counts = Counter(
        {str(text): int(count) for text, count in values.dropna().astype(str).str.strip().value_counts().items()}
    )
    counts.pop("", None)
    return proven_sign(counts)[0]


def proven_sign(counts: Mapping[str, int]) -> tuple[str | None, Counter[str | None]]:
    """Return the sign that most texts show (None if none does, or many are not numbers), and the votes for each sign.

    `1.275` and `830` in one column show that the decimal sign is a comma: decimals would not always have three digits
    or none.

    Args:
        counts: Maps each text to its number of cells.
    """
    votes: Counter[str | None] = Counter()
    words = 0  # such as k.A. and #DIV/0!, which may stand for missing numbers
    for text, count in counts.items():
        votes[sign := sign_of(text)] += count
        words += count if sign is None and is_word(text) else 0
    signs = {sign: votes[sign] for sign in SIGNS if votes[sign]}
    if votes[None] - words > (1 - _MOSTLY) * votes.total() or votes[None] > votes.total() / 2:
        return None, votes
    if signs:
        return max(signs, key=lambda sign: signs[sign]), votes
    figures = {text for text in counts if sign_of(text) is not None}
    whole = {text for text in figures if text.isdecimal()}
    grouped = figures - whole
    if whole and len(grouped) >= _PROOF and max(map(len, whole)) <= _GROUP:
        found = [sign for sign, groups in _THOUSANDS.items() if all(map(groups.fullmatch, grouped))]
        return (found[0] if found else None), votes
    return None, votes


def sign_of(text: str) -> str | None:
    """Return the only possible decimal sign of a number; empty if both are possible, None if it is not a number."""
    found = [sign for sign in SIGNS if _FIGURES[sign].fullmatch(text)]
    if not found and any(map(str.isdigit, text)):
        bare = _strip_signs_and_currency(text)
        found = [sign for sign in SIGNS if _FIGURES[sign].fullmatch(bare)]
    return None if not found else "" if len(found) == 2 else found[0]


def is_word(text: str) -> bool:
    """Return whether a text is a word or a spreadsheet's error value, and cannot be a number."""
    return (text.startswith("#") or not any(map(str.isdigit, text))) and sign_of(text) is None


def _may_be_numbers(values: pd.Series) -> bool:
    """Return whether some of the first cells are numbers with a sign among their digits, or all are digits."""
    if not (isinstance(values.dtype, pd.StringDtype) or values.dtype == object):
        return False
    first = dict.fromkeys(text.strip() for text in values.iloc[:_LOOKED_AT] if isinstance(text, str))
    signs = list(map(sign_of, itertools.islice(first, 100)))
    return len(signs) > 0 and sum(sign is not None for sign in signs) >= len(signs) / 2


class Signs(dict[str, str]):
    """Column to decimal sign, as a frame carries it: pandas copies what a frame carries for each column taken of it."""

    def __deepcopy__(self, memo: Any) -> "Signs":
        return self


def decimal_signs(frame: pd.DataFrame, known: dict[str, str] | None = None) -> Signs:
    """Return the decimal sign of each text column: the one that its numbers show, else the one of most other columns.

    Args:
        frame: The rows of one file, or its first rows.
        known: Signs that earlier rows showed, by column.

    Returns:
        Maps each column to its sign, and the empty name to the sign of most columns. Empty where no number shows a
        sign.
    """
    signs = Signs(known or {})
    signs.pop("", None)
    for name in frame.columns:
        if str(name) not in signs and (sign := infer_decimal_sign(frame[name])):
            signs[str(name)] = sign
    if signs:
        signs[""] = most_common(signs.values())
    return signs


def most_common(signs: Iterable[str]) -> str:
    """Return the sign that most columns have, the first one in a tie."""
    return Counter(signs).most_common(1)[0][0]


def with_points(values: pd.Series) -> pd.Series:
    """Return a column of texts in which the numbers with decimal commas have points, as Python writes them."""
    if not isinstance(values.dtype, pd.StringDtype):
        return values
    codes, texts = pd.factorize(values)
    numbers = parse(texts, ",")
    unread = np.isnan(numbers)
    points = [text if nan else repr(float(number)) for text, number, nan in zip(texts, numbers, unread, strict=True)]
    return pd.Series(pd.array([*points, None], dtype="str").take(codes), index=values.index, name=values.name)


def common_unit(texts: Iterable[str]) -> str:
    """Return the unit that stands behind each figure, such as the kg of `63 kg`; empty if there is none."""
    units = {found[1] if (found := _UNIT.fullmatch(text)) else "" for text in texts}
    return units.pop() if len(units) == 1 else ""


def without_unit(texts: pd.Series, unit: str) -> pd.Series:
    """Return the texts without the unit behind them."""
    return texts.str.removesuffix(unit).str.rstrip() if unit else texts


def leaves_sign_open(texts: Iterable[Any], decimal: str) -> bool:
    """Return whether the texts of a column are all like `45.300`, decimals by this sign but perhaps thousands.

    Some end in 0, where most programs would write 45.3.
    """
    found = [text for text in texts if isinstance(text, str)]
    tails = any(text.endswith("0") for text in found)
    return tails and len(found) >= _ENOUGH and all(map(_ONE_GROUP[decimal].fullmatch, found))


def looks_like_sums(values: pd.Series) -> bool:
    """Return whether most texts consist of digits and of signs that numbers have."""
    some = values.iloc[:_LOOKED_AT].dropna().astype("str")
    return bool(len(some)) and bool(some.str.fullmatch(_SUM.pattern).mean() >= 0.5)
