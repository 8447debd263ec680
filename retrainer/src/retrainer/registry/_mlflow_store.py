"""The registry's files in MLflow: a run for each version, and one run that holds the decisions.

    experiment <project>             a run for each version, with its files as artifacts; a tag `file:<name>` says
                                     that a file is there whole, and where
    experiment <project>-decisions   one run: parameter `000001` is the SHA-256 of the first decision
    registered model <project>       its tag `decisions` names that run

A parameter of a run is written once: MLflow's database refuses another value under the same key. So, of two
processes that create one decision, one succeeds, as with a file that is created exclusively; and a request that is
sent twice because its answer was lost changes nothing. The decision's content is stored before, under its SHA-256.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ..errors import ConfigurationError, first_line
from ..locations import Location
from ._records import Damaged
from ._store import StorageError, Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MODEL_FOLDER = "model"  # what MLflow takes for a model: MLmodel, and the pickle it names
MODEL_FILE = "model.joblib"
VERSION, FILE, LOG = "version", "file:", "decisions"
LONGEST_TAG = 5000
PAGE = 1000
# A server that is down is an error within seconds; MLflow itself would go on asking for minutes.
CLIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # where a command prints JSON
}


class TrackingError(StorageError):
    """The tracking server failed a request; nothing was changed."""


class MlflowStore(Store):
    """Files in the artifacts of MLflow runs, decisions in the parameters of one; a `Store`."""

    def __init__(self, tracking_uri: Location | str | None, *, project: str) -> None:
        """Use the server at `tracking_uri`, by default the one of `MLFLOW_TRACKING_URI`."""
        for name, value in CLIENT.items():
            os.environ.setdefault(name, value)
        import mlflow

        given = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        if not given:
            raise ConfigurationError(
                'registry.kind is "mlflow", and no server is named: set registry.tracking_uri or'
                " MLFLOW_TRACKING_URI, such as http://127.0.0.1:5000."
            )
        self.uri = Location(given)
        self.project = project
        with self.translate_errors("connect"):
            self.client: MlflowClient = mlflow.MlflowClient(tracking_uri=self.uri.reveal())
        self._runs: dict[str, str] = {}  # the run of a version never changes
        self._experiments: dict[str, str] = {}
        self._stores: dict[str, Any] = {}

    def where(self, key: str) -> str:
        """Return the address of `key` in MLflow's own pages."""
        uri = str(self.uri).rstrip("/")
        folder, _, rest = key.partition("/")
        version, _, name = rest.partition("/")
        versions = folder in ("", "versions")
        experiment = self._experiments.get(self.project if versions else f"{self.project}-{LOG}")
        run = self._runs.get(version if versions else LOG)
        if not uri.startswith("http") or not experiment:
            return " ".join(filter(None, [uri, self.project, key]))
        page = f"{uri}/#/experiments/{experiment}"
        if not run:
            return " ".join(filter(None, [page, key]))
        page = f"{page}/runs/{run}"
        if folder == LOG:
            return f"{page} {key}"
        return f"{page}/artifacts/{_artifact_path(name)}" if name else page

    def read(self, key: str) -> bytes:
        with self.open(key) as file:
            return file.read()

    def open(self, key: str) -> BinaryIO:
        run, path, digest = self._locate_artifact(key)
        file = self._download(key, run, path)
        found = hashlib.file_digest(file, "sha256").hexdigest() if digest else ""  # type: ignore[arg-type]
        file.seek(0)
        if found != digest:
            file.close()
            what = f"was changed: its SHA-256 is {found}, recorded was {digest}"
            raise Damaged(self.where(key), what, "Restore it from a backup.")
        return file

    def write(self, key: str, data: bytes) -> None:
        with self.writer(key) as file:
            file.write(data)

    def create(self, key: str, data: bytes) -> None:
        """Put `data` at the new `key`; FileExistsError when another process created the decision."""
        if not key.startswith(f"{LOG}/"):
            self.write(key, data)
            return
        from mlflow import MlflowException

        number, digest = _decision_number(key), hashlib.sha256(data).hexdigest()
        log = self.new_log()
        self._upload(log, f"{LOG}/{digest}.json", data)
        with self.translate_errors(f"record decision {number}"):
            try:
                self.client.log_param(log, number, digest)
            except MlflowException:
                params = self.client.get_run(log).data.params
                if params.get(number, digest) != digest:
                    raise FileExistsError(key) from None
                if number not in params:
                    raise

    @contextmanager
    def writer(self, key: str) -> Iterator[BinaryIO]:
        """Open a local file, uploaded to `key` when the block ends without an error."""
        name = key.split("/", 2)[-1]
        path = Path(_artifact_path(name))
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / path.name
            with local.open("x+b") as file:
                yield cast(BinaryIO, file)
            run = self.new_run(key.split("/")[1]) if key.startswith("versions/") else self.new_log()
            with self.translate_errors(f"write {key}"):
                parent = str(path.parent) if path.parent.name else None
                self._artifacts(run).log_artifact(str(local), parent)
                self.client.set_tag(run, FILE + name, str(path))

    def list(self, prefix: str) -> list[str]:
        keys: list[str] = []
        if prefix in ("", "versions"):
            for run in self.runs():
                keys += [f"versions/{run.data.tags[VERSION]}/{name}" for name in _file_tags(run)]
        if prefix in ("", LOG) and (log := self.log()):
            with self.translate_errors("read the decisions"):
                run = self.client.get_run(log)
            keys += [f"{LOG}/{number}.json" for number in run.data.params if number.isdecimal()]
            keys += _file_tags(run) if not prefix else ()
        return sorted(keys)

    def delete(self, prefix: str) -> None:
        """Remove a version's file, or all of them: its run stays, marked as failed."""
        _, version, *rest = prefix.split("/", 2)
        run = self.run_of(version)
        if run is None:
            return
        with self.translate_errors(f"remove {prefix}"):
            found = _file_tags(self.client.get_run(run))
            for name in found if not rest else set(rest) & found.keys():
                self.client.delete_tag(run, FILE + name)
                self._artifacts(run).delete_artifacts(found[name])
                if name == MODEL_FILE:
                    for model in self.client.search_model_versions(f"run_id = '{run}'"):
                        self.client.delete_model_version(model.name, model.version)
            if not rest:
                self.client.set_tag(run, "discarded", "true")
                self.client.set_terminated(run, "FAILED")

    def runs(self) -> Iterator["Run"]:
        """Return the run of every version that was not discarded."""
        token: str | None = ""
        while token is not None:
            with self.translate_errors("list the versions"):
                page = self.client.search_runs(
                    [self.experiment(self.project)],
                    f"tags.{VERSION} LIKE '2%'",
                    max_results=PAGE,
                    page_token=token or None,
                )
            for run in page:
                self._runs[run.data.tags[VERSION]] = run.info.run_id
                yield run
            token = page.token or None

    def run_of(self, version: str) -> str | None:
        """Return the id of the version's run, None if there is none."""
        if version not in self._runs:
            with self.translate_errors(f"find {version}"):
                experiment = self.experiment(self.project)
                for run in self.client.search_runs([experiment], f"tags.{VERSION} = '{version}'"):
                    self._runs[version] = run.info.run_id
        return self._runs.get(version)

    def new_run(self, version: str) -> str:
        """Return the id of the version's run, created now if there was none."""
        with self.translate_errors(f"begin {version}"):
            run = self.run_of(version) or self.client.create_run(
                self.experiment(self.project), run_name=version, tags={VERSION: version}
            )
        self._runs[version] = run if isinstance(run, str) else run.info.run_id
        return self._runs[version]

    def log(self) -> str | None:
        """Return the id of the run that holds the decisions, None before the first."""
        from mlflow import MlflowException

        if LOG not in self._runs:
            with self.translate_errors("find the decisions"):
                self.experiment(f"{self.project}-{LOG}")
                try:
                    tags = self.client.get_registered_model(self.project).tags
                except MlflowException as error:
                    if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                        raise
                    return None
            if LOG not in tags:
                raise TrackingError(
                    f"The registered model {self.project!r} at {self.uri} is not of this registry: it has"
                    f" no tag {LOG!r}. Rename it, or rename this project (`project` in config.toml)."
                )
            self._runs[LOG] = tags[LOG]
        return self._runs[LOG]

    def new_log(self) -> str:
        """Return the id of the run that holds the decisions, created now if there was none."""
        from mlflow import MlflowException

        if found := self.log():
            return found
        with self.translate_errors("begin the decisions"):
            run = self.client.create_run(self.experiment(f"{self.project}-{LOG}"), run_name=LOG).info.run_id
            try:  # of two processes that are first, one creates the name
                self.client.create_registered_model(self.project, tags={LOG: run})
            except MlflowException as error:
                self.client.delete_run(run)
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
        return self.log() or run

    @contextmanager
    def translate_errors(self, what: str) -> Iterator[None]:
        """Turn an error of MLflow into one that names the server and hides its password."""
        from mlflow import MlflowException
        from requests import RequestException

        try:
            yield
        except (MlflowException, RequestException, OSError) as error:
            if isinstance(error, FileExistsError | FileNotFoundError):
                raise
            code = getattr(error, "error_code", "")
            said = self.uri.hide(first_line(error))[:300]
            raise TrackingError(f"MLflow at {self.uri} could not {what}: {said}. {_error_advice(code)}") from None

    def _locate_artifact(self, key: str) -> tuple[str, str, str]:
        """Return the run, the artifact and, for a decision, its SHA-256."""
        folder, _, rest = key.partition("/")
        version, _, name = rest.partition("/")
        run = self.run_of(version) if folder == "versions" else self.log()
        if run is None:
            raise FileNotFoundError(key)
        with self.translate_errors(f"read {key}"):
            found = self.client.get_run(run)
        if folder == LOG:
            digest = found.data.params.get(_decision_number(key))
            path = f"{LOG}/{digest}.json" if digest else None
        else:
            digest, path = "", _file_tags(found).get(name or key)
        if path is None:
            raise FileNotFoundError(key)
        return run, path, digest or ""

    def _download(self, key: str, run: str, path: str) -> BinaryIO:
        with tempfile.TemporaryDirectory() as folder:  # the open file outlives it
            try:
                with self.translate_errors(f"read {key}"):
                    copy = self._artifacts(run).download_artifacts(path, folder)
                    return cast(BinaryIO, Path(copy).open("rb"))
            except (TrackingError, FileNotFoundError):
                if self._artifact_exists(run, path):
                    raise
                raise FileNotFoundError(key) from None

    def experiment(self, name: str) -> str:
        """Return the id of an experiment, created now if there was none."""
        from mlflow import MlflowException

        if name not in self._experiments:
            found = self.client.get_experiment_by_name(name)
            try:
                self._experiments[name] = found.experiment_id if found else self.client.create_experiment(name)
            except MlflowException:  # another process was first
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
                self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def _upload(self, run: str, path: str, data: bytes) -> None:
        with self.translate_errors(f"write {path}"), tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / Path(path).name
            local.write_bytes(data)
            self._artifacts(run).log_artifact(str(local), str(Path(path).parent))

    def _artifact_exists(self, run: str, path: str) -> bool:
        parent = str(Path(path).parent) if "/" in path else None
        with self.translate_errors(f"look for {path}"):
            return any(file.path == path for file in self._artifacts(run).list_artifacts(parent))

    def _artifacts(self, run: str) -> Any:
        """Return MLflow's access to a run's artifacts, which asks less of the server than its client does."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        if run not in self._stores:
            uri = self.client.get_run(run).info.artifact_uri
            self._stores[run] = get_artifact_repository(uri, tracking_uri=self.uri.reveal())
        return self._stores[run]


def _file_tags(run: "Run") -> dict[str, str]:
    tags = run.data.tags.items()
    return {name.removeprefix(FILE): path for name, path in tags if name.startswith(FILE)}


def _artifact_path(name: str) -> str:
    return f"{MODEL_FOLDER}/{name}" if name == MODEL_FILE else name


def _decision_number(key: str) -> str:
    return Path(key).stem


def _error_advice(code: str) -> str:
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD of a user with access."
    return (
        "Check that the server runs and that registry.tracking_uri or MLFLOW_TRACKING_URI names it, then run this"
        " again; nothing was changed."
    )
