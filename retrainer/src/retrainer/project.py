"""The team's project as the library sees it; the project's package passes it in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from .settings import Settings

    Estimator = Callable[[Any, int], Pipeline]


@dataclass(frozen=True)
class OwnMetric:
    """A metric of the team's own.

    Attributes:
        function: The function of the metric. Its arguments are `truth`, shape (n,); `predictions` with `labels` (n,),
            `probabilities` (n, k) and `classes` (k,); and `rows`, a DataFrame of the n rows with `columns`, as the
            source has them. It returns a number, or an array of shape (n,), and treats each row by itself or all rows
            alike.
        greater_is_better: False for a cost or an error.
        columns: The columns of the source that it reads.
        relative: Whether an improvement is a share of the champion's value, or a difference (the default).
        needs_probabilities: Whether predicted classes are not enough.
        label: The name that people read; if empty, the metric's name.
    """

    function: Callable[..., Any]
    greater_is_better: bool
    columns: tuple[str, ...] = ()
    relative: bool = False
    needs_probabilities: bool = False
    label: str = ""


@dataclass(frozen=True)
class Range:
    """Numbers that `tune` searches between, both ends included; whole numbers where both ends are.

    Attributes:
        low: The smallest number.
        high: The largest number.
        log: Whether trials are spread evenly over the logarithm.
    """

    low: float
    high: float
    log: bool = False


Space = Mapping[str, Range | Sequence[Any]]  # of one estimator: a range or choices, by the parameter's name


def _empty_search_space(problem_type: str) -> Mapping[str, Space]:
    return {}


@dataclass(frozen=True)
class Project:
    """The team's own parts of a project, which are passed to the functions of the library.

    Estimators and metrics are functions, so that importing the project does not import scikit-learn.

    Attributes:
        package: The name of the project's package. Processes of a run import the project by it, so the package must
            contain this object as `project`.
        folder: The package's folder, with config.toml and features.py.
        estimators: A function that returns the candidate estimators by name. Each is a function of the problem type and
            a seed, and returns an unfitted pipeline.
        metrics: A function that returns the team's own metrics by name.
        spaces: A function that returns the search space of each estimator for a problem type.
        overrides: Settings that override the environment and config.toml, such as those of one run.

    Example:
        >>> from pathlib import Path
        >>> churn = Project("churn", Path("src/churn"), estimators=dict, metrics=dict)
        >>> churn.env_prefix
        'CHURN_'
    """

    package: str
    folder: Path
    estimators: Callable[[], "Mapping[str, Estimator]"] = field(repr=False)
    metrics: Callable[[], Mapping[str, OwnMetric]] = field(repr=False)
    spaces: Callable[[Any], Mapping[str, Space]] = field(default=_empty_search_space, repr=False)
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config_file(self) -> Path:
        """The file with the settings."""
        return self.folder / "config.toml"

    @property
    def features_file(self) -> Path:
        """The file with `label()` and `features()`."""
        return self.folder / "features.py"

    @property
    def params_file(self) -> Path:
        """The file with the parameters that `tune` found; it need not exist."""
        return self.folder / "params.toml"

    @property
    def env_prefix(self) -> str:
        """The prefix of the environment variables of the settings."""
        return f"{self.package.upper()}_"

    @property
    def checkout(self) -> Path | None:
        """The folder with pyproject.toml if the package lies in its `src`; None for an installed wheel."""
        source, folder = self.folder.resolve().parents[:2]
        return folder if source.name == "src" and (folder / "pyproject.toml").exists() else None

    @cached_property
    def settings(self) -> "Settings":
        """The settings, read once.

        Raises:
            ConfigurationError: a setting is missing, unknown or impossible.
        """
        from .settings import load_settings  # with pydantic, which `champion` should not import before it is called

        root = {"root": self.checkout} if self.checkout else {}
        return load_settings(self.config_file, env_prefix=self.env_prefix, defaults=root, **self.overrides)

    def with_settings(self, **overrides: Any) -> "Project":
        """Return the project with its settings read again; `overrides` come first.

        Raises:
            ConfigurationError: a setting is missing, unknown or impossible.
        """
        from .settings import merged

        changed = replace(self, overrides=merged(self.overrides, overrides))
        changed.settings  # noqa: B018  # an error is better shown here than by the first who needs a setting
        return changed

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes by name: they import the package."""
        return _imported, (self.package, dict(self.overrides))


def _imported(package: str, overrides: Mapping[str, Any]) -> Project:
    project: Project = import_module(package).project
    return replace(project, overrides=overrides)
