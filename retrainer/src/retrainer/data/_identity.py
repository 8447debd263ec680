"""Row identity: the same row has the same 64 bits in any file, process, order and table.

Equal values count as equal however they are stored: 7, 7.0 and "7"; True and 1; text as str or category; a point in
time at any resolution. A missing value adds nothing, so a new column changes no row that is without it. Columns are
distinguished by name, so their order does not matter.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

FORMAT = 2  # another number, and the identities of a version no longer say which rows it was trained on
BLOCK = 32_768  # numbers hashed at once: what fits the processor's cache takes half the time

Identities = np.ndarray[tuple[int], np.dtype[np.uint64]]


def row_identities(frame: pd.DataFrame, *, columns: Iterable[str], otherwise: Sequence[str] = ()) -> Identities:
    """Return the identity of each row, a hash of its content.

    Args:
        frame: n rows, read by a contract.
        columns: The columns that identify a row.
        otherwise: The columns that identify a row where all of `columns` are missing.

    Returns:
        Shape (n,).
    """
    columns = list(columns)
    identities = _spread_bits(_sum_of_hashes(frame, columns))
    if otherwise and (without := frame[columns].isna().all(axis=1).to_numpy(dtype=bool)).any():
        identities[without] = _spread_bits(_sum_of_hashes(frame[without], otherwise))
    return identities


def shuffled(identities: Identities, *, seed: int) -> Identities:
    """Return a uniform 64-bit number for each identity, which depends on the seed."""
    return _spread_bits(identities + _hash_texts([str(seed)])[0])


def known_identities(identities: Identities) -> Identities:
    """Return each identity once, sorted, for `are_known`."""
    ordered = np.sort(identities)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def are_known(identities: Identities, known: Identities) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell which identities are among the known ones.

    Args:
        identities: Identities to look up, shape (n,).
        known: Sorted identities, shape (k,).

    Examples:
        >>> are_known(np.array([3, 5], dtype=np.uint64), np.array([1, 3], dtype=np.uint64)).tolist()
        [True, False]
    """
    if not len(known):
        return np.zeros(len(identities), dtype=bool)
    places = np.minimum(np.searchsorted(known, identities), len(known) - 1)
    return np.asarray(known[places] == identities)


def _sum_of_hashes(frame: pd.DataFrame, columns: Iterable[str]) -> Identities:
    total = np.zeros(len(frame), dtype=np.uint64)
    for name in columns:
        total += _hash_column(frame[name], salt=_hash_texts([name])[0])
    return total


def _hash_column(values: pd.Series, *, salt: np.uint64) -> Identities:
    """Hash one column, a missing value to 0."""
    dtype = values.dtype
    if isinstance(dtype, pd.StringDtype):
        codes, texts = pd.factorize(values)
        hashes = np.append(_salt_bits(_hash_distinct(np.asarray(texts, dtype=object)), salt), np.uint64(0))
        return np.asarray(hashes[codes])
    if dtype.kind == "M":
        known = values.notna().to_numpy()
        moments = values.to_numpy().view(np.int64).astype(np.float64)
        return _hash_numbers(np.where(known, moments, np.nan), salt)
    if dtype.kind == "O":
        return _hash_column(values.map(str, na_action="ignore").astype("str"), salt=salt)
    return _hash_numbers(values.to_numpy(dtype=np.float64, na_value=np.nan), salt)


def _hash_distinct(texts: "np.ndarray[Any, np.dtype[Any]]") -> Identities:
    """Hash texts, one that holds a number or a truth value like that value: files differ in which they keep as text."""
    hashes = _hash_texts(texts)
    numbers = np.fromiter(map(_parse_number, texts), dtype=np.float64, count=len(texts))
    found = ~np.isnan(numbers)
    hashes[found] = _float_bits(numbers[found])
    return hashes


def _parse_number(text: str) -> float:
    if text[:1].isalpha():
        return {"true": 1.0, "false": 0.0}.get(text.lower(), np.nan)
    try:
        return float(text)
    except ValueError:
        return np.nan


def _hash_numbers(numbers: "np.ndarray[Any, np.dtype[np.float64]]", salt: np.uint64) -> Identities:
    hashes = np.empty(len(numbers), dtype=np.uint64)
    for start in range(0, len(numbers), BLOCK):
        block = slice(start, start + BLOCK)
        hashes[block] = _salt_bits(_float_bits(numbers[block]), salt)
    hashes[np.isnan(numbers)] = 0
    return hashes


def _float_bits(numbers: "np.ndarray[Any, np.dtype[np.float64]]") -> Identities:
    return np.asarray((numbers + 0.0).view(np.uint64))  # + 0.0 makes -0.0 the 0.0 it equals


def _hash_texts(texts: Any) -> Identities:
    """Hash texts with SipHash under pandas' fixed key."""
    return pd.util.hash_array(np.asarray(texts, dtype=object), categorize=False)


def _salt_bits(bits: Identities, salt: np.uint64) -> Identities:
    return _spread_bits(_spread_bits(bits) + salt)


def _spread_bits(bits: Identities) -> Identities:
    """Spread every bit over all 64: the finaliser of SplitMix64 (Steele, Lea and Flood 2014, OOPSLA)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ np.right_shift(bits, np.uint64(shift))) * np.uint64(factor)
    return bits ^ np.right_shift(bits, np.uint64(31))
