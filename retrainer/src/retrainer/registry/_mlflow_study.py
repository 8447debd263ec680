"""A search in MLflow: a run for it, and a child run for each trial."""

import time
from collections.abc import Mapping
from typing import Any

from ..settings import Settings
from ._mlflow_store import LONGEST_TAG, MlflowStore

PARENT = "mlflow.parentRunId"  # MLflow's own tag: its pages show children below their parent
STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}


def show(study: Mapping[str, Any], *, settings: Settings) -> None:
    """Write a study to the experiment `<project>-tuning`; of one that goes on, only the trials that are new."""
    store = MlflowStore(settings.registry.tracking_uri, project=settings.project)
    client, name = store.client, study["study"]
    with store.translate_errors(f"show the search {name}"):
        experiment = store.experiment(f"{settings.project}-tuning")
        found = client.search_runs([experiment], f"tags.study = '{name}'", max_results=1)
        parent = found[0] if found else client.create_run(experiment, run_name=study["estimator"], tags={"study": name})
        tags = {PARENT: parent.info.run_id}
        children = client.search_runs([experiment], f"tags.`{PARENT}` = '{parent.info.run_id}'", max_results=50_000)
        runs = {run.info.run_name: run.info for run in children}
        for trial in study["trials"]:
            number = str(trial["trial"])
            if number not in runs or runs[number].status == "RUNNING":  # a process that died left it
                run = runs.get(number) or client.create_run(experiment, run_name=number, tags=tags).info
                _describe(client, run.run_id, trial, study["metric"])
        client.set_terminated(parent.info.run_id)


def _describe(client: Any, run: str, trial: Mapping[str, Any], metric: str) -> None:
    from mlflow.entities import Metric, Param, RunTag

    now, numbers = int(time.time() * 1000), {metric: trial["score"], "seconds": trial["seconds"]}
    metrics = [Metric(name, value, now, 0) for name, value in numbers.items() if value is not None]
    params = [Param(name, str(value)) for name, value in trial["parameters"].items()]
    client.log_batch(run, metrics, params, [RunTag("error", trial["error"][:LONGEST_TAG])])
    client.set_terminated(run, STATUS[trial["state"]])
