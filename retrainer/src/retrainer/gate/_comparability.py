"""Whether a champion can be compared with a challenger, known before anything is computed from its predictions."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ._metrics import Metric
from ._predictions import Array, Predictions
from ._samples import find_positive

MINIMUM_COMPARABLE_ROWS = 30


@dataclass(frozen=True)
class Champion:
    """The model in production, and what is needed to compare the challenger with it.

    Attributes:
        predictions: Predictions of the n holdout rows; None where the model cannot predict them (`obstacle` gives the
            reason).
        comparable: Mask of the rows that the model was not trained on, shape (n,); None for all.
        obstacle: The reason why no comparison is possible, as a clause: `column 'plan' is gone`; None if it is
            possible.
        why_few_rows: A clause that is added to the reason where too few rows are comparable.
        stored_score: The score at training. It is shown, and never compared.
        stored_rows: The number of rows of `stored_score`; None if it is not known.
        served: The refit model that serves; None where the evaluated model serves.
    """

    predictions: Predictions | None
    comparable: Array | None = None
    obstacle: str | None = None
    why_few_rows: str = ""
    stored_score: float | None = None
    stored_rows: int | None = None
    served: "Champion | None" = None

    def comparable_rows(self, count: int) -> Array:
        """Return the mask of the rows that it was not trained on, shape (count,)."""
        return np.ones(count, dtype=bool) if self.comparable is None else np.asarray(self.comparable, bool)


def find_obstacle(champion: Champion, challenger: Predictions, y: Array) -> str | None:
    """Return why a comparison is impossible or meaningless, None if it is not.

    Args:
        champion: The model in production.
        challenger: Predictions of the holdout's n rows.
        y: The truth, shape (n,).
    """
    if champion.obstacle is not None or champion.predictions is None:
        return champion.obstacle or "it has no predictions of the holdout"
    mask = champion.comparable_rows(len(y))
    found = _other_classes(champion.predictions, challenger) or _too_few_rows(y, mask)
    if found is None and challenger.classes is not None:
        found = _missing_class(y, mask)
    return f"{found} ({champion.why_few_rows})" if found and champion.why_few_rows else found


def too_few_of_a_class(y: Array, metric: Metric, confidence: float) -> str | None:
    """Return a clause about the class that has too few rows for any difference to be certain; None if there is none.

    With m rows of a class, chance alone puts all of them on one model's side once in 2^m times.
    """
    if not metric.measure.by_class:
        return None
    needed = math.ceil(-math.log2(1 - confidence))
    counts = pd.Series(y).value_counts()
    if metric.positive is not None and metric.one_class and len(counts) > 1:
        position = find_positive(metric.positive, counts.index)
        counts = pd.Series({counts.index[position]: counts.iloc[position]})
    rarest, count = counts.index[-1], int(counts.iloc[-1])
    if count >= needed:
        return None
    return (
        f"class {rarest} has {count} of the {len(y):,} rows new to both models, and {metric.label} needs at least "
        f"{needed} for {confidence:.0%} confidence"
    )


def _other_classes(champion: Predictions, challenger: Predictions) -> str | None:
    """Two sets of classes of which neither contains the other name different things: 0 and 1, no and yes."""
    if champion.classes is None or challenger.classes is None:
        return None
    old, new = set(champion.classes.tolist()), set(challenger.classes.tolist())
    if old <= new or new <= old:
        return None
    return f"its classes are {_listed(old)}, and the challenger's are {_listed(new)}"


def _too_few_rows(y: Array, mask: Array) -> str | None:
    count, needed = int(mask.sum()), min(MINIMUM_COMPARABLE_ROWS, len(y))
    if count >= needed:
        return None
    return f"{count:,} of the {len(y):,} holdout rows are new to both models, and {needed} are needed"


def _missing_class(y: Array, mask: Array) -> str | None:
    if mask.all():
        return None
    missing = set(pd.unique(y)) - set(pd.unique(y[mask]))
    if not missing:
        return None
    return f"class {_listed(missing)} has no row among the {mask.sum():,} that are new to both models"


def _listed(classes: set[object]) -> str:
    return ", ".join(sorted(map(str, classes)))
