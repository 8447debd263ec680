"""A promotion must also be better than no model and than what is on hold, and may wait for a person."""

import numpy as np
import pytest

from retrainer.gate import (
    METRICS,
    Champion,
    Decision,
    Predictions,
    Question,
    Rival,
    apply_baseline_and_holds,
    decide,
)
from retrainer.settings import GateSettings

ROWS = 400
TRUTH = np.random.default_rng(0).normal(size=ROWS)


def model(noise: float, seed: int = 1) -> Predictions:
    """Return predictions that are off by `noise`."""
    return Predictions(TRUTH + noise * np.random.default_rng(seed).normal(size=ROWS))


NO_MODEL = Rival("always predicting 0 (the mean)", Champion(Predictions(np.zeros(ROWS))))


def decided(
    challenger: Predictions,
    *held: Rival,
    champion: Predictions | None = None,
    accept: bool = False,
    **gate: object,
) -> Decision:
    settings, metric = GateSettings.model_validate(gate), METRICS["rmse"]
    opponent = Champion(champion) if champion else None
    first = decide(Question(TRUTH, metric=metric, gate=settings), challenger, opponent)
    question = Question(TRUTH, metric, settings, accept_not_comparable=accept)
    return apply_baseline_and_holds(first, question, challenger, baseline=NO_MODEL, held=held)


def on_hold(predictions: Predictions | None) -> Rival:
    obstacle = None if predictions else "column 'plan' is gone"
    return Rival("v2", Champion(predictions, obstacle=obstacle))


def test_a_first_model_that_beats_the_baseline_is_promoted_and_says_so() -> None:
    decision = decided(model(0.5))

    assert (decision.verdict, decision.kind) == ("promoted", "first")
    assert "Better than always predicting 0 (the mean)" in decision.reason
    assert decision.baseline == {"rmse": pytest.approx(np.sqrt(np.mean(TRUTH**2)))}
    assert "Baseline, always predicting 0 (the mean): RMSE" in decision.explain()
    assert Decision.from_dict(decision.to_dict()) == decision


@pytest.mark.parametrize("noise", [1.0, 2.0])
def test_a_first_model_that_is_no_better_than_the_baseline_waits_in_staging(noise: float) -> None:
    decision = decided(model(noise))

    assert (decision.verdict, decision.kind) == ("staging", "baseline")
    assert " The first model. RMSE " in decision.reason
    assert decision.reason.startswith(
        "In staging, not promoted: not better than a prediction without a model. RMSE is "
    )
    assert [one.passed for one in decision.criteria if one.name == "baseline"] == [False]


def test_better_than_the_champion_and_worse_than_no_model_waits_in_staging() -> None:
    decision = decided(model(2.0), champion=model(4.0, seed=2))

    assert (decision.verdict, decision.kind) == ("staging", "baseline")
    assert " than that of always predicting 0 (the mean) (0.9" in decision.reason
    assert decided(model(0.5), champion=model(4.0, seed=2)).verdict == "promoted"


def test_the_same_model_as_one_on_hold_is_not_promoted_a_better_one_is() -> None:
    bad, champion = model(0.3), model(0.5, seed=2)

    same = decided(bad, on_hold(bad), champion=champion)
    better = decided(model(0.1, seed=3), on_hold(bad), champion=champion)

    assert (same.verdict, same.kind) == ("staging", "held")
    assert same.reason.startswith(
        "In staging, not promoted: RMSE is equal to that of v2, which is on hold (required: better by more than 0.50 "
        "%). Better than the champion. RMSE is "
    )
    assert (better.verdict, better.kind) == ("promoted", "improvement")
    assert "Better than v2, which is on hold" in better.reason


def test_what_is_on_hold_and_cannot_be_compared_is_passed_by_request_only() -> None:
    good, champion = model(0.1), model(0.5, seed=2)

    found = decided(good, on_hold(None), champion=champion)
    assert "v2, which is on hold, could not be compared (column 'plan' is gone). Better than the cha" in found.reason
    accepted = decided(good, on_hold(None), champion=champion, accept=True)
    assert accepted.verdict == "promoted"
    assert "v2" not in accepted.reason


def test_a_champion_that_is_kept_is_kept_whatever_is_on_hold() -> None:
    decision = decided(model(0.5), on_hold(model(2.0)), champion=model(0.1, seed=2))

    assert (decision.verdict, decision.kind) == ("kept", "regression")


def test_with_approval_a_person_promotes() -> None:
    for champion in (None, model(0.5, seed=2)):
        decision = decided(model(0.1), champion=champion, approval=True)
        assert (decision.verdict, decision.kind) == ("staging", "approval")
        assert "gate.approval leaves every promotion to a person. " in decision.reason


def test_guards_are_for_the_champion_alone() -> None:
    decision = decided(model(0.5), guard_metrics={"mae": 0.0}, floor=5.0)

    assert decision.verdict == "promoted"


def test_what_a_promotion_had_to_beat_is_recorded() -> None:
    held = on_hold(model(0.5, seed=2))
    decision = decided(model(0.3), held, champion=model(0.6, seed=3))

    (criterion,) = [one for one in decision.criteria if one.name == "on hold"]
    assert (criterion.passed, criterion.threshold) == (True, None)
    assert criterion.value == pytest.approx(0.4, abs=0.1)  # 0.5 became 0.3
    assert criterion.detail.startswith("better by ")
    assert decision.reason.endswith(". Better than v2, which is on hold.")


def test_the_first_version_on_hold_that_is_not_beaten_decides() -> None:
    good, champion = model(0.3), model(0.8, seed=2)
    unbeaten, beaten = on_hold(model(0.1, seed=3)), on_hold(model(0.5, seed=4))

    for held in ((unbeaten, beaten), (beaten, unbeaten)):
        decision = decided(good, *held, champion=champion)
        assert (decision.verdict, decision.kind) == ("staging", "held")
        passed = [one.passed for one in decision.criteria if one.name == "on hold"]
        assert passed == ([False] if held[0] is unbeaten else [True, False])


def test_floors_and_guards_are_not_asked_of_a_rival() -> None:
    for gate in ({"floor": 0.35}, {"staging_floor": 0.35}, {"guard_metrics": {"mae": 0.0}}):
        decision = decided(model(0.29, seed=1), on_hold(model(0.9, seed=5)), **gate)
        assert decision.verdict == "promoted"
        names = [one.name for one in decision.criteria]
        assert names.count("baseline") == names.count("on hold") == 1
