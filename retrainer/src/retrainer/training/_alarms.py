"""Signs that a score is too good: leakage of the target in a column, an entity on both sides of the split."""

from collections.abc import Collection, Iterator

import numpy as np
import pandas as pd

from ..data import is_identifier_name, kind_of
from ..gate import Array
from ..settings import ProblemType

ROWS = 5_000  # of the training part, drawn at random
GIVEN_AWAY = 0.9  # of the target's variance, in rows that were not looked at; honest columns have reached 0.86
_LEAVES = 64
_ROWS_OF_A_VALUE = 2  # on average: the other rows of a value say what a row is
_ENOUGH_ROWS = 30  # that are not alone with their value, and half of all
_ENTITY_ROWS = 20  # a value with more rows on average names a group, such as a city, and no entity
_FEWEST_ENTITIES = 20
_KNOWN, _ALIKE, _SIGNIFICANCE = 0.2, 0.2, 0.001


def leaking_columns(
    X: pd.DataFrame, y: pd.Series, *, problem_type: ProblemType, seed: int, left_out: Collection[str] = ()
) -> list[str]:
    """Return an alarm for each column that by itself predicts the target.

    A tree learns from half of a sample of rows and explains at least 90 % of the target's variance in the other half;
    or the means of other rows with the same value explain as much, where values repeat.

    Args:
        X: The inputs of the pipeline for the training rows, shape (n, features).
        y: The target, shape (n,).
        problem_type: Whether the target is a class or a number.
        seed: The seed of the sample.
        left_out: Columns that the pipeline does not use.

    Examples:
        >>> y = pd.Series(["yes", "no"] * 100, name="churned")
        >>> X = pd.DataFrame({"account": y.map({"yes": "closed", "no": "open"}), "age": range(200)})
        >>> [alarm[:35] for alarm in leaking_columns(X, y, problem_type="classification", seed=0)]
        ["Column 'account' by itself explains"]
    """
    chosen = np.random.default_rng(seed).choice(len(X), min(len(X), ROWS), replace=False)
    targets = _target_columns(y.iloc[chosen], problem_type)
    half = len(chosen) // 2
    alarms = []
    for name in X.columns.difference(list(left_out), sort=False):
        explained = _single_column_r2(X[name].iloc[chosen], targets, half)
        if explained >= GIVEN_AWAY:
            alarms.append(
                f"Column {name!r} by itself explains {explained:.0%} of the target's variance. This may be leakage: a "
                "value known only after the outcome, or a copy of the target. If so, leave it out (data.drop)."
            )
    return alarms


def _target_columns(y: pd.Series, problem_type: ProblemType) -> Array:
    """Return one column of numbers, or one for each of the commonest classes, shape (n, k)."""
    if problem_type == "regression":
        return np.asarray(y, dtype=np.float64)[:, None]
    classes = y.value_counts().index[:10]
    return np.column_stack([y == name for name in classes]).astype(np.float64)


def _single_column_r2(values: pd.Series, targets: Array, half: int) -> float:
    """Return the share of the variance that a column explains in rows that were not looked at."""
    if values.isna().all():
        return 0.0
    by_value = _value_mean_r2(values, targets)  # of numbers too: 80 codes of a category have no order
    if kind_of(values) == "text":
        return by_value
    from sklearn.tree import DecisionTreeRegressor

    column = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)[:, None]
    tree = DecisionTreeRegressor(max_leaf_nodes=_LEAVES, random_state=0).fit(column[:half], targets[:half])
    other = targets[half:]
    guessed = tree.predict(column[half:]).reshape(other.shape)
    return max(by_value, _explained_share(other, guessed, targets[:half].mean(axis=0)))


def _value_mean_r2(values: pd.Series, targets: Array) -> float:
    """Return the share that the means of the other rows with the same value explain, in rows that have others."""
    codes, names = pd.factorize(values)
    mean = targets.mean(axis=0)
    rows = pd.DataFrame(targets - mean).groupby(codes)
    others = rows.transform("size").to_numpy() - 1
    known = others > 0
    if len(names) * _ROWS_OF_A_VALUE > len(values) or known.sum() < max(_ENOUGH_ROWS, len(values) / 2):
        return 0.0
    guessed = mean + (rows.transform("sum").to_numpy() - (targets - mean))[known] / others[known, None]
    return _explained_share(targets[known], guessed, mean)


def _explained_share(truth: Array, guessed: Array, mean: Array) -> float:
    total = float(np.sum((truth - mean) ** 2))
    return 1 - float(np.sum((truth - guessed) ** 2)) / total if total else 0.0


def shared_entities(
    training: pd.DataFrame, holdout: pd.DataFrame, *, target: str, problem_type: ProblemType
) -> list[str]:
    """Return an alarm for each column of entities with similar rows on both sides of the split.

    Entities are the values of a text column or of an identifier, with more than one row each and at most 20 on average.

    Args:
        training: The training rows with labels.
        holdout: The holdout rows with labels.
        target: The name of the target.
        problem_type: Whether the target is a class or a number.
    """
    alarms = []
    for name in map(str, training.columns.drop(target)):
        found = list(_entity_correlations(training, holdout, name, target, problem_type))
        if found and max(found) >= _ALIKE:
            known = holdout[name].isin(training[name].dropna().unique()).mean()
            alarms.append(
                f"{known:.0%} of the holdout rows have a {name!r} that training rows have too, and their targets "
                f'correlate. The score is too good for new values. Set split.key_columns = ["{name}"].'
            )
    return alarms


def _entity_correlations(
    training: pd.DataFrame, holdout: pd.DataFrame, name: str, target: str, problem_type: ProblemType
) -> Iterator[float]:
    """Yield how the target of a holdout row correlates with the mean of the training rows of its entity."""
    from scipy.stats import pearsonr

    values = training[name]
    kind = kind_of(values)
    if kind == "other" or (kind != "text" and not is_identifier_name(name)):
        return
    known, rows = values.nunique(), int(values.notna().sum())
    if known < _FEWEST_ENTITIES or not 1.2 * known <= rows <= _ENTITY_ROWS * known:
        return
    both = holdout[holdout[name].isin(values.dropna().unique())]
    if len(both) < max(_FEWEST_ENTITIES, _KNOWN * len(holdout)):
        return
    targets = pd.concat([training[target], both[target]], ignore_index=True)
    for column in _target_columns(targets, problem_type).T:
        means = pd.Series(column[: len(training)]).groupby(values.to_numpy()).mean()
        expected = both[name].map(means).to_numpy(dtype=np.float64)
        own = column[len(training) :]
        if np.ptp(own) and np.ptp(expected):
            correlation = pearsonr(expected, own)
            if correlation.pvalue < _SIGNIFICANCE:
                yield float(correlation.statistic)
