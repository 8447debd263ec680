"""Typed settings: a project's config.toml, overridden by environment variables.

The variable of a setting is the package's name in capitals, then the path to the setting with two underscores
between its parts: `CHURN_DATA__SOURCE` is `source` under `[data]` of the package `churn`. An empty variable unsets
what config.toml says: with `CHURN_SCHEDULE__CRON=` there is no cron.
"""

import datetime
import difflib
import functools
import math
import os
import re
import tomllib
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic_settings import EnvSettingsSource, SettingsError

from . import _parts
from .errors import ConfigurationError, shortened
from .locations import Location

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Share = Annotated[float, Field(gt=0, lt=1)]
# The errors of numbers, choices and lists, which name the value: of other text it may be a secret, or hold one.
_SHOWN = ("int_", "float_", "bool_", "finite", "literal_", "greater_than", "less_than", "tuple_")
_LENGTH = re.compile(r"([1-9]\d{0,6}) ?(hour|day|week|row)s?")
ProblemType = Literal["classification", "regression"]


def length_of(text: str) -> int | datetime.timedelta:
    """Return a number of rows, or a duration: `500 rows`, `7 days`.

    Raises:
        ValueError: the text has another form.

    Examples:
        >>> length_of("500 rows"), length_of("7 days")
        (500, datetime.timedelta(days=7))
    """
    found = _LENGTH.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a number with a unit: write `7 days`, `36 hours`, `2 weeks` or `500 rows`")
    count, unit = int(found[1]), found[2]
    return count if unit == "row" else datetime.timedelta(**{f"{unit}s": count})


def _checked_length(text: str) -> str:
    length_of(text)
    return text


Length = Annotated[str, AfterValidator(_checked_length)]


def rows_or_time(span: str | None) -> tuple[int, datetime.timedelta]:
    """Return the rows and the time of a length, of which one is 0."""
    length = length_of(span) if span else 0
    return (length, datetime.timedelta(0)) if isinstance(length, int) else (0, length)


class Section(BaseModel):
    """A part of the settings; an unknown name is an error, so that a typing error is found."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


def _requires_part(setting: str) -> AfterValidator:
    """Refuse a value that needs a part of the library which this project does not have."""
    return AfterValidator(functools.partial(_parts.check_part, setting))


class ReadSettings(Section):
    """How files are read, where detection gets it wrong."""

    missing: tuple[str, ...] = Field(
        default=(),
        description="Words and numbers that always mean a missing value, such as `None`, `unknown` or `-999`. Otherwise"
        " a frequent `None` in a column of text is a value.",
    )
    decimal: Literal[".", ","] | None = Field(
        default=None, description="The decimal sign of text files; empty: detected for each file."
    )
    day_first: bool | None = Field(
        default=None, description="Whether 03/02/2026 is 3 February; empty: detected, and yes where both are possible."
    )
    types: dict[str, Literal["number", "text", "date", "boolean"]] = Field(
        default={}, description="The type of a column, by name, where the detected one is wrong."
    )


class DataTest(Section):
    """A test of the labelled rows before training: of a column, or of the number of rows."""

    column: str | None = Field(default=None, description="The column to test; not needed for `rows`.")
    not_null: bool = Field(default=False, description="Whether each row must have a value.")
    unique: bool = Field(default=False, description="Whether each value must be different.")
    values: tuple[str | bool | int | float, ...] | None = Field(default=None, description="The accepted values.")
    between: tuple[float, float] | None = Field(default=None, description="The smallest and the largest number.")
    share: dict[str, tuple[float, float]] | None = Field(
        default=None, description="For a value, such as a class: its smallest and largest share of the rows."
    )
    newest: str | None = Field(
        default=None, description="`2 days` or `36 hours`: the newest time must not be older than this."
    )
    rows: tuple[int, int] | None = Field(default=None, description="The fewest and the most rows of the table.")
    severity: Literal["error", "warn"] = Field(
        default="error", description="`error`: the run ends before training; `warn`: the decision has an alarm."
    )

    @model_validator(mode="after")
    def _require_a_test(self) -> "DataTest":
        of_column = self.model_fields_set & {"not_null", "unique", "values", "between", "share", "newest"}
        if of_column and self.column is None:
            raise ValueError(f"{', '.join(sorted(of_column))} needs column")
        if not of_column and self.rows is None:
            raise ValueError("it tests nothing: set not_null, unique, values, between, share, newest or rows")
        if self.newest is not None and not rows_or_time(self.newest)[1]:
            raise ValueError(f"newest is {self.newest!r}: write `2 days` or `36 hours`")
        limits = {"between": self.between, "rows": self.rows}
        limits |= {f"share of {value}": ends for value, ends in (self.share or {}).items()}
        for name, ends in limits.items():
            if ends is not None and ends[0] > ends[1]:
                raise ValueError(f"{name} is [{ends[0]:g}, {ends[1]:g}]: the smaller number comes first")
        return self


class DataSettings(Section):
    """Where the table comes from."""

    source: Location = Field(
        description="`sample`, a path, a folder, a glob, a URL or a SQL URL; `${NAME}` in it is replaced from the"
        " environment, `${prefect.secret:NAME}` from a Prefect Secret block."
    )
    target: Annotated[str, StringConstraints(strip_whitespace=True)] = Field(
        min_length=1, description="The column to predict."
    )
    positive: str | int | float | None = Field(
        default=None,
        description="The positive class of metrics of one class (f1, recall, precision) and of a threshold.",
    )
    drop: tuple[str, ...] = Field(
        default=(),
        description="Columns that the model does not use, such as ones known only afterwards; label() gets them.",
    )
    keep: tuple[str, ...] = Field(
        default=(), description="Columns that the model uses although they look like identifiers."
    )
    query: str | None = Field(default=None, description="For a SQL URL: the name of a table, or a SELECT.")
    tolerance: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.01,
        description="Largest share of a column's cells that cannot be read as its type; these are then missing.",
    )
    watermark: str | None = Field(
        default=None, description="For a SQL URL: a SELECT of one value that changes when the data change."
    )
    read: ReadSettings = ReadSettings()
    tests: tuple[DataTest, ...] = Field(
        default=(), description="Tests of the table, each a `[[data.tests]]`: see [data.md](data.md#tests-of-the-data)."
    )

    @field_validator("drop")
    @classmethod
    def _refuse_dropped_target(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("target") in names:
            raise ValueError(f"{info.data['target']!r} is data.target, the column to predict")
        return names


class SplitSettings(Section):
    """Which rows are the holdout, on which no evaluated model is trained."""

    method: Literal["hash", "time", "source"] = Field(
        default="hash",
        description="`hash`: random rows, the same ones each time; `time`: the newest rows; `source`: another table.",
    )
    holdout: Share = Field(default=0.2, description="The share of the rows held out (hash and time).")
    key_columns: tuple[str, ...] = Field(
        default=(), description="Columns whose values decide the side of a row; empty: the whole row."
    )
    time_column: str | None = Field(default=None, description="The datetime column of the time method.")
    source: Location | None = Field(default=None, description="The holdout's own source, for the source method.")
    gap: Length | None = Field(
        default=None,
        description="`7 days`, `36 hours` or `500 rows`: the newest rows before the holdout are not trained on, as if"
        " their labels were not known yet (time).",
    )
    seed: int = Field(
        default=1,
        description="Another seed gives another split; an earlier champion is compared on the rows that it was not"
        " trained on.",
    )

    @model_validator(mode="after")
    def _check_split_settings(self) -> "SplitSettings":
        if self.method == "time" and not self.time_column:
            raise ValueError('method = "time" needs time_column')
        if self.method == "source" and not self.source:
            raise ValueError('method = "source" needs source')
        if self.gap is not None and self.method != "time":
            raise ValueError('gap needs method = "time"')
        return self


class TrainSettings(Section):
    """How the chosen estimator is used."""

    threshold: float | Literal["tuned"] | None = Field(
        default=None,
        description="For two classes: `data.positive` is predicted at or above this probability. `tuned`: the best one"
        " by `gate.metric` in cross-validation. Empty: as the estimator predicts.",
    )
    refit: bool | None = Field(
        default=None,
        description="Whether a promoted model is refit on all labelled rows, and the refit serves; the gate compares"
        " the evaluated model, which never saw the holdout. Empty: yes for the time and source methods.",
    )

    @field_validator("threshold", mode="wrap")
    @classmethod
    def _check_threshold(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> float | str | None:
        try:
            threshold: float | str | None = handler(value)
        except ValidationError:
            threshold = math.nan
        if isinstance(threshold, float) and not 0 < threshold < 1:
            raise ValueError(f"give a number between 0 and 1, `tuned`, or nothing; it is {value!r}")
        return threshold


class GateSettings(Section):
    """The conditions for promoting a challenger."""

    metric: str | None = Field(default=None, description="Empty: f1_score for classification, rmse for regression.")
    min_improvement: float = Field(
        default=0.005,
        ge=0,
        description="The margin: the improvement must be larger. In points of a score (F1 0.90 to 0.91 is 0.01), or as"
        " a share of an error (RMSE 100 to 99 is 0.01).",
    )
    confidence: Share = Field(
        default=0.95, description="The confidence that there is an improvement: 1 minus the largest p-value allowed."
    )
    floor: float | None = Field(default=None, description="A model worse than this never goes to production.")
    staging_floor: float | None = Field(
        default=None, description="A model between this and `floor` is staged; a worse one is rejected."
    )
    guard_metrics: dict[str, float] = Field(
        default={}, description="For each metric, how much worse it may be, in the units of min_improvement."
    )
    guard_slices: dict[str, float] = Field(
        default={}, description="For each column, how much worse the score of any of its values may be."
    )
    approval: bool = Field(default=False, description="True: a challenger waits in staging until a person promotes it.")
    slice_rows: int = Field(default=50, ge=1, description="Values with fewer holdout rows are not guarded.")
    block: Length | None = Field(
        default=None,
        description="With a time split, the rows of a block count as one: `1 day`, `50 rows`; `1 row`: each row counts."
        " Empty: as long as the errors of neighbouring rows correlate.",
    )
    alarms: Literal["say", "stage"] = Field(
        default="say",
        description="`say`: alarms are shown with the decision; `stage`: a challenger with an alarm waits in staging.",
    )


class ScheduleSettings(Section):
    """When a deployed flow runs: by cron, at an interval, or by an RFC 5545 rule; one of the three, or none."""

    cron: str | None = Field(default=None, description="A cron expression: `0 6 * * 1` is each Monday at 6:00.")
    interval: float | None = Field(default=None, gt=0, description="Seconds from one run to the next.")
    rrule: str | None = Field(default=None, description="An RFC 5545 rule: `FREQ=DAILY;BYHOUR=6`.")
    timezone: str = Field(default="UTC", description="The time zone of the schedule: `Europe/Berlin`.")
    active: bool = Field(default=True, description="False: registered, but only started by hand.")
    time_limit: float = Field(
        default=86_400,
        gt=0,
        description="Seconds after which a deployed run is cancelled, because a run that hangs blocks the next ones.",
    )

    @model_validator(mode="after")
    def _possible(self) -> "ScheduleSettings":
        from cronsim import CronSim, CronSimError

        if sum(rule is not None for rule in (self.cron, self.interval, self.rrule)) > 1:
            raise ValueError("give one of cron, interval and rrule")
        if self.cron is not None:
            try:
                CronSim(self.cron, datetime.datetime.now())
            except CronSimError as error:
                raise ValueError(f"cron is {self.cron!r}: {error}") from None
        if self.rrule is not None:
            from dateutil.rrule import rrulestr

            try:
                rrulestr(self.rrule)
            except ValueError as error:
                raise ValueError(f"rrule is {self.rrule!r}: {error}") from None
        try:
            zoneinfo.ZoneInfo(self.timezone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"timezone is {self.timezone!r}, which is not a valid IANA time zone") from None
        return self

    @property
    def kind(self) -> str:
        """The kind of schedule and its value, such as `cron 0 6 * * 1`; empty: started by hand only."""
        if self.cron:
            return f"cron {self.cron}"
        if self.interval:
            return f"interval {self.interval:g}"
        return f"rrule {self.rrule.removeprefix('RRULE:')}" if self.rrule else ""

    def describe(self) -> str:
        """Return when the flow runs, for people: the next time of a cron expression, else the rule itself."""
        from cronsim import CronSim

        if not (self.kind and self.active):
            return "started by hand"
        if self.cron is None:
            return self.kind
        now = datetime.datetime.now(zoneinfo.ZoneInfo(self.timezone))
        return f"next run {next(CronSim(self.cron, now)):%Y-%m-%d %H:%M %Z}"


class MonitorSettings(Section):
    """When new data differ so much from the training data that a retrain starts."""

    psi: float = Field(
        default=0.05,
        gt=0,
        description="A column drifts if its population stability index, less the part that chance explains, is above"
        " this and the p-value of a chi-squared test is below `significance`.",
    )
    rate_change: Share = Field(
        default=0.05,
        description="A column drifts if its share of missing or of unseen values changes by more than this.",
    )
    significance: Share = Field(
        default=0.01,
        description="The share of windows without drift, or without a worse score, that may raise a false alarm.",
    )
    minimum_rows: int = Field(default=100, ge=1, description="A window with fewer rows gives no result.")
    drifted_columns: int = Field(default=1, ge=1, description="A window has drifted if this many columns have.")
    windows: int = Field(default=5, ge=1, description="The number of latest windows that count.")
    needed: int = Field(
        default=2, ge=1, description="A retrain starts if this many of them, the latest included, have drifted."
    )

    source: Location | None = Field(default=None, description="In the syntax of `data.source`; empty: that source.")
    folder: Location = Field(
        default=Location("monitoring"),
        description="Where the drift report and the history of windows are kept: a folder, or s3://, gs:// or az://.",
    )
    query: str | None = Field(
        default=None,
        description="In the syntax of `data.query`, with dates as in a source (`{as_of:%Y-%m-%d}`); empty: that query.",
    )
    last: Length | None = Field(
        default=None,
        description="`7 days`, `36 hours` or `500 rows`: only the newest rows of the source are used, by"
        " `split.time_column`; empty: all rows.",
    )
    worsening: Annotated[float, Field(ge=0)] | Literal["never"] | None = Field(
        default=None,
        description="For rows with labels: how much worse than at training the metric may be, in the units of"
        " `gate.min_improvement`, which is the default. A larger loss that chance does not explain is a violation."
        " `never` turns this off.",
    )
    schedule: ScheduleSettings = ScheduleSettings()

    @model_validator(mode="after")
    def _possible(self) -> "MonitorSettings":
        if self.needed > self.windows:
            raise ValueError(f"needed = {self.needed} of windows = {self.windows} can never be")
        return self


class ScoreSettings(Section):
    """The input and output of the score flow."""

    source: Location | None = Field(default=None, description="In the syntax of `data.source`; empty: that source.")
    folder: Location = Field(
        default=Location("predictions"), description="A folder, or a place in an object store: s3://, gs:// or az://."
    )
    format: Literal["parquet", "csv"] = Field(default="parquet", description="Of the file with the predictions.")
    identifiers: tuple[str, ...] = Field(
        default=(), description="Columns to copy; empty: the identifiers that training left out, else row numbers."
    )
    query: str | None = Field(
        default=None,
        description="In the syntax of `data.query`, with dates as in a source (`{as_of:%Y-%m-%d}`); empty: that query.",
    )
    batch_rows: int = Field(default=100_000, ge=1, description="Rows in memory at a time.")
    schedule: ScheduleSettings = ScheduleSettings()


class ScaleOutSettings(Section):
    """Where parallel steps run: candidates, folds, and parts of a table to score."""

    runner: Annotated[Literal["threads", "dask"], _requires_part("scale_out.runner")] = Field(
        default="threads", description="`threads`: in the run's own process; `dask`: on Dask workers."
    )
    address: str | None = Field(
        default=None,
        description="Of a Dask scheduler, tcp://host:8786; empty: a cluster on this machine, for each run.",
    )
    workers: int | None = Field(
        default=None, ge=1, description="Number of worker processes; empty: one for each core here."
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Threads of a task on a worker; empty: 1 at an address, else cores divided by workers.",
    )


class NotificationSettings(Section):
    """Who receives messages, and about what."""

    block: str | None = Field(default=None, description="`<block type>/<block name>` of a Prefect notification block.")
    kept: bool = Field(default=False, description="Whether to send a message also when the challenger is not promoted.")


class RegistrySettings(Section):
    """Where models are kept."""

    kind: Annotated[Literal["json", "mlflow"], _requires_part("registry.kind")] = Field(
        default="json", description="`json`: files in `path`; `mlflow`: an MLflow server."
    )
    tracking_uri: Location | None = Field(
        default=None, description="The MLflow server's URL; empty: that of MLFLOW_TRACKING_URI."
    )
    path: Location = Field(
        default=Location("models"),
        description="A folder, or for several machines an object store: s3://, gs:// or az:// and a path.",
    )
    keep: int = Field(
        default=10, ge=1, description="Versions kept in addition to champion, staging and the rollback target."
    )


class ServingSettings(Section):
    """How predictions are served over HTTP."""

    host: str = Field(default="127.0.0.1", description="The address to listen on; `0.0.0.0`: every one of the machine.")
    port: int = Field(default=8000, ge=1, le=65535, description="The port to listen on.")
    token: SecretStr | None = Field(
        default=None,
        description="The token that clients send as `Authorization: Bearer`; set it in the environment, not in a file.",
    )
    max_bytes: int = Field(
        default=10_000_000,
        ge=1,
        description="Largest body of a request in bytes, and largest table in it after decompression; larger ones are"
        " refused.",
    )
    max_rows: int = Field(default=10_000, ge=1, description="The most rows of a request.")
    log: Location | None = Field(
        default=None,
        description="A folder, or a place in an object store, for the rows and predictions of all requests, as Parquet"
        " that monitor can read; empty: nothing is kept.",
    )
    log_rows: int = Field(default=1000, ge=1, description="Rows in each file of the log.")


def _stated_root(root: Any) -> Any:
    how = "set {prefix}ROOT to the absolute path of the folder that relative paths (models, data) start from"
    if root is None:
        raise ValueError(f"the package is installed outside its project folder: {how}")
    if isinstance(root, str | Path) and not Path(root).expanduser().is_absolute():
        raise ValueError(f"{str(root)!r} is a relative path, another folder for each command: {how}")
    return Path(root).expanduser() if isinstance(root, str) else root


class Settings(Section):
    """Every setting of the project.

    Relative paths begin at `root`, wherever a command is started.
    """

    root: Annotated[Path, BeforeValidator(_stated_root)] = Field(
        default=None,
        validate_default=True,
        description="The folder of relative paths; empty: the one with pyproject.toml. An installed wheel needs it.",
    )
    project: str = Field(min_length=1, description="The name in messages, and of the console command.")
    problem_type: ProblemType = Field(description="Whether to predict classes or numbers.")
    estimators: tuple[str, ...] = Field(
        min_length=1,
        description="Names in models.py. Of several, the best by cross-validation is chosen, by `gate.metric` or, if"
        " that is empty, by log loss or RMSE.",
    )
    compared_rows: int = Field(
        default=5_000,
        ge=1,
        description="Several estimators are compared on at most this many training rows, sampled by `seed`.",
    )
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="The same seed on the same rows gives the same model.")
    data: DataSettings
    split: SplitSettings = SplitSettings()
    train: TrainSettings = TrainSettings()
    gate: GateSettings = GateSettings()
    monitor: MonitorSettings = MonitorSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    score: ScoreSettings = ScoreSettings()
    scale_out: ScaleOutSettings = ScaleOutSettings()
    notifications: NotificationSettings = NotificationSettings()
    registry: RegistrySettings = RegistrySettings()
    serving: ServingSettings = ServingSettings()

    @model_validator(mode="after")
    def _check_window_times(self) -> "Settings":
        if self.monitor.last is not None and not self.split.time_column:
            raise ValueError("monitor.last needs split.time_column, the column that says which rows are the newest")
        return self

    @property
    def metric(self) -> str:
        """The name of the metric that the gate compares."""
        return self.gate.metric or ("f1_score" if self.problem_type == "classification" else "rmse")

    @property
    def refits(self) -> bool:
        """Whether a promoted model is refit on all labelled rows."""
        return self.split.method != "hash" if self.train.refit is None else self.train.refit

    @property
    def schedules(self) -> dict[str, ScheduleSettings]:
        """The schedule of each flow, by its name."""
        return {"retrain": self.schedule, "score": self.score.schedule, "monitor": self.monitor.schedule}

    def timezone(self, flow: str) -> zoneinfo.ZoneInfo:
        """Return the time zone of a flow's dates: that of its own schedule, or of `schedule` where it has none."""
        own = self.schedules.get(flow, self.schedule)
        stated = own.kind or "timezone" in own.model_fields_set
        return zoneinfo.ZoneInfo(own.timezone if stated else self.schedule.timezone)

    def resolve(self, path: str | Path | Location) -> Path:
        """Return the absolute path; a relative one begins at `root`.

        Raises:
            ConfigurationError: it begins with the home of an unknown user.
        """
        path = path.reveal() if isinstance(path, Location) else path
        try:
            return self.root / Path(path).expanduser()
        except RuntimeError:
            raise ConfigurationError(f"{path} names the home of a user who does not exist here.") from None


def load_settings(
    config_file: Path, *, env_prefix: str, defaults: Mapping[str, Any] | None = None, **overrides: Any
) -> Settings:
    """Read the settings: `overrides` win over the environment, which wins over config.toml.

    Args:
        config_file: The path of config.toml.
        env_prefix: The prefix of environment variables, such as `CHURN_`.
        defaults: Values with the lowest priority.
        overrides: Sections and settings by name; a section is a dictionary.

    Raises:
        ConfigurationError: a setting is missing, unknown or impossible; the message lists every one.
    """
    _check_variables(env_prefix)
    environment = EnvSettingsSource(
        Settings,  # type: ignore[arg-type]  # of which it reads the fields
        env_prefix=env_prefix,
        env_nested_delimiter="__",
        env_parse_none_str="",
    )
    try:
        layers = (defaults or {}, _from_file(config_file), environment(), overrides)
        return Settings.model_validate(functools.reduce(merged, layers))
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, item['loc'])) or 'settings'}: {_describe_error(item)}{_set_by(item, env_prefix)}"
            for item in error.errors()
        ]
        raise ConfigurationError(
            "The settings cannot be used:\n"
            + "\n".join(lines).replace("{prefix}", env_prefix)
            + f"\nThey are read from {config_file} and {env_prefix}* variables."
        ) from None
    except SettingsError as error:
        raise ConfigurationError(
            f"A variable of the environment, {env_prefix}*, cannot be read: {error}. A list or a table is JSON:"
            f""" {env_prefix}ESTIMATORS='["linear"]'."""
        ) from None


def _from_file(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as content:
            return tomllib.load(content)
    except (FileNotFoundError, IsADirectoryError):
        found = "is not a file" if file.exists() else "does not exist"
        raise ConfigurationError(
            f"{file} {found}: the settings are read from it. Bring it back, for example with `git restore`."
        ) from None
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"The settings in {file} cannot be read: {error}") from None


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return both settings merged by section; `over` wins."""
    result = dict(under)
    for name, value in over.items():
        below = result.get(name)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            value = merged(below, value)
        result[name] = value
    return result


def _check_variables(env_prefix: str) -> None:
    """Refuse a variable of the environment that looks like a setting and is none: it would have no effect."""
    for variable in os.environ:
        path = variable.lower().removeprefix(env_prefix.lower()).split("__")
        if not variable.upper().startswith(env_prefix) or path[0] in Settings.model_fields:
            continue
        near = difflib.get_close_matches(path[0], Settings.model_fields, n=1)
        if near or len(path) > 1:
            hint = "retrainer/docs/settings.md lists them all."
            if near:
                hint = f"Did you mean {env_prefix}{'__'.join([*near, *path[1:]]).upper()}?"
            raise ConfigurationError(f"The variable {variable} of the environment is no setting. {hint}")


def _describe_error(item: "ErrorDetails") -> str:
    """Return what is wrong with a setting, where pydantic's words would not help."""
    if item["type"] == "extra_forbidden":
        *sections, name = item["loc"]
        model: Any = Settings
        for section in sections:
            if isinstance(section, str):  # else the position in a list of tables, such as [[data.tests]]
                model = model.model_fields[section].annotation
                model = (get_args(model) or (model,))[0]
        near = difflib.get_close_matches(str(name), model.model_fields, n=1)
        return "there is no such setting" + (f"; did you mean {near[0]}?" if near else "")
    if item["input"] is None and item["type"] != "value_error":
        return "it cannot be empty; leave it out for its default"
    given = f"; it is {shortened(repr(item['input']))}" if item["type"].startswith(_SHOWN) else ""
    return item["msg"].removeprefix("Value error, ") + given


def _set_by(item: "ErrorDetails", env_prefix: str) -> str:
    """Return the variables that a setting comes from; of a section, those that the message is about."""
    names = [str(part) for part in item["loc"]]
    paths = [names[:count] for count in range(1, len(names) + 1)]
    if item["type"] == "value_error":
        paths += [[*names, *word.split(".")] for word in re.findall(r"\w+(?:\.\w+)*", item["msg"])]
    variables = {env_prefix + "__".join(path).upper() for path in paths}
    found = [variable for variable in os.environ if variable.upper() in variables]
    return f" (the variable {', '.join(found)})" if found else ""


def refuse_secret(source: str | None) -> Location | None:
    """Return the source parameter of a command or a flow.

    Raises:
        ConfigurationError: it may contain a secret, which Prefect would store with the run's parameters.
    """
    if source is None or not (location := Location(source)).has_secret:
        return None if source is None else location
    raise ConfigurationError(
        f"The source {location} carries what may be a secret (shown as ***), and Prefect stores the parameters of a"
        " run where others can read them. Put the secret into a variable of the environment and write ${NAME} in its"
        " place; or put the whole source into the settings, as data.source or its variable of the environment."
    )


def read_leniently(name: str, *, config_file: Path, env_prefix: str) -> str | None:
    """Return one text setting, such as `notifications.block`, even if another setting is broken.

    Failure messages depend on it, since config.toml may be the cause.
    """
    variable = env_prefix + name.replace(".", "__").upper()
    for found, value in os.environ.items():
        if found.upper() == variable:
            return value or None
    try:
        text = config_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    section = ""
    for line in text.splitlines():
        if heading := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            section = f"{heading[1]}."
        elif (entry := re.match(r"""\s*([\w.-]+)\s*=\s*(["'])(.*?)\2""", line)) and section + entry[1] == name:
            return entry[3] or None
    return None
