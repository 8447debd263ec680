"""The drift page: how the latest window differs from the training data, and the windows before."""

from collections.abc import Sequence
from html import escape

from ..monitoring import ColumnDrift, Drift, Window, summary
from ._document import Cell, Number, Picture, Section, Table, Tile, moment, render

SHOWN = 50  # windows
DRAWN = 24  # columns that drifted
LINE, BARS_FROM, BARS_TO, WIDTH, LABEL = (34, 132, 306, 360, 20)  # of a picture: in its units; LABEL in characters

ANSWERS = {True: "yes", False: "no", None: "too few rows"}
HEADLINES = {
    True: "The new data have drifted",
    "worse": "The model is worse on the new data",
    False: "No drift",
    None: "Too few rows to decide",
}


def drift_page(drift: Drift, windows: Sequence[Window], *, project: str, retrain: bool) -> str:
    """Return one HTML page about the latest window, which needs no network.

    Args:
        drift: The latest window, compared with the training data.
        windows: Every window of this champion, the latest last.
        project: The project's name.
        retrain: Whether a retrain is triggered.
    """
    latest = windows[-1]
    tiles = [
        Tile("columns drifted", str(len(drift.gone) + sum(bool(column.reasons) for column in drift.columns))),
        Tile("windows checked", str(len(windows))),
        Tile("retrain needed", "yes" if retrain else "no"),
    ]
    if latest.metric is not None:
        tiles.append(Tile("score on these rows", f"{latest.metric:.4g}"))
    if latest.rows:
        tiles.append(Tile("rows with a label", f"{latest.labelled / latest.rows:.0%}"))
    note = "The stability index (PSI) is 0 for equal shares. A column drifts above `monitor.psi` of the settings."
    return render(
        "history.html.j2",
        project=project,
        headline=HEADLINES["worse" if latest.worse and not latest.drifted else latest.violates],
        reason=f"{latest.reason} Compared with the training data of {latest.version}. {labels(latest)}".strip(),
        tiles=tiles,
        sections=[
            *_draw_drifted_columns(drift),
            Section("columns", "Columns", tables=[_columns_table(drift)], notes=[note]),
            Section("windows", "Windows", tables=[_windows_table(windows)]),
        ],
    )


def _columns_table(drift: Drift) -> Table:
    rows: list[list[str | Cell]] = [
        [
            str(row["column"]),
            "" if row["index"] is None else f"{row['index']:.4f}",
            str(row["missing"]),
            str(row["unseen"]),
            Cell(str(row["drifted"]), "good" if row["drifted"] == "no" else "bad"),
        ]
        for row in summary(drift)
    ]
    header = ("column", Number("stability index"), "missing, training and now", "unseen", "drifted")
    return Table("Each column: new data compared with the training data", header, rows)


def _windows_table(windows: Sequence[Window]) -> Table:
    rows: list[list[str | Cell]] = [
        [
            Cell(moment(window.time), "whole"),
            ANSWERS[window.violates],
            *("" if score is None else f"{score:.4g}" for score in (window.metric, window.score_at_training)),
            Cell(window.reason, "long"),
        ]
        for window in reversed(windows[-SHOWN:])
    ]
    header = ("when", "drifted or worse", Number("score"), Number("score at training"), "why")
    return Table("Windows, the latest first", header, rows)


def labels(window: Window) -> str:
    """Return a sentence about the number and the times of a window's labelled rows."""
    if not window.rows:
        return ""
    share = f"{window.labelled:,} of {window.rows:,} rows ({window.labelled / window.rows:.0%}) have a label"
    if window.labelled_from and window.labelled_to:
        share += f", from {moment(window.labelled_from)} to {moment(window.labelled_to)}"
    return f"{share}{'; no score: ' + window.live_reason if window.live_reason else '.'}"


def _draw_drifted_columns(drift: Drift) -> list[Section]:
    """Return the histograms of the columns that drifted, most first."""
    drifted = [column for column in drift.columns if column.drifted and column.histogram]
    if not drifted:
        return []
    pictures = [
        Picture(f"{column.name}: {', '.join(column.reasons)}", _draw_histogram(column)) for column in drifted[:DRAWN]
    ]
    more = f" The first {DRAWN} of {len(drifted)} are drawn." if len(drifted) > DRAWN else ""
    key = (
        "The share of rows with each value: upper bar in training, lower bar in the window. Most drifted columns first."
    )
    return [Section("drifted", "Drifted columns", texts=[key + more], pictures=pictures)]


def _draw_histogram(column: ColumnDrift) -> str:
    """Return an SVG element with two bars for each bin."""
    widest = max(max(before, now) for _, before, now in column.histogram) or 1.0
    said = "; ".join(f"{name}: {before:.1%}, now {now:.1%}" for name, before, now in column.histogram)
    parts = []
    for number, (name, before, now) in enumerate(column.histogram):
        top = number * LINE
        label = name if len(name) <= LABEL else name[: LABEL - 1] + "…"
        parts.append(f'<text x="0" y="{top + 19}">{escape(label)}<title>{escape(name)}</title></text>')
        for offset, share, colour in ((4, before, "champion"), (17, now, "challenger")):
            width = (BARS_TO - BARS_FROM) * share / widest
            parts.append(
                f'<rect x="{BARS_FROM}" y="{top + offset}" width="{width:.1f}" height="11" rx="2" '
                f'style="fill: var(--{colour})"/>'
                f'<text x="{BARS_FROM + width + 5:.1f}" y="{top + offset + 10}">{share:.1%}</text>'
            )
    height = len(column.histogram) * LINE
    label = f"{escape(column.name)}, in training and in the window. {escape(said)}"
    return (
        f'<svg class="chart" font-size="12" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )
