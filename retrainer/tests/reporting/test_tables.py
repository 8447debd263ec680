"""Every cell, figure and legend of the report, taken apart before it is drawn."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from retrainer.gate import known_metric
from retrainer.monitoring import Drift
from retrainer.monitoring._drift import ColumnDrift
from retrainer.reporting import _history, _report, _sections
from retrainer.reporting._document import Cell, Number, Section, Table

from .test_report import classified, record, regressed, version


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.cells]


def styles(table: Table) -> list[list[str]]:
    return [[cell.style for cell in row] for row in table.cells]


def numbered(table: Table) -> list[str]:
    """Return the columns whose cells are aligned as numbers."""
    return [str(name) for name in table.columns if isinstance(name, Number)]


def test_the_first_figures_of_a_comparison() -> None:
    facts = classified()
    tiles = {tile.label: (tile.value, tile.style) for tile in _report._tiles(facts)}

    decision = facts.decision
    assert tiles["weighted F1, challenger"] == (f"{decision.challenger['f1_score']:.4f}", "challenger")
    assert tiles["weighted F1, champion"] == (f"{decision.champion['f1_score']:.4f}", "champion")
    assert tiles["better by"][0] == f"+{decision.improvement:.4f}"
    assert tiles["rows new to both models"][0] == "400"
    other = f1_score(facts.y, facts.champion_predictions.labels, average=None, labels=["no", "yes"])
    own = f1_score(facts.y, facts.predictions.labels, average=None, labels=["no", "yes"])
    for name, mine, theirs in zip(["no", "yes"], own, other, strict=True):
        rows = int((facts.y == name).sum())
        assert tiles[f"F1 of '{name}' ({rows} rows)"][0] == f"{mine:.4f}, champion {theirs:.4f}"


def test_of_many_classes_those_predicted_worst_are_on_the_first_screen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_report, "CLASSES_SHOWN", 2)
    facts = classified(classes=4, champion=None)
    shown = [tile.value for tile in _report._class_tiles(facts)]

    own = f1_score(facts.y, facts.predictions.labels, average=None)
    assert shown == [f"{value:.4f}" for value in sorted(own)[:2]]


@pytest.mark.parametrize(
    ("refit", "expected"),
    [
        (None, []),
        ({"failed": "ValueError: too hot"}, ["failed (ValueError: too hot)"]),
        ({"rows": 12_345}, ["on all 12,345 labelled rows"]),
    ],
)
def test_it_is_said_which_fit_serves(refit: Any, expected: list[str]) -> None:
    facts = classified()
    facts = replace(facts, version=replace(facts.version, lineage=facts.version.lineage | {"refit": refit}))

    said = _sections._serving_model_text(facts)

    assert len(said) == len(expected)
    assert all(part in whole for part, whole in zip(expected, said, strict=True))


def test_errors_by_tenth_are_those_of_pandas() -> None:
    rng = np.random.default_rng(0)
    own, truth = rng.normal(10, 2, 500), rng.normal(10, 2, 500)
    other = own + 1
    table = _sections._by_quantile(truth, {"challenger": own, "champion": other})

    frame = pd.DataFrame({"own": own, "truth": truth, "part": pd.qcut(own, 10, labels=False)})
    rows = []
    for _, part in frame.groupby("part"):
        error = part["own"] - part["truth"]
        rows.append(
            [
                f"{part['own'].min():.4g} to {part['own'].max():.4g}",
                f"{len(part)}",
                f"{part['truth'].mean():.4g}",
                f"{error.mean():+.4g}",
                f"{error.abs().mean():.4g}",
                f"{(error + 1).abs().mean():.4g}",
            ]
        )
    assert texts(table) == rows
    assert numbered(table) == [
        *("rows", "actual mean", "mean bias"),
        *("mean absolute error, challenger", "mean absolute error, champion"),
    ]


def test_importance_is_left_out_where_it_would_take_too_long_or_there_is_no_score(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    facts = regressed()
    unknown = replace(facts, decision=replace(facts.decision, challenger={"rmse": float("nan")}))
    assert _sections._importance_section(unknown) == Section(
        "importance", "Feature importance", ["Left out, because the score is not a finite number."]
    )
    monkeypatch.setattr(_sections, "IMPORTANCE_COLUMNS", 1)
    left_out = _sections._importance_section(facts)
    assert (left_out.name, left_out.title) == ("importance", "Feature importance")
    assert left_out.texts == ["Left out: there are 2 columns, and more than 1 take too long."]
    assert (left_out.tables, left_out.pictures) == ((), ())


def test_what_was_learned_from_and_how_it_changed() -> None:
    spread = {"mean": 2.5, "standard_deviation": 1.25}
    profile = {
        "rows": 200,
        "columns": {
            "usage": {"kind": "number", "nulls": 50, "minimum": 0.0, "maximum": 9.5, "median": 2.0, **spread},
            "plan": {"kind": "category", "nulls": 0, "counts": {"basic": 150, "pro": 50}, "distinct": 2},
            "age": {"kind": "number", "nulls": 200},
        },
        "left_out": {"customer": "one value a row"},
    }
    changes = (
        ColumnDrift("plan", "category", 0.4321, reasons=("PSI 0.43", "unseen")),
        ColumnDrift("usage", "number", None),
    )
    drift = Drift(True, "1 of 2 drifted.", (1_500, 200), changes, gone=("region",), added=("age",))
    lineage = {"reading_notes": ["Column 'usage': 1 cell."], "split": {"classes_left_out": {"rare": 3}}}

    section = _sections._data(profile, drift, lineage)

    table, left_out = section.tables
    assert [row[:4] for row in texts(table)] == [
        ["plan", "category", "0.0%", "basic 75%, pro 25%"],
        ["usage", "number", "25.0%", "0 to 9.5, median 2, mean 2.5 ± 1.25"],
        ["age", "number", "100.0%", "none"],
    ]
    assert [row[-2:] for row in texts(table)] == [["0.432", "PSI 0.43, unseen"], ["", ""], ["", "new"]]
    assert [row[2:] for row in styles(table)] == [
        ["number", "long", "number", "bad"],
        ["number", "long", "number", ""],
        ["number", "long", "number", "wait"],
    ]
    assert texts(left_out) == [["customer", "one value a row"]]
    assert "the champion's 1,500 training rows: 1 of 2 drifted." in section.texts[0]
    assert "Removed columns: region." in section.notes
    assert "Column 'usage': 1 cell." in section.notes
    assert any("'rare'" in note and "its 3 rows" in note for note in section.notes)


def test_where_a_model_comes_from() -> None:
    facts = replace(classified(champion=None), run="retrain 1", run_url="http://127.0.0.1/run")
    facts = replace(facts, version=replace(facts.version, lineage={"data": {"digest": "d1"}, "refit": None}))

    (table,) = _sections._lineage(facts).tables

    rows = dict(texts(table))
    assert rows["version"] == "20261120-060000-aaaaaa"
    assert rows["trained"] == "2026-11-20 06:00 UTC"
    assert (rows["run"], rows["run's page"]) == ("retrain 1", "http://127.0.0.1/run")
    assert "d1" in rows.values()
    assert "previous champion" not in rows
    assert {row[1] for row in styles(table)} == {"long"}


def test_every_decision_is_a_row() -> None:
    versions = {f"v{number}": version(f"v{number}", {"f1_score": 0.8 + number / 100}) for number in range(2)}
    versions["v1"] = replace(versions["v1"], lineage={})
    told = [record(0, "promoted", 0, 0), record(1, "rejected", 1, 0), record(2, "kept", 1, 0)]

    (table,) = _history._decisions_section(versions, told, known_metric).tables

    assert texts(table) == [
        ["3", "2026-11-12 06:00 UTC", "not promoted", "v1", "weighted F1 0.8100", "", "Because of 2 & <b>."],
        ["2", "2026-11-11 06:00 UTC", "rejected", "v1", "weighted F1 0.8100", "", "Because of 1 & <b>."],
        ["1", "2026-11-10 06:00 UTC", "promoted", "v0", "weighted F1 0.8000", "400", "Because of 0 & <b>."],
    ]
    assert [row[2] for row in styles(table)] == ["wait", "bad", "good"]
    assert {(row[1], row[3], row[4], row[6]) for row in styles(table)} == {("whole", "whole", "number", "long")}
    assert Cell("400", "number") == table.cells[2][5]
