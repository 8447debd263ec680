"""Whether what serves is as good as the model that was compared, on rows that neither has seen."""

from dataclasses import replace

import numpy as np

from ._comparability import MINIMUM_COMPARABLE_ROWS, Champion
from ._predictions import Predictions
from ._question import Question, compare_by_evidence, score_on_common_rows
from ._resampling import TINY


def what_serves(question: Question, champion: Champion) -> tuple[Champion, tuple[str, ...]]:
    """Return what the challenger is to be compared with: the champion's twin, or what serves where that is worse.

    What serves was fitted once more on all rows, the holdout too, so that nobody could judge it then. On rows newer
    than all of them it is compared with the twin; worse beyond chance, it takes the twin's place, and an alarm says so.

    Args:
        question: That is asked of the challenger.
        champion: The model in production; with `served` if it was fitted once more.
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
        "What serves is worse than the model that was compared before it was fitted once more on all rows: "
        f"{metric.label} {lost} on the {int(new.sum()):,} rows that neither has seen. The challenger is compared with"
        " what serves. Look at the newest rows it learned from, or set train.refit = false."
    )
    return replace(served, stored_score=champion.stored_score, stored_rows=champion.stored_rows), (alarm,)


def lost_by_refit(question: Question, served: Predictions, twin: Champion) -> str | None:
    """Return by how much what was fitted once more is worse than its twin, beyond chance; None where it is not.

    Args:
        question: Of which rows.
        served: Its predictions of them.
        twin: The model that was compared, with the rows that count.
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
    return f"{scores[0]} against {scores[1]}, which chance makes in {lost.p_value:.2%} of cases,"
