"""A profile of the training data (bins and counts), and the comparison of new data with it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..data import as_numbers, kind_of
from ..settings import MonitorSettings

BINS = 10
LEAST_UNITS = 20  # keys, or blocks of time; fewer do not tell how much they differ among themselves
GROUPS = 500  # keys are dealt into so many at most, which bounds the memory
SHOWN_VALUES = 8  # of a category, in its histogram
KNOWN_VALUES = 200  # of a category, in the profile
EDGE_ROWS = 100_000  # the edges of bins come from a sample of this size; every row is counted
EXPECTED_ROWS = 5  # of a bin; rarer bins are counted as one (Cochran 1954)
EXAMPLES = 3
NAMED = 10  # columns in the reason

Kind = Literal["number", "boolean", "datetime", "category"]
Counts = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class ColumnDrift:
    """The difference of one column between a window and the training data.

    Attributes:
        name: The name of the column.
        kind: The kind of its values in training.
        psi: The population stability index of the values that are not missing; None for datetimes and empty columns.
        chance: The expected index without any drift, for this number of rows.
        p_value: The p-value of the chi-squared test for one common distribution; None without an index.
        nulls: The share of missing values, in training and in the window.
        unseen: The share of the window's rows with a value that was not in the training data.
        examples: Some of these values.
        range: The first and the last moment of a datetime column in the window, ISO 8601.
        reasons: The reasons why the column counts as drifted; empty if it does not.
        histogram: For each bin its name, and its share in training and in the window.
        strength: The size of the drift relative to the limit of the settings; 1 is the limit.
    """

    name: str
    kind: Kind
    psi: float | None = None
    chance: float | None = None
    p_value: float | None = None
    nulls: tuple[float, float] = (0.0, 0.0)
    unseen: float = 0.0
    examples: tuple[str, ...] = ()
    range: tuple[str, str] | None = None
    reasons: tuple[str, ...] = ()
    histogram: tuple[tuple[str, float, float], ...] = ()
    strength: float = 0.0

    @property
    def drifted(self) -> bool:
        """Whether the column counts as drifted."""
        return bool(self.reasons)


@dataclass(frozen=True)
class Drift:
    """The difference between a window of new data and the training data.

    Attributes:
        drifted: Whether the window drifted; None if it has too few rows.
        reason: One sentence, with the numbers.
        rows: The numbers of rows of the training data and of the window.
        columns: Every column of the profile, the strongest drift first.
        gone: Columns of the training data that the window lacks.
        added: Columns of the window that the training data lack.
    """

    drifted: bool | None
    reason: str
    rows: tuple[int, int]
    columns: tuple[ColumnDrift, ...] = ()
    gone: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return asdict(self)


def learn_profile(X: pd.DataFrame, *, left_out: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Describe the training inputs by bins and counts, small enough to be stored as JSON, without any row.

    Numbers are counted between their deciles, categories by value (the commonest 200 and the rest), datetimes by their
    range. If a column has more than 200 values, values of a single row are not stored.

    Args:
        X: The training inputs, shape (n, features).
        left_out: Columns that the model does not use, with the reason. They are neither profiled nor compared.
    """
    ignored = {str(name): reason for name, reason in (left_out or {}).items()}
    columns = {str(name): _learn_column(values) for name, values in X.items() if str(name) not in ignored}
    return {"rows": len(X), "columns": columns, "left_out": ignored}


def _learn_column(values: pd.Series) -> dict[str, Any]:
    kind = _profile_kind(values)
    nulls = int(values.isna().sum())
    facts: dict[str, Any] = {"kind": kind, "nulls": nulls}
    if nulls == len(values):
        return facts
    if kind == "number":
        return facts | _learn_number(_present_numbers(values))
    if kind == "datetime":
        return facts | {"range": _time_range(values)}
    found = values.value_counts()
    found = found[found > 0]  # categories of the dtype that no row has
    named = (found if len(found) <= KNOWN_VALUES else found[found > 1]).head(KNOWN_VALUES)
    counts = _counts_by_text(named)
    return facts | {"distinct": len(found), "counts": counts, "other": len(values) - nulls - sum(counts.values())}


def _profile_kind(values: pd.Series) -> Kind:
    names: dict[str, Kind] = {"number": "number", "boolean": "boolean", "date": "datetime"}
    return names.get(kind_of(values), "category")


def _learn_number(numbers: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, Any]:
    sample = numbers
    if len(numbers) > EDGE_ROWS:
        sample = numbers[np.random.default_rng(0).integers(0, len(numbers), EDGE_ROWS)]
    edges = np.unique(np.quantile(sample, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    smallest = np.min(numbers)
    if edges[0] == smallest:  # the value that most rows have: give what falls below it a bin of its own
        edges = np.concatenate([[np.nextafter(smallest, -np.inf)], edges])
    return {
        "edges": edges.tolist(),
        "counts": _count_numbers(numbers, edges).tolist(),
        "mean": float(numbers.mean()),
        "standard_deviation": float(numbers.std()),
        "minimum": float(smallest),
        "median": float(np.quantile(sample, 0.5)),
        "maximum": float(np.max(numbers)),
    }


def _present_numbers(values: pd.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the values that are there as floats."""
    numbers = as_numbers(values).to_numpy()
    missing = np.isnan(numbers)
    return numbers[~missing] if missing.any() else numbers


def _count_numbers(numbers: np.ndarray[Any, np.dtype[np.float64]], edges: Any) -> Counts:
    """Count in the bins that end at each edge, the edge included, and the one beyond the last."""
    # For so few edges comparing with each takes a ninth of the time of searching each number's place among them.
    up_to = [np.count_nonzero(numbers <= edge) for edge in edges]
    return np.diff([0, *up_to, len(numbers)])


def _time_range(values: pd.Series) -> tuple[str, str]:
    return values.min().isoformat(), values.max().isoformat()


def _counts_by_text(found: pd.Series) -> dict[str, int]:
    counts: dict[str, int] = {}
    for value, count in found.items():
        counts[str(value)] = counts.get(str(value), 0) + int(count)
    return counts


@dataclass(frozen=True)
class _Tally:
    """One column of the new data, counted in the bins of the profile."""

    nulls: int
    bins: Counts | None = None
    values: Mapping[str, int] = field(default_factory=dict)
    range: tuple[str, str] | None = None
    other_kind: str | None = None


@dataclass(frozen=True)
class _Units:
    """What the rows of the window are about: how many, each row's group of them, and the rows to one."""

    count: int
    groups: Counts
    rows_each: float


def _group_units(units: Any) -> _Units | None:
    """Return what the rows are about; None where each stands for itself."""
    if units is None:
        return None
    codes, distinct = pd.factorize(np.asarray(units))
    if len(distinct) == len(codes):
        return None
    sizes = np.bincount(codes)
    return _Units(len(distinct), codes.astype(np.int64) % GROUPS, float((sizes**2).sum() / sizes.sum()))


def compare_with_profile(
    profile: Mapping[str, Any], X: pd.DataFrame, *, settings: MonitorSettings, units: Any = None
) -> Drift:
    """Compare new data with the profile of the training data.

    A column has drifted when its population stability index, less the part that chance explains, is above `psi` *and* a
    chi-squared test is significant, or when the share of its missing values changed by more than `rate_change`, or when
    the share of new values is larger than that. The window has drifted when `drifted_columns` have. Datetimes are shown
    but never count as drifted, since time moves on.

    Rows of one customer, or of one day, resemble each other, and count less than independent rows. For a column that
    seems to have drifted, the number of rows is reduced accordingly: by the design effect (Kish 1965), in the
    first-order correction of Rao and Scott (1984).

    Args:
        profile: The profile, as `learn_profile` returned it.
        X: The new inputs, shape (m, features).
        settings: The settings of `monitor`.
        units: The unit of each row (a customer, a day), shape (m,); None if each row is a unit of its own.

    Examples:
        >>> from retrainer.settings import MonitorSettings
        >>> profile = learn_profile(pd.DataFrame({"plan": ["basic", "plus"] * 200}))
        >>> compare_with_profile(profile, pd.DataFrame({"plan": ["basic"] * 200}), settings=MonitorSettings()).drifted
        True
    """
    columns, by_name = profile["columns"], {str(name): name for name in X.columns}
    gone = sorted(columns.keys() - by_name.keys())
    added = sorted(by_name.keys() - columns.keys() - profile["left_out"].keys())
    rows = (int(profile["rows"]), len(X))
    if min(rows) < settings.minimum_rows:
        few, where = (rows[1], "the window") if rows[1] <= rows[0] else (rows[0], "the training data")
        reason = f"Too few rows to judge: {few:,} in {where}, and {settings.minimum_rows:,} are needed."
        return Drift(None, reason, rows, gone=tuple(gone), added=tuple(added))
    grouped = _group_units(units)
    if grouped is not None and grouped.count < LEAST_UNITS:
        reason = f"Too few keys: {len(X):,} rows are about {grouped.count}, and {LEAST_UNITS} are needed."
        return Drift(None, reason, rows, gone=tuple(gone), added=tuple(added))
    learned = {name: facts for name, facts in columns.items() if name in by_name}
    # Of many columns one looks different by chance: the doubt allowed is shared out (Bonferroni).
    significance = settings.significance / max(1, len(learned))
    judged = [
        _judge_column(name, facts, X[by_name[name]], rows, settings, significance, grouped)
        for name, facts in learned.items()
    ]
    judged.sort(key=lambda column: (not column.drifted, -column.strength, -(column.psi or 0)))
    bad = [f"{name} (gone)" for name in gone]
    bad += [f"{column.name} ({', '.join(column.reasons)})" for column in judged if column.drifted]
    named = "; ".join(bad[:NAMED]) + ("; …" if len(bad) > NAMED else "")
    reason = (
        f"{len(bad)} of {len(columns)} columns drifted in {len(X):,} rows: {named}."
        if bad
        else f"No column drifted in {len(X):,} rows."
    )
    return Drift(len(bad) >= settings.drifted_columns, reason, rows, tuple(judged), tuple(gone), tuple(added))


def _count_bins(values: pd.Series, learned: Mapping[str, Any]) -> _Tally:
    nulls = int(values.isna().sum())
    if nulls == len(values):
        return _Tally(nulls)
    kind, expected = _profile_kind(values), learned["kind"]
    if kind != expected and {kind, expected} != {"number", "boolean"}:
        return _Tally(nulls, other_kind=kind)
    if expected == "datetime":
        return _Tally(nulls, range=_time_range(values))
    if expected == "number":
        return _Tally(nulls, _count_numbers(_present_numbers(values), np.asarray(learned.get("edges", []))))
    found = values.value_counts()
    if expected == "boolean":
        found.index = found.index.astype(bool)
    return _Tally(nulls, values=_counts_by_text(found[found > 0]))


def _judge_column(
    name: str,
    learned: Mapping[str, Any],
    values: pd.Series,
    rows: tuple[int, int],
    settings: MonitorSettings,
    significance: float,
    units: _Units | None,
) -> ColumnDrift:
    tally = _count_bins(values, learned)
    shares = (learned["nulls"] / rows[0], tally.nulls / rows[1])
    if tally.other_kind:
        reason = f"holds {tally.other_kind} values, {learned['kind']} in training"
        return ColumnDrift(name, learned["kind"], nulls=shares, reasons=(reason,), strength=math.inf)
    reasons, strength = [], 0.0

    def rate_changed(before: int, now: int, cells: Callable[[], Any]) -> bool:
        table = np.array([(before, now), (rows[0] - before, rows[1] - now)]).T
        changed = abs(now / rows[1] - before / rows[0])
        return (
            changed > settings.rate_change
            and _p_value(table) < significance
            and _p_value(table / _design_effect(cells(), units), units) < significance
        )

    if rate_changed(learned["nulls"], tally.nulls, lambda: values.isna().to_numpy(dtype=np.int64)):
        reasons.append(f"missing in {shares[1]:.1%}, was {shares[0]:.1%}")
        strength = abs(shares[1] - shares[0]) / settings.rate_change
    table, unseen, examples = _bin_counts(learned, tally)
    if table is None:
        return ColumnDrift(
            name, learned["kind"], nulls=shares, range=tally.range, reasons=tuple(reasons), strength=strength
        )
    unseen_share = unseen / rows[1]
    # A value that a single row, or key, of the training data has was unseen before it (Good 1953).
    alone = max(1.0, units.rows_each) if units else 1.0
    single = sum(count for count in learned["counts"].values() if count <= alone) if examples else 0
    if unseen_share > single / rows[0] and rate_changed(
        single, unseen, lambda: (_bin_codes(values, learned) == len(learned["counts"])).astype(np.int64)
    ):
        reasons.append(f"unseen values in {unseen_share:.1%}, such as {examples[0]!r}")
        strength = max(strength, unseen_share / settings.rate_change)
    index, chance, p_value = _stability_index(table)
    if index - chance > settings.psi and p_value < significance and units is not None:
        index, chance, p_value = _stability_index(table, _bin_codes(values, learned), units)
    if index - chance > settings.psi and p_value < significance:
        reasons.append(f"PSI {index:.2f}")
        strength = max(strength, (index - chance) / settings.psi)
    return ColumnDrift(
        name,
        learned["kind"],
        index,
        chance,
        p_value,
        shares,
        unseen_share,
        examples,
        reasons=tuple(reasons),
        histogram=_histogram(learned, table),
        strength=strength,
    )


def _stability_index(
    table: Counts, cells: Counts | None = None, units: _Units | None = None
) -> tuple[float, float, float]:
    """Return the stability index, the part that chance explains, and the p-value, for rows that are about units."""
    if cells is None or units is None:
        pooled = _merged_counts(table, _merge_rare_bins(table))
        return _psi(pooled), _index_by_chance(pooled), _p_value(pooled)
    bins = _merge_rare_bins(table, _design_effect(cells, units))
    effect = _design_effect(np.where(cells < 0, -1, bins[cells]), units)  # rows of a unit share wide bins more often
    pooled = _merged_counts(table, bins)
    return _psi(pooled), _index_by_chance(pooled) * effect, _p_value(pooled / effect, units)


def _bin_codes(values: pd.Series, learned: Mapping[str, Any]) -> Counts:
    """Return the number of each row's bin in the profile; of a missing value, -1."""
    if learned["kind"] == "number":
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isnan(numbers), -1, np.searchsorted(learned["edges"], numbers))
    known = {value: number for number, value in enumerate(learned["counts"])}
    if learned["kind"] == "boolean":
        values = values.astype("boolean")
    codes, distinct = pd.factorize(values.astype("object"))  # -1 where missing
    numbers = np.array([*(known.get(str(value), len(known)) for value in distinct), -1], dtype=np.int64)
    return numbers[codes]


def _design_effect(cells: Counts, units: _Units | None) -> float:
    """Return how many times more rows are needed than if each stood for itself: 1 where units do not matter.

    It is the mean over cells of the variance of a cell's share between units over that between rows. If all rows are in
    one cell, the similarity within units is unknown, and the rows of a unit count as equal.

    Args:
        cells: The cell of each row, shape (m,); a negative one is not counted.
        units: The units of the m rows.
    """
    if units is None:
        return 1.0
    there = cells >= 0
    cells, groups = pd.factorize(cells[there])[0], pd.factorize(units.groups[there])[0]
    if len(cells) == 0 or cells.max() == 0 or groups.max() == 0:
        return units.rows_each
    count, rows = int(groups.max()) + 1, len(cells)
    width = int(cells.max()) + 1
    found = np.bincount(groups * width + cells, minlength=count * width).reshape(count, width)
    share = found.sum(axis=0) / rows
    spread = ((found - found.sum(axis=1, keepdims=True) * share) ** 2).sum(axis=0) * count / (count - 1)
    return max(1.0, float((spread / (rows * share)).sum() / (len(share) - 1)))


def _histogram(learned: Mapping[str, Any], table: Counts) -> tuple[tuple[str, float, float], ...]:
    """Return each bin's name, and its share in training and in the window."""
    shares = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    if learned["kind"] == "number":
        edges = [f"{edge:.4g}" for edge in learned["edges"]]
        names = [f"up to {edges[0]}", *(f"to {edge}" for edge in edges[1:]), f"over {edges[-1]}"]
        return tuple(zip(names, *shares.tolist(), strict=True))
    order = np.argsort(-shares[:, :-1].max(axis=0), kind="stable")[:SHOWN_VALUES]
    names = list(learned["counts"])
    shown = [(names[place], *shares[:, place].tolist()) for place in order]
    others = 1 - shares[:, order].sum(axis=1)
    return (*shown, ("other values", *others.tolist())) if (others > 1e-9).any() else tuple(shown)


def _bin_counts(learned: Mapping[str, Any], tally: _Tally) -> tuple[Counts | None, int, tuple[str, ...]]:
    """Return the counts of both, shape (2, bins), rows with an unseen value, and some such values."""
    if "counts" not in learned or (tally.bins is None and not tally.values):
        return None, 0, ()
    if tally.bins is not None:
        return np.array([learned["counts"], tally.bins]), 0, ()
    known, found = learned["counts"], tally.values
    rest = {value: count for value, count in found.items() if value not in known}
    table = [[*known.values(), learned["other"]], [*(found.get(value, 0) for value in known), sum(rest.values())]]
    if learned["distinct"] > len(known):  # the values that are in `other` are not known by name
        return np.array(table), 0, ()
    commonest = sorted(rest, key=lambda value: -rest[value])[:EXAMPLES]
    return np.array(table), sum(rest.values()), tuple(commonest)


def _merge_rare_bins(table: Counts, effect: float = 1.0) -> Counts:
    """Return which of fewer bins each bin belongs to.

    Those in which fewer than five rows are expected, of the window by the training data or of the smaller side by both,
    are one. Where that would be all, neighbours are one before.
    """
    training, window = table.sum(axis=1)
    by_both = table.sum(axis=0) * min(training, window) / max(1, training + window)
    expected = np.minimum(table[0] * window / max(1, training), by_both) / effect
    together = max(1, math.ceil(EXPECTED_ROWS * effect * (table.shape[1] - 1) / max(1, window)))
    bins = np.arange(table.shape[1]) // together
    rare = np.bincount(bins, weights=expected)[bins] < EXPECTED_ROWS
    return np.where(rare, bins.max() + 1, bins)


def _merged_counts(table: Counts, bins: Counts) -> Counts:
    """Return the counts of fewer bins, without empty ones."""
    pooled = np.array([np.bincount(bins, weights=counts) for counts in table])
    return pooled[:, pooled.sum(axis=0) > 0]


def _psi(table: Counts) -> float:
    """Return the population stability index of two rows of counts, a symmetrised Kullback-Leibler divergence.

    Half a row is added to each bin (Krichevsky and Trofimov 1981), so that an empty one gives a large and
    finite number. Of the rules of thumb, below 0.1 is no change, above 0.25 a large one (Siddiqi 2006).
    """
    smoothed = table + 0.5
    training, window = smoothed / smoothed.sum(axis=1, keepdims=True)
    return float(np.sum((window - training) * np.log(window / training)))


def _index_by_chance(table: Counts) -> float:
    """Return the index that is expected without drift: (bins - 1)(1/n + 1/m) (Yurdakul and Naranjo 2020)."""
    return float((table.shape[1] - 1) * np.sum(1 / np.maximum(1, table.sum(axis=1))))


def _p_value(table: np.ndarray[Any, Any], units: _Units | None = None) -> float:
    """Return how likely a difference this large is between two draws from one distribution.

    Two small counts are tested exactly. With few units the design effect is itself uncertain, hence the F distribution.
    """
    from scipy.stats import chi2, f, fisher_exact

    totals = table.sum(axis=1, keepdims=True)
    if table.shape[1] < 2 or not table.sum(axis=0).all() or not totals.all():
        return 1.0
    expected = totals * table.sum(axis=0) / totals.sum()
    if table.shape[1] == 2 and expected.min() < 2 * EXPECTED_ROWS:
        return float(fisher_exact(np.rint(table).astype(np.int64)).pvalue)
    statistic, free = float(((table - expected) ** 2 / expected).sum()), table.shape[1] - 1
    if units is not None:
        return float(f.sf(statistic / free, free, free * (units.count - 1)))
    return float(chi2.sf(statistic, free))


def should_fire(windows: Sequence[bool | None], *, settings: MonitorSettings) -> bool:
    """Return whether to retrain: the latest window violates the limits, and so do `needed` of the last `windows`.

    One unusual window is not enough, and neither is drift that has ended. Windows without a result (None) are ignored.

    Args:
        windows: Whether each window violated the limits, the latest last.
        settings: The settings of `monitor`; `windows` and `needed` are used.
    """
    decided = [bool(window) for window in windows if window is not None][-settings.windows :]
    return bool(decided) and windows[-1] is True and sum(decided) >= settings.needed
