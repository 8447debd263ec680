"""Whether the refit model that serves is as good as the evaluated one, on rows that neither has seen."""

from dataclasses import replace

import numpy as np

from ._comparability import MINIMUM_COMPARABLE_ROWS, Champion
from ._predictions import Predictions
from ._question import Question, compare_by_evidence, score_on_common_rows
from ._resampling import TINY


def what_serves(question: Question, champion: Champion) -> tuple[Champion, tuple[str, ...]]:
    """Return the model to compare the challenger with: the evaluated one, or the one that serves where that is worse.

    The model that serves was refit on all rows, the holdout included, so no rows were left to score it on. On newer
    rows it is compared with the evaluated model. Where it is worse beyond chance, the challenger is compared with it,
    and an alarm says so.

    Args:
        question: The question for the gate.
        champion: The model in production; with `served` if it was refit.
    """
    served, metric = champion.served, question.metric
    if served is None or served.predictions is None or champion.predictions is None:
        return champion, ()
    count = len(np.asarray(question.y))
    new = served.comparable_rows(count) & champion.comparable_rows(count)
    if new.sum() < MINIMUM_COMPARABLE_ROWS:
        return champion, ()
    lost = lost_by_refit(question, served.predictions, Champion(champion.predictions, new))
    if lost is None:
        return champion, ()
    alarm = (
        f"The model that serves, refit on all rows, is worse than the evaluated model: {metric.label} {lost} on the "
        f"{int(new.sum()):,} rows that neither has seen. The challenger is compared with the model that serves. Check"
        " the newest training rows, or set train.refit = false."
    )
    return replace(served, stored_score=champion.stored_score, stored_rows=champion.stored_rows), (alarm,)


def lost_by_refit(question: Question, served: Predictions, twin: Champion) -> str | None:
    """Return by how much a refit model is worse than the evaluated one, beyond chance; None where it is not.

    Args:
        question: The question for the gate, with the rows to compare on.
        served: The refit model's predictions of these rows.
        twin: The evaluated model, with the rows that count.
    """
    metric = question.metric
    found = score_on_common_rows(question, served, twin, {metric.name: metric}, name="twin")
    if found.obstacle is not None or found.pair is None:
        return None
    pair = replace(found.pair, champion=found.pair.challenger, challenger=found.pair.champion)
    lost, _ = compare_by_evidence(question, pair)
    if lost.improvement <= TINY or lost.p_value > 1 - question.gate.confidence or lost.lower <= TINY:
        return None
    scores = [metric.format(each[metric.name]) for each in (found.challenger, found.rival)]
    return f"{scores[0]} against {scores[1]} (p-value {lost.p_value:.4f})"
