"""The registry in MLflow: the same decisions as in files, and what they mean shown in MLflow's own terms.

The decisions alone say what was decided. Model versions, the aliases `champion`, `staging` and `challenger`,
and each run's tags are derived from them, and set again by the next process if one died before.
"""

import json
import logging
import pickle
import tempfile
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import RegistryError
from ..settings import Settings
from ._lineage import changed_packages, described
from ._mlflow_store import LONGEST_TAG, MODEL_FILE, MODEL_FOLDER, MlflowStore
from ._records import Record, Version
from ._registry import DECISIONS, MANIFEST, MODEL, VERDICTS, VERSIONS, Registry

PARAMETERS = (
    *("estimator", "seed", "rows.training", "rows.holdout"),
    *("split.method", "split.share", "split.seed", "split.keys"),
)

PICKLE = "model.pickle"  # beside a model that joblib saved: what MLflow's own loader reads

logger = logging.getLogger(__name__)


def open_registry(settings: Settings) -> "MlflowRegistry":
    """Return the registry on the tracking server of the settings."""
    store = MlflowStore(settings.registry.tracking_uri, project=settings.project)
    return MlflowRegistry(store, metric=settings.metric, project=settings.project)


class MlflowRegistry(Registry):
    """Versions and decisions in a `MlflowStore`."""

    store: MlflowStore

    def _save(self, pipeline: object, file: BinaryIO) -> None:
        pickle.dump(pipeline, file, protocol=5)  # MLflow's own loader does not read joblib's

    def show_version(self, version: Version) -> None:
        """Write the version's scores, parameters and lineage on its run."""
        from mlflow.entities import Metric, Param, RunTag

        facts = dict(_flatten(version.lineage))
        params = [Param(name, str(facts.pop(name))[:LONGEST_TAG]) for name in PARAMETERS if name in facts]
        tags = [RunTag(f"lineage.{name}", str(value)[:LONGEST_TAG]) for name, value in facts.items()]
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, 0) for name, value in version.metrics.items() if value is not None]
        run = self.store.new_run(version.id)
        with self.store.translate_errors(f"describe {version.id}"):
            self.store.client.log_batch(run, metrics, params, tags[:90])

    def show_model(self, version: Version, pipeline: Any, example: Any = None) -> None:
        """Describe the saved pipeline as an MLflow model, with a signature from the rows of `example`."""
        self.show_version(version)
        self._publish_model(version, pipeline, example, file=MODEL_FILE)

    def _publish_model(self, version: Version, pipeline: Any, example: Any, *, file: str) -> None:
        import mlflow.pyfunc
        import sklearn
        from mlflow.models import Model, infer_signature

        run = self.store.new_run(version.id)
        model = Model(artifact_path=MODEL_FOLDER, run_id=run)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            packages = version.lineage.get("packages", {})
            required = "".join(f"{name}=={number}\n" for name, number in packages.items())
            (folder / "requirements.txt").write_text(required, encoding="utf-8")
            if file != MODEL_FILE:
                (folder / file).write_bytes(pickle.dumps(pipeline, protocol=5))
            if example is not None:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that whole numbers cannot be missing is known
                    model.signature = infer_signature(example, pipeline.predict(example))
                text = example.to_json(orient="split", index=False, date_format="iso", default_handler=str)
                (folder / "input_example.json").write_text(text, encoding="utf-8")
                shape = {"type": "dataframe", "pandas_orient": "split"}
                model.saved_input_example_info = {"artifact_path": "input_example.json"} | shape
            mlflow.pyfunc.add_to_model(model, loader_module="mlflow.sklearn", model_path=file, predict_fn="predict")
            model.add_flavor(
                "sklearn",
                pickled_model=file,
                sklearn_version=sklearn.__version__,
                serialization_format="pickle",
                code=None,
            )
            model.save(str(folder / "MLmodel"))
            with self.store.translate_errors(f"describe the model of {version.id}"):
                self.store.client.log_artifacts(run, str(folder), MODEL_FOLDER)

    def catch_up(self) -> None:
        """Write what a killed process did not: the champion's description, model versions, aliases, tags."""
        super().catch_up()
        with suppress(RegistryError):
            self._publish_decisions()

    def _describe_champion(self) -> None:
        super()._describe_champion()
        try:
            self._publish_decisions()
        except RegistryError as error:  # the decision stands, and whoever opens the registry next tries again
            logger.warning("The decision is recorded, but MLflow does not show it yet: %s", error)

    def _description(self, last: Record) -> dict[str, Any]:
        path = f"runs:/{self.store.run_of(str(last.champion))}/{MODEL_FOLDER}"
        return super()._description(last) | {"model_path": path}

    def _publish_decisions(self) -> None:
        """Let runs, model versions and aliases say what the decisions say."""
        while number := self._last_number():
            last = self._read_record(number)
            judged = last
            while judged.sequence > 1 and judged.verdict not in VERDICTS:
                judged = self._read_record(judged.sequence - 1)
            self.show_decision(judged)
            newest = judged.version if judged.version not in (last.champion, last.staging) else None
            wanted = {"champion": last.champion, "staging": last.staging, "challenger": newest}
            with self.store.translate_errors("move the aliases"):
                client, name = self.store.client, self.store.project
                now = client.get_registered_model(name).aliases
                for alias, version in wanted.items():
                    meant = self._model_version(version) if version else None
                    if meant and str(now.get(alias)) != meant:
                        client.set_registered_model_alias(name, alias, meant)
                    elif alias in now and not meant:
                        client.delete_registered_model_alias(name, alias)
            if self._last_number() == number:  # otherwise another process decided, and may have been overtaken here
                return

    def show_decision(self, record: Record) -> None:
        """Write the verdict on the run of the version it is about, and register that version."""
        from mlflow.entities import Metric, RunTag

        if record.verdict not in VERDICTS or not (run := self.store.run_of(str(record.version))):
            return
        client = self.store.client
        with self.store.translate_errors(f"show decision {record.sequence}"):
            if client.get_run(run).info.status == "FINISHED":
                return
            tags = {"verdict": record.verdict, "reason": record.reason, "decision": record.sequence}
            tags |= {"flow_run_id": record.flow_run_id or ""}
            now, champion = int(time.time() * 1000), record.decision.get("champion") or {}
            metrics = [
                Metric(f"champion.{name}", value, now, 0)
                for name, value in champion.items()
                if isinstance(value, float | int)
            ]
            shown = [RunTag(name, str(value)[:LONGEST_TAG]) for name, value in tags.items()]
            client.log_batch(run, metrics, [], shown)
            self._model_version(str(record.version), description=record.reason)
            client.set_terminated(run, "FINISHED")

    def _model_version(self, version: str, *, description: str = "") -> str | None:
        """Return the number of the model version, registered now if it was not; None of a pruned one."""
        client, name, run = self.store.client, self.store.project, self.store.run_of(version)
        found = client.search_model_versions(f"name = '{name}' and run_id = '{run}'")
        if found:
            return str(min(int(model.version) for model in found))
        if run is None or f"{VERSIONS}/{version}/{MODEL}" not in self.store.list(VERSIONS):
            return None
        made = client.create_model_version(
            name,
            f"{client.get_run(run).info.artifact_uri}/{MODEL_FOLDER}",
            run,
            tags={"version": version},
            description=description or None,
            await_creation_for=0,  # it is there at once; only Databricks copies first
        )
        return str(made.version)

    def copy_from(self, source: Registry) -> tuple[int, int]:
        """Copy a registry with all its decisions; return the numbers of versions and decisions that were copied now.

        Existing files are skipped, so that an interrupted copy can be finished.

        Raises:
            RegistryError: the source is damaged, or this registry has other content.
        """
        for problem in source.verify():
            if problem.severity == "error":
                raise RegistryError(f"What is damaged is not copied: {problem}")
        wanted = source.store.list(VERSIONS) + source.store.list(DECISIONS)
        present = set(self.store.list(VERSIONS) + self.store.list(DECISIONS))
        if foreign := present - set(wanted):
            raise RegistryError(
                f"{self.store.where('')} holds {len(foreign)} files that {source.store.where('')} has not, such as"
                f" {min(foreign)}: a copy needs an empty registry. Choose another `project` or another server."
            )
        for key in filter(present.__contains__, source.store.list(DECISIONS)):
            if self.store.read(key) != source.store.read(key):
                raise RegistryError(f"{self.store.where(key)} is another decision than {source.store.where(key)}.")
        copied = {key.split("/")[1] for key in wanted if key.startswith(VERSIONS) and key not in present}
        for name in sorted(copied):
            files = source.store.list(f"{VERSIONS}/{name}")
            for key in sorted(set(files) - present, key=lambda key: (key.endswith(MANIFEST), key)):
                with source.store.open(key) as old, self.store.writer(key) as new:
                    while block := old.read(2**20):
                        new.write(block)
            version = self.version(name)
            self.show_version(version)
            if f"{VERSIONS}/{name}/{MODEL}" in files:
                try:
                    if changed := changed_packages(version.lineage):
                        raise RegistryError(f"It was saved with {described(changed)}.")
                    self._publish_model(version, source.load_model(version), None, file=PICKLE)
                except RegistryError as error:
                    logger.warning("MLflow itself will not load %s: %s", name, error)
        decisions = [key for key in source.store.list(DECISIONS) if key not in present]
        for key in decisions:
            self.store.create(key, source.store.read(key))
        for record in self.decisions():
            self.show_decision(record)
        self.catch_up()
        return len(copied), len(decisions)


def _flatten(facts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            found += _flatten(value, f"{prefix}{name}.")
        elif value is not None:
            found.append((prefix + name, json.dumps(value) if isinstance(value, list | tuple) else value))
    return found
