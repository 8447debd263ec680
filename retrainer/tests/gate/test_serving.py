"""What serves is judged on rows that it has not seen; what counts as one piece of evidence by a split by time."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrainer import gate, pipeline
from retrainer.gate import METRICS, Champion, Predictions, Question, decide, what_serves
from retrainer.registry import open_registry
from retrainer.settings import GateSettings, Settings

from ..conftest import now, retrain_steps, use

ROWS = 400
TRUTH = np.random.default_rng(0).normal(size=ROWS)


def model(noise: float, seed: int = 1) -> Predictions:
    return Predictions(TRUTH + noise * np.random.default_rng(seed).normal(size=ROWS))


def asked(**options: Any) -> Question:
    return Question(TRUTH, METRICS["rmse"], GateSettings(min_improvement=0.0), **options)


def test_what_serves_takes_the_twins_place_where_it_is_worse_beyond_chance() -> None:
    newest = np.arange(ROWS) >= 300
    twin = Champion(model(0.5), stored_score=0.5, served=Champion(model(2.0, seed=2), newest))

    found, alarms = what_serves(asked(), twin)

    assert found.predictions is twin.served.predictions  # type: ignore[union-attr]
    assert found.comparable_rows(ROWS).sum() == 100
    assert found.stored_score == 0.5
    (alarm,) = alarms
    assert "is worse than the evaluated model" in alarm
    assert "100 rows that neither has seen" in alarm


@pytest.mark.parametrize(
    "served",
    [
        None,
        Champion(model(0.5)),
        Champion(model(0.2, seed=2)),
        Champion(model(2.0, seed=2), np.arange(ROWS) >= ROWS - 29),
    ],
    ids=["the same", "as good", "better", "too few rows"],
)
def test_else_the_twin_stays_what_is_compared(served: Champion | None) -> None:
    twin = Champion(model(0.5), served=served)

    found, alarms = what_serves(asked(), twin)

    assert found is twin
    assert alarms == ()


@pytest.mark.parametrize(("block", "named"), [("7 days", "58 blocks of 7 days"), ("50 rows", "8 blocks of 50 rows")])
def test_blocks_of_time_can_be_set_and_are_shown(block: str, named: str) -> None:
    days = np.arange(ROWS) * 86_400_000_000
    question = Question(TRUTH, METRICS["rmse"], GateSettings(block=block), times=days)

    decision = decide(question, model(0.5), Champion(model(0.9, seed=2)))

    assert decision.method is not None
    assert named in decision.method


def lasting(rng: np.random.Generator, rows: int = 1000) -> Any:
    return rng.normal(size=rows // 20).repeat(20) + 0.3 * rng.normal(size=rows)


def test_equal_models_whose_errors_last_a_day_are_seldom_promoted() -> None:
    rng, promoted = np.random.default_rng(0), {None: 0, "1 row": 0}
    for seed in range(60):
        y = rng.normal(size=1000)
        models = [Predictions(y + lasting(rng)) for _ in range(2)]
        for block in promoted:
            settings = GateSettings(min_improvement=0.0, block=block)
            question = Question(y, METRICS["rmse"], settings, times=np.arange(1000), seed=seed)
            promoted[block] += decide(question, models[0], Champion(models[1])).promoted

    # 3 are allowed by chance, and more than 9 come once in 1,000 times; docs/promotion.md has more such pairs.
    assert promoted[None] <= 9
    assert promoted["1 row"] > 12, "without blocks, chance is taken for skill"


def test_rows_of_one_time_stay_together() -> None:
    times = np.repeat(np.arange(40), 10)
    question = Question(TRUTH, METRICS["rmse"], GateSettings(block="1 row"), times=times)

    decision = decide(question, model(0.5), Champion(model(0.9, seed=2)))

    assert decision.method is not None
    assert "40 points in time" in decision.method


# The whole of it, on a table by time.


def weeks(count: int, *, spoilt: bool = False) -> pd.DataFrame:
    """Return 100 rows a week whose last week may have a target that means something else."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=100 * count)
    table = pd.DataFrame({"x": x, "when": pd.date_range("2026-01-01", periods=len(x), freq="100min")})
    table["target"] = 10 * x + rng.normal(size=len(x))
    if spoilt:
        table.loc[100 * (count - 1) :, "target"] *= -5.0
    return table


@pytest.fixture
def by_time(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    use(monkeypatch, SPLIT__METHOD="time", SPLIT__TIME_COLUMN="when")
    return now().settings


@pytest.mark.parametrize("settings", ["regression"], indirect=True)
def test_another_target_is_another_question(by_time: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    table = weeks(6)
    assert retrain_steps(table, now())[0].decision.kind == "first"
    use(monkeypatch, DATA__TARGET="other")

    compared, _ = retrain_steps(table.rename(columns={"target": "other"}), now())

    assert compared.decision.kind == "not_comparable"
    assert "it predicts 'target', and data.target is 'other'" in compared.decision.reason
    assert open_registry(now().settings).decisions()[-1].verdict == "kept"


@pytest.mark.parametrize("settings", ["regression"], indirect=True)
def test_a_refit_that_is_worse_on_what_it_learned_from_is_refused(
    by_time: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pipeline._training._fit_recipe  # type: ignore[attr-defined]
    fits = iter([real, lambda part, recipe, project: real(_shuffled(part), recipe, project)])
    monkeypatch.setattr("retrainer.pipeline._training._fit_recipe", lambda *given: next(fits)(*given))

    _, refitted = retrain_steps(weeks(6), now())

    assert refitted is not None
    assert refitted.model is None
    assert "the rows it learned from in addition make it worse" in str(refitted.error)
    assert "twin.joblib" not in open_registry(now().settings).champion().files  # type: ignore[union-attr]


def _shuffled(part: Any) -> Any:
    from dataclasses import replace

    return replace(part, y=part.y.sample(frac=1, random_state=0).set_axis(part.y.index))


@pytest.mark.parametrize("settings", ["regression"], indirect=True)
@pytest.mark.parametrize("spoilt", [True, False])
def test_a_refit_that_went_wrong_is_seen_on_rows_newer_than_it(
    spoilt: bool, by_time: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pipeline._training._fit_recipe  # type: ignore[attr-defined]
    fits = iter([real, lambda part, *more: real(_shuffled(part) if spoilt else part, *more)])
    with monkeypatch.context() as patched:
        patched.setattr("retrainer.pipeline._training._fit_recipe", lambda *given: next(fits)(*given))
        patched.setattr("retrainer.pipeline._training._judge_refit", lambda *given, **more: None)
        first, refitted = retrain_steps(weeks(8), now())
    assert first.decision.promoted
    assert refitted is not None

    again, _ = retrain_steps(weeks(10), now())

    assert again.decision.promoted or not spoilt
    assert any("is worse than the evaluated model" in alarm for alarm in again.decision.alarms) is spoilt


@pytest.mark.parametrize("settings", ["regression"], indirect=True)
@pytest.mark.parametrize("spoilt", [True, False])
def test_a_version_on_hold_is_compared_as_it_would_serve(
    spoilt: bool, by_time: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two champions whose refit went wrong, or only of the first, the second is rolled back."""
    use(monkeypatch, GATE__MIN_IMPROVEMENT="0.05")  # more than some more rows are worth
    real = pipeline._training._fit_recipe  # type: ignore[attr-defined]
    wrong = [True, spoilt]
    fits = iter([fit for bad in wrong for fit in (False, bad)])

    def fit(part: Any, *more: Any) -> Any:
        return real(_shuffled(part) if next(fits) else part, *more)

    with monkeypatch.context() as patched:
        patched.setattr("retrainer.pipeline._training._fit_recipe", fit)
        patched.setattr("retrainer.pipeline._training._judge_refit", lambda *given, **more: None)
        retrain_steps(weeks(8), now())
        assert retrain_steps(weeks(10), now())[0].decision.promoted
    open_registry(now().settings).rollback(reason="its errors were large")

    again, _ = retrain_steps(weeks(12), now())

    assert again.decision.promoted is spoilt
    assert (again.decision.kind == "held") is not spoilt


def test_an_alarm_lets_a_challenger_wait_where_that_is_set() -> None:
    decision = decide(asked(), model(0.5), None)

    staged = gate.to_staging(decision, "alarm", "gate.alarms leaves it to a person")

    assert (staged.verdict, staged.kind) == ("staging", "alarm")
    assert staged.reason.startswith("In staging, not promoted: gate.alarms leaves it to a person. ")
