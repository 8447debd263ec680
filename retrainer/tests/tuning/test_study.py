"""A study: seeded, pruned, counted, and not lost with its process."""

import multiprocessing
import os
import signal
from typing import Any

import numpy as np
import pytest

from retrainer import pipeline, tuning
from retrainer.training import FoldInputs

from ..conftest import now
from .conftest import search

TRIALS = 6
pytestmark = pytest.mark.parametrize("settings", ["classification"], indirect=True)


def shown(found: tuning.Found) -> list[tuple[Any, ...]]:
    return [(trial["state"], trial["score"], trial["parameters"]) for trial in found.trials]


def forget_studies() -> None:
    for file in (now().settings.root / "data" / "tuning").iterdir():
        file.unlink()


def kill(number: int, inputs: FoldInputs) -> None:
    """Search in another process, which is killed in the middle of a trial."""
    process = multiprocessing.get_context("fork").Process(target=kill_in_trial, args=(number, inputs))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def kill_in_trial(number: int, inputs: FoldInputs) -> None:
    """Search in this process, and kill it in the middle of a trial."""
    done = 0

    def score(*args: Any, **options: Any) -> tuning.Outcome:
        nonlocal done
        if done == number:
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1
        return tuning.score_trial(*args, **options)

    search(inputs, TRIALS, score=score)


@pytest.mark.parametrize("number", [0, 3])
def test_a_killed_study_goes_on_counts_no_trial_twice_and_finds_the_same(inputs: FoldInputs, number: int) -> None:
    unbroken = search(inputs, TRIALS)
    assert search(inputs, TRIALS) == unbroken, "what is complete is not searched again"
    forget_studies()

    kill(number, inputs)
    (journal,) = (now().settings.root / "data" / "tuning").glob("*.journal")
    with journal.open("a") as file:
        file.write('{"op_code": 4, "half')  # a kill in the middle of a line
    resumed = search(inputs, TRIALS)

    assert len(resumed.trials) == TRIALS
    assert shown(resumed) == shown(unbroken)
    assert resumed.study == unbroken.study


def test_a_trial_in_which_the_process_is_killed_twice_has_failed(inputs: FoldInputs) -> None:
    kill(2, inputs)
    kill(0, inputs)

    found = search(inputs, TRIALS)
    assert [trial["state"] for trial in found.trials].count("failed") == 1
    assert "killed" in found.trials[2]["error"]
    assert len(found.trials) == TRIALS


def test_the_best_is_what_cross_validation_says_of_it_and_no_worse_than_today(
    side: pipeline.SplitSide,
) -> None:
    project = now()
    found = search(pipeline.fold_inputs(side, project=project), 8)

    today = pipeline.cross_validate(side, estimator="linear", project=project, threads=1)
    assert found.today == pytest.approx(today[0])
    assert found.score < found.today, "log loss"
    tuning.propose(found, project=project)
    again = pipeline.cross_validate(side, estimator="linear", project=project, threads=1)
    assert found.score == pytest.approx(again[0])


def test_what_was_proposed_and_is_in_use_is_what_the_next_must_be_better_than(inputs: FoldInputs) -> None:
    first = search(inputs, 8)
    assert first.parameters
    tuning.propose(first, project=now())

    again = search(inputs, 8)
    assert (again.study, again.trials) == (first.study, first.trials), "no trial is run again"
    assert (again.today, again.parameters) == (first.score, {})

    file = now().params_file
    file.write_text("[linear.parameters]\nmodel__C = 1e-6\n")  # by hand, and worse than all that was tried
    by_hand = search(inputs, 8)
    assert [trial["trial"] for trial in by_hand.trials][:2] == ["today", "today 2"]
    assert by_hand.today > first.today, "log loss"
    assert by_hand.parameters == first.parameters
    file.unlink()
    assert search(inputs, 8).today == first.today


def test_what_is_better_within_the_noise_of_the_folds_is_not_proposed(inputs: FoldInputs) -> None:
    def complete(*scores: float) -> tuning.Outcome:
        return tuning.Outcome("complete", tuple(np.cumsum(scores) / range(1, 6)), 1.0, 5, scores)

    with tuning.open_study(inputs, estimator="linear", project=now()) as study:
        study.tell(study.ask()[0], complete(0.50, 0.52, 0.48, 0.51, 0.49))
        study.tell(study.ask()[0], complete(0.30, 0.60, 0.48, 0.51, 0.49))  # much better, on one fold
        assert (study.found().parameters, study.found().score) == ({}, pytest.approx(0.5))

        number, parameters = study.ask()
        study.tell(number, complete(0.49, 0.51, 0.472, 0.50, 0.48))  # a little, on each
        assert study.found().parameters == parameters


def test_a_trial_that_fails_is_counted_and_named_and_the_study_goes_on(inputs: FoldInputs) -> None:
    def score(*args: Any, parameters: Any, **options: Any) -> tuning.Outcome:
        if parameters.get("model__C", 0) > 1:
            raise MemoryError("too many leaves")
        return tuning.score_trial(*args, parameters=parameters, **options)

    found = search(inputs, TRIALS, score=score)

    failed = [trial["error"] for trial in found.trials if trial["state"] == "failed"]
    assert failed
    assert set(failed) == {"MemoryError: too many leaves"}
    assert len(found.trials) == TRIALS
    assert "failed" in tuning.propose(found, project=now(), dry_run=True)["reason"]


def test_where_the_parameters_of_today_fail_the_search_ends_with_their_error(inputs: FoldInputs) -> None:
    def score(*args: Any, **options: Any) -> tuning.Outcome:
        raise ValueError("no such column")

    with pytest.raises(ValueError, match="no such column"):
        search(inputs, TRIALS, score=score)


def test_a_trial_that_is_worse_than_most_is_given_up(inputs: FoldInputs) -> None:
    options = {"deadline": float("inf"), "threads": 1, "project": now(), "estimator": "linear"}

    good = tuning.score_trial(inputs, parameters={}, medians=[], **options)
    bad = tuning.score_trial(inputs, parameters={"model__C": 1e-6}, medians=good.means, **options)

    assert (good.state, len(good.means)) == ("complete", good.folds)
    assert (bad.state, len(bad.means)) == ("pruned", 1)
    study = search(inputs, 12, score=lambda *args, **given: tuning.score_trial(*args, **given))
    assert "pruned" in [trial["state"] for trial in study.trials]


def test_a_trial_that_the_time_limit_stops_is_asked_for_again(inputs: FoldInputs) -> None:
    project = now()
    kill(2, inputs)  # the trial that was cut off is the next, and is then stopped
    with tuning.open_study(inputs, estimator="linear", project=project) as study:
        number, parameters = study.ask()
        study.tell(number, tuning.Outcome("stopped", (), 0.0, 5))
        assert study.count == 2
        assert study.ask()[1] == parameters


def test_a_study_is_of_one_process_at_a_time(inputs: FoldInputs) -> None:
    with (
        tuning.open_study(inputs, estimator="linear", project=now()),
        pytest.raises(tuning.StudyInUseError),
        tuning.open_study(inputs, estimator="linear", project=now()),
    ):
        pass


def test_other_rows_or_another_seed_are_another_study(inputs: FoldInputs) -> None:
    first = search(inputs, 1).study

    assert search(inputs, 1, project=now().with_settings(seed=1)).study != first
    inputs.X.iloc[0, 0] += 1
    assert search(inputs, 1).study != first
