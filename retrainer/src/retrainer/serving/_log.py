"""The rows and predictions of requests, kept as Parquet for monitoring; written aside from the requests."""

import datetime
import logging
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from ..files import replacing
from ..locations import Location
from ..registry import open_store
from ..settings import Settings

WAITING = 20  # files; when the disk or the store is slower than the requests, rows are left out

logger = logging.getLogger(__name__)


class RequestLog:
    """Collects rows, and writes a file when there are enough of them and at the end.

    Every value is stored as text, as in a CSV file: requests differ in types, and a contract reads text too.
    """

    def __init__(self, folder: Location, *, settings: Settings, rows: int) -> None:
        """Keep the rows of requests in files of about `rows` rows below `folder`."""
        self._store = open_store(folder, settings=settings)
        self._rows = rows
        self._parts: list[pd.DataFrame] = []
        self._count = 0
        self._lock = threading.Lock()
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="log")
        self._left_out = 0
        self._due = False

    def add(self, rows: pd.DataFrame, labels: "pd.Series", *, version: str) -> None:
        """Keep rows and what was predicted for them; a file that is due is written in the background."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        part = rows.assign(prediction=labels.to_numpy(), model_version=version, served_at=now)
        with self._lock:
            if self._count >= WAITING * self._rows:
                self._left_out += len(part)
                return
            self._parts.append(part)
            self._count += len(part)
            if self._due or self._count < self._rows:
                return
            self._due = True
        self._writer.submit(self._write)

    def close(self) -> None:
        """Write the rest, after what is being written."""
        self._writer.submit(self._write)
        self._writer.shutdown()

    def _write(self) -> None:
        """Write what was collected; a failure is logged, and the rows are tried again with the next ones."""
        with self._lock:
            parts, self._parts = self._parts, []
            left_out, self._left_out = self._left_out, 0
        if left_out:
            logger.warning("%s rows are not in the log of requests: it could not be written in time", left_out)
        if not parts:
            return
        try:
            self._save(_as_text(parts))
        except Exception as error:
            logger.warning("The log of requests cannot be written: %s", error)
            with self._lock:
                self._parts = parts + self._parts
                self._due = False
            return
        with self._lock:
            self._count -= sum(map(len, parts))
            self._due = False

    def _save(self, table: pd.DataFrame) -> None:
        name = f"{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}.parquet"
        with self._store.file(name) as path, replacing(path) as partial:
            table.to_parquet(partial, index=False)


def _as_text(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the parts as one table of text; put together first, which takes a twentieth of the time."""
    table = pd.concat([part.astype("object") for part in parts], ignore_index=True)
    return table.apply(lambda column: column.map(str, na_action="ignore").astype("str"))
