"""How rows that follow each other in time go alike: errors of one day, of an outage, of a season.

Rows that a model gets wrong for the same reason are one piece of evidence, not many. How long that lasts is found from
the differences of the two models' losses: summed over longer and longer blocks, until neighbours no longer
go alike twice in a row
(the idea of batch means, Law and Kelton 2000, "Simulation Modeling and Analysis", section 9.5.3).
"""

import datetime
from collections.abc import Iterator

import numpy as np

from ..settings import ProblemType, length_of
from ._builtin import log_losses
from ._predictions import Array, Predictions
from ._samples import make_samples

FEWEST = 16  # blocks between which a likeness can be seen
SURE = 1.0  # standard errors beyond which neighbours go alike: a block too long costs little, one too short misleads
LEAST = 8  # blocks; with fewer, chance and skill look the same
LONGER = 6  # so many times as long as neighbours go alike, so that little is left of it at the edges


def blocks_of_time(
    y: Array,
    champion: Predictions,
    challenger: Predictions,
    times: Array,
    *,
    problem_type: ProblemType,
    block: str | None,
) -> tuple[Array | None, str]:
    """Return the block of each row, shape (n,), and a description; None where each row is a block.

    Args:
        y: The truth, shape (n,).
        champion: Predictions of the n rows.
        challenger: Predictions of the n rows.
        times: Microseconds since 1970, shape (n,).
        problem_type: Whether the target is a class or a number.
        block: The length, `7 days` or `50 rows`; None means as long as neighbouring differences of the losses
            correlate.
    """
    wanted = length_of(block) if block is not None else None
    if isinstance(wanted, datetime.timedelta):
        return np.asarray((times - times.min()) // round(wanted.total_seconds() * 1e6)), f"blocks of {block}"
    order = np.argsort(times, kind="stable")
    length = wanted or max(
        _block_length(differences[order]) for differences in _loss_differences(y, champion, challenger, problem_type)
    )
    codes = np.empty(len(times), dtype=np.intp)
    codes[order] = np.arange(len(times)) // length
    _, moment = np.unique(times, return_inverse=True)
    first = np.full(moment.max() + 1, len(times), dtype=np.intp)
    np.minimum.at(first, moment, codes)  # rows of one time stay together
    codes = first[moment]
    if len(np.unique(codes)) == len(times):
        return None, ""
    return codes, f"blocks of {length:,} rows in time" if length > 1 else "points in time"


def _loss_differences(
    y: Array, champion: Predictions, challenger: Predictions, problem_type: ProblemType
) -> Iterator[Array]:
    old, new = make_samples(y, champion, challenger, problem_type=problem_type)
    if problem_type == "regression":
        misses = np.abs(old.labels - old.y), np.abs(new.labels - new.y)
        yield misses[0] - misses[1]
        yield misses[0] ** 2 - misses[1] ** 2
        return
    yield (new.labels == new.y).astype(np.float64) - (old.labels == old.y)
    if old.probabilities is not None and new.probabilities is not None:
        yield log_losses(old) - log_losses(new)


def _block_length(differences: Array) -> int:
    """Return the length of blocks whose sums are nearly independent, for differences in the order of time."""
    centred = differences - differences.mean()
    alike, length, apart = 0, 1, 0
    while apart < 2 and len(centred) // length >= FEWEST:
        count = len(centred) // length
        sums = centred[: count * length].reshape(count, length).sum(axis=1)
        total = float(sums @ sums)
        if total > 0 and float(sums[1:] @ sums[:-1]) / total * count**0.5 > SURE:
            alike, apart = length, 0
        else:
            apart += 1
        length *= 2
    length = max(1, LONGER * alike)
    # Of errors that last as long as these rows, nothing can be known from them: all of them are one piece of evidence.
    return length if len(centred) >= LEAST * length else len(centred)
