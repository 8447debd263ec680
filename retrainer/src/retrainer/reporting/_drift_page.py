"""One page about the new data: what differs from the training data, and the windows looked at so far."""

from collections.abc import Sequence

from ..monitoring import Drift, Window, summary
from ._document import Cell, Number, Section, Table, Tile, moment, render

SHOWN = 50  # windows

ANSWERS = {True: "yes", False: "no", None: "too few rows"}
HEADLINES = {
    True: "The new data have drifted",
    False: "The new data look like the training data",
    None: "Too few rows to tell",
}


def drift_page(drift: Drift, windows: Sequence[Window], *, project: str, retrain: bool) -> str:
    """Return one HTML page about the latest window, without a reference to anything outside.

    Args:
        drift: The latest window, compared with the training data.
        windows: Every window of this champion, the latest last.
        project: The project's name.
        retrain: Whether a retrain is triggered.
    """
    latest = windows[-1]
    tiles = [
        Tile("columns drifted", str(sum(bool(column.reasons) for column in drift.columns))),
        Tile("windows looked at", str(len(windows))),
        Tile("retrain triggered", "yes" if retrain else "no"),
    ]
    if latest.metric is not None:
        tiles.append(Tile("score on these rows", f"{latest.metric:.4g}"))
    columns: list[list[str | Cell]] = [
        [
            str(row["column"]),
            "" if row["index"] is None else f"{row['index']:.4f}",
            str(row["missing"]),
            str(row["unseen"]),
            Cell(str(row["drifted"]), "good" if row["drifted"] == "no" else "bad"),
        ]
        for row in summary(drift)
    ]
    looked: list[list[str | Cell]] = [
        [
            Cell(moment(window.time), "whole"),
            Cell(ANSWERS[window.violates]),
            Cell("" if window.metric is None else f"{window.metric:.4g}", "number"),
            Cell("" if window.promised is None else f"{window.promised:.4g}", "number"),
            Cell(window.reason, "long"),
        ]
        for window in reversed(windows[-SHOWN:])
    ]
    header = ("column", Number("stability index"), "missing, then and now", "unseen", "drifted")
    return render(
        "history.html.j2",
        project=project,
        headline=HEADLINES[latest.violates],
        reason=f"{latest.reason} Compared with what {latest.version} was trained on.",
        tiles=tiles,
        sections=[
            Section(
                "columns",
                "Columns",
                tables=[Table("Each column of the new data beside the training data", header, columns)],
                notes=[
                    "The population stability index is 0 for equal shares; see `monitor.psi` in the settings."
                ],
            ),
            Section(
                "windows",
                "Windows",
                tables=[
                    Table(
                        "What was looked at, the latest first",
                        ("when", "drifted or worse", Number("score"), Number("promised"), "why"),
                        looked,
                    )
                ],
            ),
        ],
    )
