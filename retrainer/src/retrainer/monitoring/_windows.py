"""The windows of new data compared so far, and whether they trigger a retrain."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import DataError
from ..gate import Change
from ..registry import Store
from ..settings import Settings
from ._drift import Drift, should_fire

WINDOWS = "windows.json"
KEPT = 1000


@dataclass(frozen=True)
class Window:
    """One window of new data, and the result of its comparison.

    Attributes:
        time: The time of the comparison in UTC, ISO 8601.
        source: The source of the data.
        digest: The SHA-256 of the data; the same data do not add a second window.
        version: The id of the champion.
        drifted: Whether the inputs drifted; None with too few rows.
        reason: The result in a sentence.
        metric: The champion's score on these rows, if they have labels.
        score_at_training: The champion's score on its own holdout.
        worse: Whether the score is worse than at training by more than the settings allow, and beyond chance.
        live_reason: The reason why there is no score on these rows.
        live_rows: The number of labelled rows that the champion was not trained on.
        live_p_value: The probability of such a score by chance.
        twin: The score of the evaluated model on these rows, if a refit serves.
        rows: The number of rows.
        labelled: The number of rows with a label, whether or not the champion was trained on them.
        labelled_from: The time of the first labelled row by `split.time_column`, ISO 8601.
        labelled_to: The time of the last labelled row.
    """

    time: str
    source: str
    digest: str
    version: str
    drifted: bool | None
    reason: str
    metric: float | None = None
    score_at_training: float | None = None
    worse: bool = False
    live_reason: str = ""
    live_rows: int = 0
    live_p_value: float | None = None
    twin: float | None = None
    rows: int = 0
    labelled: int = 0
    labelled_from: str | None = None
    labelled_to: str | None = None

    @property
    def violates(self) -> bool | None:
        """Whether the window counts towards a retrain; None where it cannot be determined."""
        return True if self.worse else self.drifted


def is_worse(live: Change | None, *, settings: Settings) -> bool:
    """Return whether a live score is worse by more than the limit, and by more than chance explains.

    The limit is `monitor.worsening`, or by default the margin of the gate.

    Args:
        live: The change of the score since training; None without a score.
        settings: The settings; `monitor` and `gate.min_improvement` are used.
    """
    return (
        live is not None and live.worse > _allowed_score_loss(settings) and live.p_value < settings.monitor.significance
    )


def is_far(live: Change, *, settings: Settings) -> bool:
    """Return whether a live score is worse by more than three times the limit, by chance or not."""
    return live.worse > 3 * _allowed_score_loss(settings)


def _allowed_score_loss(settings: Settings) -> float:
    allowed = settings.monitor.worsening
    if allowed == "never":
        return math.inf
    return settings.gate.min_improvement if allowed is None else allowed


class History:
    """The compared windows, oldest first, in one JSON file that is replaced as a whole."""

    def __init__(self, store: Store) -> None:
        """Use `windows.json` in `store`."""
        self._store = store

    def windows(self) -> list[Window]:
        """Return every window.

        Raises:
            DataError: the file is damaged.
        """
        try:
            records = json.loads(self._store.read(WINDOWS))
            # Before 1.0 the score at training was called "promised".
            renamed = {"promised": "score_at_training"}
            return [Window(**{renamed.get(key, key): value for key, value in record.items()}) for record in records]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError) as error:
            where = self._store.where(WINDOWS)
            raise DataError(f"{where} is damaged ({error}): remove it to start a new history.") from None

    def add(self, window: Window) -> list[Window]:
        """Record a window and return those of the same champion, the latest last; the same data count once."""
        earlier = self.windows()
        same = (window.digest, window.version)
        kept = [old for old in earlier if (old.digest, old.version) != same][-KEPT + 1 :]
        text = json.dumps([asdict(entry) for entry in [*kept, window]], indent=1)
        self._store.write(WINDOWS, text.encode())
        return [entry for entry in [*kept, window] if entry.version == window.version]


def needs_retrain(windows: Sequence[Window], *, settings: Settings) -> bool:
    """Return whether the latest windows of one champion trigger a retrain; see `should_fire`."""
    return should_fire([window.violates for window in windows], settings=settings.monitor)


def summary(drift: Drift) -> list[Mapping[str, Any]]:
    """Return one row for each column, for tables in the terminal and in Prefect."""
    gone = {"index": None, "missing": "", "unseen": "", "drifted": "gone"}
    return [{"column": name, **gone} for name in drift.gone] + [
        {
            "column": column.name,
            "index": None if column.psi is None else round(column.psi, 4),
            "missing": f"{column.nulls[0]:.1%} to {column.nulls[1]:.1%}",
            "unseen": f"{column.unseen:.1%}",
            "drifted": ", ".join(column.reasons) or "no",
        }
        for column in drift.columns
    ]
