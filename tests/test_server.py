"""A Prefect server of one's own that keeps its runs in PostgreSQL, as docs/operations.md describes it."""

from pathlib import Path

import pytest

from .conftest import SECRET, Bake, PostgreSQL, Runner, serving


def test_a_server_on_postgresql_runs_a_retrain_and_remembers_it(
    own_copy: Bake, environment: Path, postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> None:
    postgresql.execute("CREATE DATABASE prefect")
    url = f"postgresql+asyncpg://ml:{SECRET}@127.0.0.1:{postgresql.port}/prefect"
    project = own_copy()

    with serving(
        environment, tmp_path_factory.mktemp("first"), PREFECT_SERVER_DATABASE_CONNECTION_URL=url
    ) as server:
        facts = Runner(environment, server).command(project, "retrain", "--json")
    with serving(
        environment, tmp_path_factory.mktemp("second"), PREFECT_SERVER_DATABASE_CONNECTION_URL=url
    ) as server:
        runs = server.call("/flow_runs/filter", {})

    assert facts["verdict"] == "promoted"
    assert [(run["state_type"], facts["version"][-6:] in run["name"]) for run in runs] == [
        ("COMPLETED", True)
    ]
