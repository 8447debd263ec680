"""A study: the trials of one estimator on one table, in a file that outlives the process.

The same search on the same rows is the same study: it continues where it was cut off, also by `kill -9`. Each trial
has a seed of its own. So a study that was cut off finds what one without a break does, where trials run one by one.
"""

import fcntl
import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import ProjectError, first_line
from ..pipeline import selection_metric
from ..project import Project, Space
from ..training import FoldInputs, code_of_steps, make_pipeline
from ._space import contains, distributions, space_of
from ._trial import Outcome

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy
    from optuna import Trial
    from optuna.trial import FrozenTrial

TODAY = -1  # the number of the trial of the parameters of today
COMPARED = 5  # complete trials, before one is given up
NOISE = 2.0  # standard errors over the folds: what is better by less is not proposed
_BASELINE, _ERROR, _STOPPED, _AGAIN = "baseline", "error", "stopped", "again"  # of a trial
_BASELINES = "baselines"  # of a study: the scores of each set of parameters that was the current one
_SECONDS, _SCORES = "seconds", "scores"
_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
_KILLED_TWICE = "The process was killed in this trial, twice: it may need too much memory."


class StudyInUseError(ProjectError):
    """Another process uses the same study."""


class TimeLimitError(ProjectError):
    """The time limit is shorter than one trial."""


@dataclass(frozen=True)
class Found:
    """The result of a search.

    Attributes:
        estimator: The name of the estimator.
        study: The id of the study.
        metric: The name of the metric.
        today: The score of the current parameters.
        score: The best score; the current one where no trial is better beyond the noise of the folds.
        parameters: The parameters with the best score; empty where these are the current ones.
        trials: The trials, each with `trial`, `state`, `score`, `seconds`, `parameters` and `error`.
        importance: Maps each parameter to its share of the variance of the scores.
    """

    estimator: str
    study: str
    metric: str
    today: float
    score: float
    parameters: Mapping[str, Any]
    trials: tuple[Mapping[str, Any], ...] = field(repr=False)
    importance: Mapping[str, float]


@contextmanager
def open_study(inputs: FoldInputs, *, estimator: str, project: Project) -> Iterator["Study"]:
    """Open or create the study of an estimator on these rows; other processes cannot open it until the block ends.

    Raises:
        StudyInUseError: another process has it open.
    """
    space = space_of(estimator, project=project)
    name = _study_digest(inputs, estimator, space, project)
    file = project.settings.resolve("data") / "tuning" / f"{name}.journal"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StudyInUseError(f"Another process runs the same search ({file}). Wait for it.") from None
        # What a kill may leave behind: the beginning of a line, and the search library's own lock.
        held.truncate(file.read_bytes().rfind(b"\n") + 1)
        file.with_name(f"{file.name}.lock").unlink(missing_ok=True)
        yield Study(file, name, estimator=estimator, space=space, project=project)


def _study_digest(inputs: FoldInputs, estimator: str, space: Space, project: Project) -> str:
    """Return the digest of the rows, what is compared, the space, and the estimator's other parameters."""
    settings, pipeline = project.settings, make_pipeline(estimator, project=project)
    fixed = {
        name: value
        for name, value in pipeline.get_params().items()
        if name not in space and isinstance(value, str | int | float | None)
    }
    steps = [type(step).__name__ for step in pipeline.named_steps.values()]
    facts = (
        estimator,
        steps,
        sorted(space.items()),
        sorted(fixed.items()),
        sorted(code_of_steps(pipeline, project).items()),
        settings.train.threshold,
        settings.seed,
    )
    digest = hashlib.sha256(repr((*facts, selection_metric(project).name, list(inputs.X.columns))).encode())
    for part in (inputs.X, inputs.y, inputs.groups, inputs.times, inputs.rows):
        if part is not None:
            table = part if isinstance(part, pd.DataFrame) else pd.Series(part)
            digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return digest.hexdigest()[:16]


class Study:
    """The trials of a search: the parameters and result of each; the first one has the current parameters."""

    def __init__(self, file: Path, name: str, *, estimator: str, space: Space, project: Project) -> None:
        """Read the results of earlier runs; an interrupted trial is repeated."""
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
        from optuna.trial import TrialState

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.id, self.estimator, self.metric = name, estimator, selection_metric(project)
        self._space, self._distributions = space, distributions(space)
        self._seed = project.settings.seed
        parameters = make_pipeline(estimator, project=project).get_params()
        self._today = {name: parameters[name] for name in space}
        self._running: dict[int, Trial | None] = {}
        self._study: OptunaStudy = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(file))),
            study_name=name,
            direction="maximize" if self.metric.greater_is_better else "minimize",
            load_if_exists=True,
        )
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._study.tell(trial.number, state=TrialState.FAIL)
            if _AGAIN not in trial.user_attrs:
                self._study.enqueue_trial(dict(trial.params), user_attrs={_AGAIN: True})

    @property
    def today(self) -> Mapping[str, Any] | None:
        """The trial of the current parameters, with `means` and `seconds`; None before it is complete.

        Parameters that were proposed and adopted have been tried already.
        """
        for facts in self._baselines:
            if facts["parameters"] == repr(self._today):
                return facts
        for trial in self._ended_trials():
            if _is_complete(trial) and {name: trial.params[name] for name in self._today} == self._today:
                return trial.user_attrs | {"means": list(trial.intermediate_values.values())}
        return None

    @property
    def _baselines(self) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = self._study.user_attrs.get(_BASELINES, [])
        return found

    @property
    def count(self) -> int:
        """The number of trials that ended or are running, without interrupted ones."""
        return len(self._ended_trials()) + len(self._baselines) + len(self._running)

    def goes_on(self, trials: int) -> bool:
        """Return whether there are fewer trials than this, or the current parameters have no score yet."""
        return self.count < trials or self._today_is_next

    @property
    def _today_is_next(self) -> bool:
        return TODAY not in self._running and self.today is None

    def _ended_trials(self) -> "list[FrozenTrial]":
        """Return the trials that ended, in their order: without that of today, and without those that were cut off."""
        from optuna.trial import TrialState

        ended = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        return [
            trial
            for trial in self._study.get_trials(deepcopy=False, states=ended)
            if not {_BASELINE, _STOPPED} & trial.user_attrs.keys()
            and (trial.state != TrialState.FAIL or {_ERROR, _AGAIN} & trial.user_attrs.keys())
        ]

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Return the number and the parameters of the next trial."""
        from optuna.samplers import TPESampler

        if self._today_is_next:
            self._running[TODAY] = None
            return TODAY, {}
        self._study.sampler = TPESampler(seed=(self._seed + self.count) % 2**32)
        trial = self._study.ask(self._distributions)
        self._running[trial.number] = trial
        return trial.number, dict(trial.params)

    def medians(self, number: int) -> list[float]:
        """Return the median of the complete trials' mean scores after each fold, by which a trial is pruned.

        Empty if there are too few trials, and for the current parameters, which are never pruned.
        """
        if number == TODAY:
            return []
        means = [list(trial.intermediate_values.values()) for trial in self._ended_trials() if _is_complete(trial)]
        means += [facts["means"] for facts in self._baselines]
        return np.median(means, axis=0).tolist() if len(means) >= COMPARED else []

    def tell(self, number: int, outcome: Outcome | Exception) -> None:
        """Record the result of a trial. A failed trial counts; one that the time limit stopped does not.

        Raises:
            Exception: the current parameters fail, so there is nothing to compare with.
        """
        from optuna.trial import TrialState

        trial = self._running.pop(number)
        if trial is None:
            self._record_current_parameters(outcome)
        elif isinstance(outcome, Exception):
            trial.set_user_attr(_ERROR, f"{type(outcome).__name__}: {first_line(outcome)}")
            self._study.tell(trial, state=TrialState.FAIL)
        elif outcome.state == "stopped":
            trial.set_user_attr(_STOPPED, True)
            self._study.tell(trial, state=TrialState.FAIL)
            self._study.enqueue_trial(dict(trial.params))
        else:
            for step, mean in enumerate(outcome.means):
                trial.report(mean, step)
            trial.set_user_attr(_SECONDS, outcome.seconds)
            trial.set_user_attr(_SCORES, outcome.scores)
            if outcome.state == "pruned":
                self._study.tell(trial, state=TrialState.PRUNED)
            else:
                self._study.tell(trial, outcome.means[-1])

    def _record_current_parameters(self, outcome: Outcome | Exception) -> None:
        if isinstance(outcome, Exception):
            raise outcome
        if outcome.state != "complete":
            return
        from optuna.trial import create_trial

        facts = {"means": outcome.means, _SECONDS: outcome.seconds, _SCORES: outcome.scores}
        self._study.set_user_attr(_BASELINES, [*self._baselines, facts | {"parameters": repr(self._today)}])
        if contains(self._space, self._today):  # the search learns from them
            self._study.add_trial(
                create_trial(
                    value=outcome.means[-1],
                    params=self._today,
                    distributions=self._distributions,
                    user_attrs={_BASELINE: True},
                )
            )

    def best(self) -> tuple[float, dict[str, Any]]:
        """Return the best score and its parameters; these are empty where no trial is better beyond the noise."""
        assert self.today is not None
        score, parameters = self.today["means"][-1], {}
        for trial in self._ended_trials():
            if (
                _is_complete(trial)
                and self.metric.improvement(trial.values[0], score) > 0
                and self._beyond_noise(trial.user_attrs[_SCORES], self.today[_SCORES])
            ):
                score, parameters = trial.values[0], trial.params
        return score, parameters

    def _beyond_noise(self, scores: Sequence[float], today: Sequence[float]) -> bool:
        """Return whether scores are better than today's, fold by fold, by more than their noise."""
        better = np.array([self.metric.improvement(*pair) for pair in zip(scores, today, strict=True)])
        better = better[np.isfinite(better)]
        return len(better) > 1 and bool(better.mean() > NOISE * better.std(ddof=1) / np.sqrt(len(better)))

    def trials(self) -> tuple[Mapping[str, Any], ...]:
        """Return the trials that ended, first those of parameters that are or were the current ones."""
        in_use = [
            {
                "trial": f"today {number}" if number > 1 else "today",
                "state": "complete",
                "score": facts["means"][-1],
                "seconds": facts[_SECONDS],
                "parameters": {},
                "error": "",
            }
            for number, facts in enumerate(self._baselines, 1)
        ]
        others = [
            {
                "trial": trial.number,
                "state": _STATES[trial.state.name],
                "score": trial.value if _is_complete(trial) else None,
                "seconds": trial.user_attrs.get(_SECONDS),
                "parameters": trial.params,
                "error": trial.user_attrs.get(_ERROR, _KILLED_TWICE) if trial.state.name == "FAIL" else "",
            }
            for trial in self._ended_trials()
        ]
        return *in_use, *others

    def found(self) -> Found:
        """Return the result so far."""
        assert self.today is not None
        score, parameters = self.best()
        today = self.today["means"][-1]
        return Found(
            self.estimator, self.id, self.metric.name, today, score, parameters, self.trials(), self._importance()
        )

    def _importance(self) -> dict[str, float]:
        from optuna.importance import get_param_importances

        if len({trial.value for trial in self._ended_trials() if _is_complete(trial)}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that few trials tell little
            return get_param_importances(self._study)


def _is_complete(trial: "FrozenTrial") -> bool:
    from optuna.trial import TrialState

    return trial.state == TrialState.COMPLETE
