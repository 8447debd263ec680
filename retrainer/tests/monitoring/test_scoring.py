import os
import resource
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from retrainer.data import FeatureCode, SchemaError, _tables, inputs, prepare
from retrainer.errors import FileError
from retrainer.monitoring import _scoring
from retrainer.settings import ProblemType
from retrainer.training import Model

from ..conftest import PROJECT, load_settings, make_pipeline, make_table

AS_THEY_STAND = "def label(frame): return frame\ndef features(frame): return frame\n"
TYPES: list[ProblemType] = ["classification", "regression"]


def scored(folder: Path, problem_type: ProblemType, *, rows: int = 250, table: pd.DataFrame | None = None) -> Path:
    """Train on a table, score it (or another) in batches, and return the file."""
    training = make_table(problem_type)
    settings = load_settings(root=folder, problem_type=problem_type, data={"source": "sample", "target": "target"})
    learned = prepare(training, settings=settings, code=FeatureCode(AS_THEY_STAND, project=PROJECT))
    X, y = inputs(learned.rows, contract=learned.contract, code=learned.code), learned.rows["target"]
    pipeline = make_pipeline("linear", problem_type=problem_type, seed=0).fit(X, y)
    model = Model(pipeline, learned.contract, learned.code)
    wanted = (training if table is None else table).assign(order=lambda frame: np.arange(len(frame)))
    batches = (
        _scoring.score_batch(model, wanted.iloc[start : start + rows], version="v1", identifiers=["order", "absent"])
        for start in range(0, len(wanted), rows)
    )
    batches = _scoring.checked(batches, model.contract, rows=len(wanted))
    result = _scoring.write(batches, folder / "scored.parquet")
    assert result.rows == len(wanted)
    assert model.predict(wanted).labels.tolist() == pytest.approx(pd.read_parquet(result.path)["prediction"].tolist())
    return result.path


@pytest.mark.parametrize("problem_type", TYPES)
def test_every_row_is_predicted_in_order_with_its_identifier_and_version(
    tmp_path: Path, problem_type: ProblemType
) -> None:
    table = pd.read_parquet(scored(tmp_path, problem_type))

    assert table["order"].tolist() == list(range(len(table)))
    assert set(table["model_version"]) == {"v1"}
    if problem_type == "classification":
        assert table[["probability_no", "probability_yes"]].sum(axis=1).tolist() == pytest.approx([1] * len(table))


@pytest.mark.parametrize("problem_type", TYPES)
def test_the_size_of_the_batches_changes_nothing(tmp_path: Path, problem_type: ProblemType) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    first = pd.read_parquet(scored(whole, problem_type, rows=10_000))
    second = pd.read_parquet(scored(parts, problem_type, rows=7))

    pd.testing.assert_frame_equal(first, second)


def test_a_table_that_does_not_fit_leaves_what_was_there(tmp_path: Path) -> None:
    before = scored(tmp_path, "classification").read_bytes()
    broken = make_table("classification").drop(columns="usage")

    with pytest.raises(SchemaError, match="usage"):
        scored(tmp_path, "classification", table=broken)

    assert [path.name for path in tmp_path.iterdir()] == ["scored.parquet"]
    assert (tmp_path / "scored.parquet").read_bytes() == before


def test_cells_that_cannot_be_read_are_judged_over_the_whole_table(tmp_path: Path) -> None:
    table = make_table("classification")
    some, many = table.astype({"usage": object}), table.astype({"usage": object})
    some.loc[:4, "usage"], many.loc[:40, "usage"] = "n.a. (see note)", "n.a. (see note)"

    before = scored(tmp_path, "classification", rows=5, table=some).read_bytes()
    with pytest.raises(SchemaError, match=r"'usage': expected a number .* such as 'n\.a\. \(see note\)' \(row 1\)"):
        scored(tmp_path, "classification", rows=5, table=many)

    assert (tmp_path / "scored.parquet").read_bytes() == before


def test_the_name_of_the_output_tells_data_and_model() -> None:
    def name(**changed: str) -> str:
        facts = {"source": "s3://bucket/new rows.csv?key=secret", "digest": "d", "version": "v"} | changed
        return _scoring.output_name(**facts, day=date(2026, 11, 2))

    assert name() == name() == "new-rows-d-2026-11-02-by-v.parquet"
    assert len({name(), name(digest="e"), name(version="w"), name(source="other.csv")}) == 4


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_without_an_identifier_rows_are_numbered_and_anybody_may_read_the_file(tmp_path: Path, suffix: str) -> None:
    def batch(*labels: str) -> tuple[pa.Table, _scoring.Counts]:
        versions = pa.array(["v1"] * len(labels)).dictionary_encode()
        table = pa.table({"prediction": list(labels), "model_version": versions})
        return table, _scoring.Counts(rows=len(labels))

    before = os.umask(0o022)
    try:
        path = _scoring.write([batch("no", "yes"), batch("no")], tmp_path / f"scored.{suffix}").path
    finally:
        os.umask(before)

    table = pd.read_csv(path) if suffix == "csv" else pd.read_parquet(path)
    assert table["row"].tolist() == [1, 2, 3]
    assert table["prediction"].tolist() == ["no", "yes", "no"]
    assert table["model_version"].tolist() == ["v1"] * 3
    assert path.stat().st_mode & 0o777 == 0o644


def test_partitions_of_parquet_are_cut_where_the_whole_is(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    make_table("classification").assign(order=range(600)).to_parquet(path, row_group_size=70)

    whole = [batch["order"].tolist() for batch in _tables.batches([path], rows=50)]
    cut = _tables.partitions([path], rows=150)
    parts = [batch["order"].tolist() for one in cut for batch in _tables.batches([one], rows=50)]

    assert len(cut) == 4
    assert parts == whole
    assert [len(batch) for batch in whole] == [50] * 12


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_a_disk_that_is_full_is_named_with_the_file(tmp_path: Path, format: str) -> None:
    table = pa.table({"order": range(1000), "prediction": [0.5] * 1000})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(FileError, match=rf"scored\.{format}: .*Free some space"):
            _scoring.write([(table, _scoring.Counts(1000))], tmp_path / f"scored.{format}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
