"""How metrics are computed, in a form in which each can be resampled.

A `Measure` gives the score of a sample, and what the score is after some groups of rows (or single rows) of two
models were exchanged or drawn again. Most metrics are functions of sums over rows (`Sums`): hits and predictions
of each class, losses, or how many rows of a class lie at each rank. Other metrics (`NonAdditive`) are
computed for each resample.
There is no default: a metric without a measure cannot be made.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._predictions import Array
from ._samples import Sample, find_positive

_LEVELS = 256  # ranks are compared on so many levels, where there are more

Scores = tuple[Array, Array]  # of the champion and of the challenger, each of shape (resamples,)


class Resampler(ABC):
    """Champion and challenger on the same groups of rows, whose predictions can be exchanged or drawn again."""

    @abstractmethod
    def exchanged(self, mask: Array) -> Scores:
        """Return the scores after the predictions of some groups changed sides; `mask` is (r, n_groups)."""

    @abstractmethod
    def redrawn(self, counts: Array) -> Scores:
        """Return the scores where each group occurs `counts` times, shape (r, n_groups)."""


class Measure(ABC):
    """How a metric is computed."""

    by_class = False  # whether every class needs rows, however few they are of all

    @abstractmethod
    def value(self, sample: Sample, positive: Any) -> float:
        """Return the score of one model; nan where it is not defined."""

    @abstractmethod
    def resampler(
        self, champion: Sample, challenger: Sample, positive: Any, group_of_row: Array, n_groups: int
    ) -> Resampler:
        """Return both models by groups of rows; `group_of_row` has shape (n,)."""


class Sums(Measure):
    """A function of sums over rows."""

    @abstractmethod
    def tables(self, samples: Sequence[Sample], positive: Any, group_of_row: Array, n_groups: int) -> list[Array]:
        """Return the sums of each sample in each group, shape (n_groups, ...)."""

    @abstractmethod
    def score(self, sums: Array) -> Array:
        """Return the scores for sums of shape (r, ...), shape (r,)."""

    def value(self, sample: Sample, positive: Any) -> float:
        table = self.tables([sample], positive, np.zeros(len(sample.y), dtype=np.intp), 1)[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(self.score(table)[0])

    def resampler(
        self, champion: Sample, challenger: Sample, positive: Any, group_of_row: Array, n_groups: int
    ) -> Resampler:
        return _SumsResampler(self, *self.tables([champion, challenger], positive, group_of_row, n_groups))


@dataclass(frozen=True)
class _SumsResampler(Resampler):
    measure: Sums
    champion: Array
    challenger: Array

    def exchanged(self, mask: Array) -> Scores:
        moved = self._total(mask, self.challenger - self.champion)
        return self._scores(self.champion.sum(axis=0) + moved, self.challenger.sum(axis=0) - moved)

    def redrawn(self, counts: Array) -> Scores:
        return self._scores(self._total(counts, self.champion), self._total(counts, self.challenger))

    def _total(self, counts: Array, table: Array) -> Array:
        totals = counts.astype(np.float64) @ table.reshape(len(table), -1)
        return np.asarray(totals.reshape(len(counts), *table.shape[1:]))

    def _scores(self, champion: Array, challenger: Array) -> Scores:
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.measure.score(champion), self.measure.score(challenger)


def _count_in_groups(
    group_of_row: Array, n_groups: int, position: Array, size: int, weights: Array | None = None
) -> Array:
    """Return how often (or with how much weight) each position occurs in each group, shape (n_groups, size)."""
    flat = np.bincount(group_of_row * size + position, weights=weights, minlength=n_groups * size)
    return np.asarray(flat.reshape(n_groups, size), dtype=np.float64)


@dataclass(frozen=True)
class ClassCounts(Sums):
    """A function of the numbers of hits, predictions and rows of each class, shape (r, k) each.

    With `one_class` only the positive class is counted, and k is 1.
    """

    function: Callable[[Array, Array, Array], Array]
    one_class: bool = False
    by_class: bool = False

    def tables(self, samples: Sequence[Sample], positive: Any, group_of_row: Array, n_groups: int) -> list[Array]:
        """Return hits, predictions and rows of each class, shape (n_groups, 3, k)."""
        return [self._table(sample, positive, group_of_row, n_groups) for sample in samples]

    def _table(self, sample: Sample, positive: Any, group_of_row: Array, n_groups: int) -> Array:
        size = len(sample.classes)
        hits = _count_in_groups(group_of_row, n_groups, sample.y, size, weights=sample.y == sample.labels)
        predicted = _count_in_groups(group_of_row, n_groups, sample.labels, size + 1)[:, :size]
        table = np.stack([hits, predicted, _count_in_groups(group_of_row, n_groups, sample.y, size)], axis=1)
        return table[:, :, [find_positive(positive, sample.classes)]] if self.one_class else table

    def score(self, sums: Array) -> Array:
        return self.function(sums[:, 0], sums[:, 1], sums[:, 2])


@dataclass(frozen=True)
class Losses(Sums):
    """A function of sums of numbers that each row has.

    Attributes:
        rows: Returns the numbers of a sample, shape (n, m). The first column is 1, so that its sum is the number of
            rows.
        function: Turns sums, shape (r, m), into scores, shape (r,).
    """

    rows: Callable[[Sample, Any], Array]
    function: Callable[[Array], Array]

    def tables(self, samples: Sequence[Sample], positive: Any, group_of_row: Array, n_groups: int) -> list[Array]:
        """Return the sums of each column, shape (n_groups, m)."""
        tables = []
        for sample in samples:
            with np.errstate(divide="ignore", invalid="ignore"):
                columns = self.rows(sample, positive).T
            sums = [np.bincount(group_of_row, weights=column, minlength=n_groups) for column in columns]
            tables.append(np.column_stack(sums))
        return tables

    def score(self, sums: Array) -> Array:
        return self.function(sums)


@dataclass(frozen=True)
class Ranking(Sums):
    """A function of how many rows lie at each rank, of a class and of the others.

    With two classes it is about the positive one (the second, if none is set); with more, each is compared with the
    others, and the mean is taken. Ranks within each model are exchanged, as probabilities of two models may be on
    different scales.

    Attributes:
        function: Turns two arrays, shape (r, c, levels), from the lowest rank to the highest, into scores, shape (r,
            c).
        weighted: Whether the mean over classes is weighted by their rows.
    """

    function: Callable[[Array, Array], Array]
    weighted: bool = True
    by_class = True

    def tables(self, samples: Sequence[Sample], positive: Any, group_of_row: Array, n_groups: int) -> list[Array]:
        """Return the rows at each level, of each class and of the others: shape (n_groups, c, 2, levels)."""
        y, classes = samples[0].y, samples[0].classes
        positions = list(range(len(classes)))
        if len(classes) == 2:
            positions = [1 if positive is None else find_positive(positive, classes)]
        most = None if len(samples) == 1 else max(32, _LEVELS // len(positions))
        found = [
            _levels([_class_probabilities(one, position) for one in samples], y == position, most)
            for position in positions
        ]
        size = max(int(level.max(initial=0)) + 1 for levels in found for level in levels)
        tables = []
        for number in range(len(samples)):
            of_class = [
                _count_in_groups(group_of_row, n_groups, 2 * levels[number] + (y == position), 2 * size)
                for levels, position in zip(found, positions, strict=True)
            ]
            counts = np.stack(of_class, axis=1).reshape(n_groups, len(positions), size, 2)
            tables.append(counts.transpose(0, 1, 3, 2)[:, :, ::-1])
        return tables

    def score(self, sums: Array) -> Array:
        mine, others = sums[:, :, 0], sums[:, :, 1]
        rows, rest = mine.sum(axis=2), others.sum(axis=2)
        present = rows > 0
        scores = np.where(present & (rest > 0), self.function(mine, others), np.nan)
        weights = rows if self.weighted else present.astype(np.float64)
        total = np.where(present, weights * scores, 0.0).sum(axis=1) / weights.sum(axis=1)
        return np.asarray(total)


def _class_probabilities(sample: Sample, position: int) -> Array:
    assert sample.probabilities is not None
    return sample.probabilities[:, position]


def _levels(scores: Sequence[Array], mine: Array, most: int | None) -> list[Array]:
    """Return the level of each row's rank within its model: exactly for one model or few rows, else to `most`."""
    if most is None:
        return [np.unique(column, return_inverse=True)[1] for column in scores]
    ranks = [_middle_ranks(column) for column in scores]
    edges = np.unique(np.concatenate(ranks))
    if len(edges) > most:
        # Half of the levels share out all rows, half the rows of the class, which may be few and at one end.
        grid = np.linspace(0, 1, most // 2)
        edges = np.union1d(grid, np.quantile(np.concatenate([rank[mine] for rank in ranks]), grid))
    return [np.searchsorted(edges, rank) for rank in ranks]


def _middle_ranks(values: Array) -> Array:
    _, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(((np.cumsum(counts) - counts / 2) / len(values))[position])


@dataclass(frozen=True)
class NonAdditive(Measure):
    """A function of all rows at once, which is computed for each resample."""

    function: Callable[[Sample, Any], float]
    by_class: bool = False

    def value(self, sample: Sample, positive: Any) -> float:
        return float(self.function(sample, positive))

    def resampler(
        self, champion: Sample, challenger: Sample, positive: Any, group_of_row: Array, n_groups: int
    ) -> Resampler:
        return _NonAdditiveResampler(self, champion, challenger, positive, group_of_row, n_groups)


@dataclass(frozen=True)
class _NonAdditiveResampler(Resampler):
    measure: NonAdditive
    champion: Sample
    challenger: Sample
    positive: Any
    group_of_row: Array
    n_groups: int

    def exchanged(self, mask: Array) -> Scores:
        rows = (moved.astype(bool)[self.group_of_row] for moved in mask)
        return self._scores(
            (self.champion.mixed(self.challenger, moved), self.challenger.mixed(self.champion, moved)) for moved in rows
        )

    def redrawn(self, counts: Array) -> Scores:
        every = np.arange(len(self.group_of_row))
        rows = (np.repeat(every, times.astype(np.intp)[self.group_of_row]) for times in counts)
        return self._scores((self.champion.take(drawn), self.challenger.take(drawn)) for drawn in rows)

    def _scores(self, pairs: Iterable[tuple[Sample, Sample]]) -> Scores:
        values = [[self.measure.value(sample, self.positive) for sample in pair] for pair in pairs]
        champion, challenger = np.array(values, dtype=np.float64).reshape(-1, 2).T
        return champion, challenger
