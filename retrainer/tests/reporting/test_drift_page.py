"""The page about new data: what differs, and the windows looked at."""

from typing import Any

import pytest

from retrainer.monitoring import Drift, Window
from retrainer.monitoring._drift import ColumnDrift
from retrainer.reporting import drift_page

from .test_report import rows_of_page, text_of

COLUMNS = (
    ColumnDrift("usage", "number", 0.31234, nulls=(0.1, 0.25), unseen=0.0, reasons=("PSI 0.31", "missing")),
    ColumnDrift("plan", "category", None, nulls=(0.0, 0.0), unseen=0.125),
)


def window(day: int, **facts: Any) -> Window:
    known = {"drifted": False, "reason": f"Day {day}."} | facts
    return Window(f"2026-11-{day:02}T06:00:00+00:00", "new.csv", f"d{day}", "v1", **known)


def page_of(*windows: Window, retrain: bool = False) -> str:
    drift = Drift(True, "1 of 2 columns drifted.", (400, 100), COLUMNS)
    return drift_page(drift, windows, project="churn", retrain=retrain)


def test_every_column_and_every_window_is_shown_the_latest_first() -> None:
    html = page_of(window(1), window(2, drifted=True, metric=0.8125, score_at_training=0.90625))
    rows = rows_of_page(html)

    assert ["usage", "0.3123", "10.0% to 25.0%", "0.0%", "PSI 0.31, missing"] in rows
    assert ["plan", "", "0.0% to 0.0%", "12.5%", "no"] in rows
    assert rows[-2:] == [
        ["2026-11-02 06:00 UTC", "yes", "0.8125", "0.9062", "Day 2."],
        ["2026-11-01 06:00 UTC", "no", "", "", "Day 1."],
    ]
    text = text_of(html)
    assert "The new data have drifted" in text
    assert "Day 2. Compared with the training data of v1." in text
    assert "churn" in text


@pytest.mark.parametrize(
    ("facts", "headline", "answer"),
    [
        ({"drifted": True}, "The new data have drifted", "yes"),
        ({"drifted": False}, "No drift", "no"),
        ({"drifted": False, "worse": True}, "The model is worse on the new data", "yes"),
        ({"drifted": None}, "Too few rows to decide", "too few rows"),
    ],
)
def test_the_headline_is_about_the_latest_window(facts: dict[str, Any], headline: str, answer: str) -> None:
    html = page_of(window(1, drifted=True), window(2, **facts))

    assert headline in text_of(html)
    assert rows_of_page(html)[-2][1] == answer


@pytest.mark.parametrize("retrain", [True, False])
def test_the_first_figures(retrain: bool) -> None:
    text = text_of(page_of(window(1), window(2, metric=0.75), retrain=retrain))

    for label, value in (
        ("columns drifted", "1"),
        ("windows checked", "2"),
        ("retrain needed", "yes" if retrain else "no"),
        ("score on these rows", "0.75"),
    ):
        assert f"{value} {label}" in text or f"{label} {value}" in text
    assert "score on these rows" not in text_of(page_of(window(1)))


def test_fifty_windows_are_shown() -> None:
    windows = [window(1, reason=f"Window {number}.") for number in range(60)]
    shown = [row[-1] for row in rows_of_page(page_of(*windows)) if row[-1].startswith("Window ")]

    assert shown == [f"Window {number}." for number in range(59, 9, -1)]


def test_what_drifted_is_drawn_as_it_was_and_is_and_nothing_else() -> None:
    bins = (("up to 1", 0.5, 0.1), ("over <1>", 0.5, 0.9))
    drawn = ColumnDrift("usage", "number", 1.0, reasons=("PSI 1.00",), histogram=bins)
    calm = ColumnDrift("age", "number", 0.0, histogram=bins)
    html = drift_page(Drift(True, "", (1, 1), (drawn, calm)), [window(1)], project="churn", retrain=False)

    assert html.count("<svg class") == 1
    assert 'font-size="12"' in html, "labels stay out of the bars, and figures out of each other, on a telephone"
    assert "usage: PSI 1.00" in text_of(html)
    assert "up to 1: 50.0%, now 10.0%; over &lt;1&gt;: 50.0%, now 90.0%" in html
    widths = [float(part.split('"')[0]) for part in html.split(' width="')[1:]]
    assert [round(width / max(widths), 2) for width in widths] == [0.56, 0.11, 0.56, 1.0]


def test_the_page_says_how_many_rows_have_labels_and_from_when() -> None:
    known = {"rows": 800, "labelled": 200, "labelled_from": "2026-10-01T00:00:00+00:00"}
    text = text_of(page_of(window(1, **known, labelled_to="2026-10-20T00:00:00+00:00")))

    assert "200 of 800 rows (25%) have a label, from 2026-10-01 00:00 UTC to 2026-10-20 00:00 UTC." in text
