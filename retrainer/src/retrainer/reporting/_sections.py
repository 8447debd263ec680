"""The sections of the report, each made from the facts of a run."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..data import kind_of
from ..errors import shell_command
from ..gate import Array, Metric, Sample
from ..monitoring import Drift
from . import _pictures
from ._document import Cell, Number, Section, Table, moment
from ._facts import IMPORTANCE_REPEATS, IMPORTANCE_ROWS, Facts

IMPORTANCE_SHOWN = 20
IMPORTANCE_COLUMNS = 100  # beyond, importance is left out: its cost grows with their square
SLICE_COLUMNS, SLICE_VALUES, SLICE_ROWS = 4, 12, 30
CLASSES_SHOWN = 10
COLUMNS_SHOWN = 60
_LINEAGE_LABELS = {
    "data, digest": "data, SHA-256",
    "data, fingerprint": "data, fingerprint of the source, which changes with it",
    "split, identity": "split, columns that identify a row",
    "split, identity from": "split, how these columns were chosen",
}


def number(value: float | None) -> float:
    return math.nan if value is None else value


def shown(metric: Metric, scores: Mapping[str, float]) -> str:
    return metric.format(number(scores.get(metric.name)))


def difference(metric: Metric, value: float) -> str:
    sign = "+" if value > 0 else "-"
    return f"{sign if value else ''}{metric.format_difference(abs(value))}"


def sections(facts: Facts) -> list[Section]:
    """Return the parts of the report, for `page` and `card`."""
    problem = _classification if facts.problem_type == "classification" else _regression
    parts = [_criteria(facts), scores(facts), *problem(facts), _importance_section(facts), *_slices(facts)]
    if facts.decision.alarms:
        parts.insert(0, Section("alarms", "Alarms", facts.decision.alarms))
    if facts.profile is not None:
        parts.append(_data(facts.profile, facts.drift, facts.version.lineage))
    if facts.recorded:
        parts += [_lineage(facts), _rollback(facts)]
    return parts


def _criteria(facts: Facts) -> Section:
    rows: list[list[str | Cell]] = [
        [
            criterion.label,
            Cell("passed", "good") if criterion.passed else Cell("failed", "bad"),
            Cell(criterion.detail[:1].upper() + criterion.detail[1:], "long"),
        ]
        for criterion in facts.decision.criteria
    ]
    return Section(
        "criteria",
        "Criteria",
        tables=[Table("The gate's criteria", ("criterion", "result", "details"), rows)],
        notes=[
            "The library's docs/promotion.md explains each criterion, the p-value and the bounds of the improvement.",
            *(
                f"{name} is on hold ({why}): a challenger must be better than {name} and the champion."
                for name, why in facts.held.items()
            ),
        ],
    )


def _better_by(metric: Metric, own: float, other: float) -> Cell:
    gain = metric.improvement(own, other)
    style = "good" if gain > 0 else "bad" if gain < 0 else ""
    return Cell(difference(metric, gain), f"number {style}".strip())


def scores(facts: Facts) -> Section:
    """Return the part of the report with every metric of each model."""
    recorded = facts.champion.metrics if facts.champion and facts.recorded else {}
    columns = {}
    if facts.recorded and facts.compared and not facts.rows.all():
        columns[f"challenger, all {len(facts.y):,} rows"] = facts.version.metrics
    columns |= {f"{name}, {len(facts.truth):,} rows": found for name, found in facts.scores.items()}
    if facts.baseline_scores:
        columns[facts.decision.baseline_name] = facts.baseline_scores
    gains = ["better by"] if facts.compared else []
    stored = ["champion, on its own holdout"] if recorded else []
    rows: list[list[str | Cell]] = []
    for name, value in facts.scores["challenger"].items():
        metric = facts.metrics[name]
        row: list[str | Cell] = [f"{metric.label} (decides the promotion)" if metric == facts.metric else metric.label]
        row += [shown(metric, found) for found in columns.values()]
        if gains:
            row.append(_better_by(metric, value, facts.scores["champion"].get(name, math.nan)))
        if stored:
            row.append(shown(metric, recorded) if name in recorded else "")
        rows.append(row)
    notes = []
    if gains:
        notes.append(
            'For scores, "better by" is the difference. For errors and losses, it is the difference in percent of the'
            " champion's value."
        )
    if stored:
        notes.append("The champion's own holdout may have other rows, so those scores are not compared.")
    header = ("metric", *map(Number, [*columns, *gains, *stored]))
    caption = (
        "Both models are scored on rows that are new to both"
        if gains
        else "On the holdout, which the model has not seen"
    )
    tables = [Table(caption, header, rows)]
    return Section("metrics", "Metrics", _serving_model_text(facts), tables, notes=notes)


def _serving_model_text(facts: Facts) -> list[str]:
    """Return which model serves, where it may be a refit."""
    refit = facts.version.lineage.get("refit")
    if not refit:
        return []
    if failed := refit.get("failed"):
        return [f"The refit on all rows failed ({failed}), so the evaluated model serves."]
    return [
        "The scores are of the evaluated model, which never saw the holdout. The model that serves is the same recipe,"
        f" refit on all {refit['rows']:,} labelled rows, so no rows are left to score it on. The next challenger is"
        " compared with the evaluated model."
    ]


def _classification(facts: Facts) -> Iterator[Section]:
    challenger = facts.coded["challenger"]
    yield Section("classes", "Errors by class", tables=[_confusion(challenger), *_class_table(challenger)])
    if challenger.probabilities is None:
        return
    binary = len(challenger.classes) == 2
    models = {name: coded for name, coded in facts.coded.items() if coded.probabilities is not None}
    both = "challenger and champion" if len(models) > 1 else "challenger"
    drawn = []
    if len(np.unique(challenger.y)) > 1:
        what = both if binary else "challenger, each class against the rest"
        area, precision = (facts.scores["challenger"][name] for name in ("roc_auc", "average_precision"))
        alts = (
            f"ROC curve of {what}; area {area:.3f}",
            f"Precision over recall of {what}; average precision {precision:.3f}",
            f"Observed share over predicted probability, of {both}; a calibrated model is on the diagonal",
        )
        drawn = _pictures.curves(models, facts.positive, alts)
    positive = str(challenger.classes[facts.positive])
    about = [f"On all {len(facts.truth):,} rows."]
    if not binary:
        about.append("Curves are the challenger's, each class against the rest. Calibration is of the predicted class.")
    yield Section(
        "probabilities",
        "Probabilities",
        [f"Curves and thresholds are for the class {positive!r}.", *_threshold_sentence(facts)] if binary else [],
        [_thresholds(facts)] if binary else [],
        drawn,
        about,
        notes=[] if binary else ["A threshold is only for two classes."],
    )


def _confusion(coded: Sample) -> Table:
    from sklearn.metrics import confusion_matrix

    other = len(coded.classes)  # what is no class at all, and classes beyond those with the most rows
    commonest = np.argsort(-np.bincount(coded.y, minlength=other), kind="stable")
    kept = np.append(np.sort(commonest[:CLASSES_SHOWN]), other)
    truth, labels = (np.where(np.isin(codes, kept), codes, other) for codes in (coded.y, coded.labels))
    counts = confusion_matrix(truth, labels, labels=kept)
    names = [*(str(coded.classes[position]) for position in kept[:-1]), "(other)"]
    if not counts[-1].any() and not counts[:, -1].any():
        names, counts = names[:-1], counts[:-1, :-1]
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    rows: list[list[str | Cell]] = [
        [name, *(Cell(f"{count:,} ({share:.0%})", heat=share) for count, share in zip(*line, strict=True))]
        for name, *line in zip(names, counts, shares, strict=True)
    ]
    columns = ("actual class", *(Number(f"predicted {name}") for name in names))
    caption = "Confusion matrix of the challenger: number of rows, and percent of the actual class"
    return Table(caption, columns, rows)


class ClassScores(NamedTuple):
    """The scores of one class, and its number of rows."""

    name: str
    precision: float
    recall: float
    f1: float
    rows: int


def by_class(coded: Sample) -> list[ClassScores]:
    """Return the scores of each class that has rows."""
    from sklearn.metrics import precision_recall_fscore_support

    present = np.flatnonzero(np.bincount(coded.y, minlength=len(coded.classes)))
    figures = precision_recall_fscore_support(coded.y, coded.labels, labels=present, zero_division=0)
    return [
        ClassScores(str(coded.classes[position]), float(precision), float(recall), float(f1), int(count))
        for position, precision, recall, f1, count in zip(present, *figures, strict=True)
    ]


def _class_table(coded: Sample) -> list[Table]:
    classes = by_class(coded)
    if len(classes) > 2 * CLASSES_SHOWN:
        return []
    rows = [[name, *(f"{value:.4f}" for value in values), f"{count:,}"] for name, *values, count in classes]
    columns = ("class", *map(Number, ("precision", "recall", "F1", "rows")))
    return [Table("By class", columns, rows)]


def _threshold_sentence(facts: Facts) -> list[str]:
    """Return the threshold of the challenger's own, as a sentence; none where the estimator decides itself."""
    threshold = facts.version.lineage.get("threshold")
    if not threshold:
        return []
    how = "set in the settings"
    if tuned := threshold.get("tuned_for"):
        how = f"tuned for {facts.metrics[tuned].label} by cross-validation on the training rows"
    at = f"at or above a probability of {threshold['value']:g}, {how}"
    return [f"The challenger predicts {str(threshold['positive'])!r} {at}."]


def _thresholds(facts: Facts) -> Table:
    """Return the scores at each tenth and at the threshold of the challenger, the metric that decides among them."""
    from sklearn.metrics import precision_recall_fscore_support

    coded, positive, metric = facts.coded["challenger"], facts.positive, facts.metric
    assert coded.probabilities is not None
    truth, sure = coded.y == positive, coded.probabilities[:, positive]
    own = (facts.version.lineage.get("threshold") or {}).get("value")
    rows = []
    for threshold in sorted({*(tenth / 10 for tenth in range(1, 10)), *([own] if own else [])}):
        chosen = sure >= threshold
        figures = precision_recall_fscore_support(truth, chosen, average="binary", zero_division=0)[:3]
        decides = metric.format(facts.score_with_labels(coded.classes[np.where(chosen, positive, 1 - positive)]))
        mark = " (this model)" if threshold == own else ""
        scores = [decides, *(f"{figure:.4f}" for figure in figures), f"{chosen.mean():.1%}"]
        rows.append([f"{threshold:g}{mark}", *scores])
    name = repr(str(coded.classes[positive]))
    figures = (f"{metric.label} (decides the promotion)", "precision", "recall", "F1", f"rows predicted {name}")
    return Table(f"Other thresholds for {name}", ("threshold", *map(Number, figures)), rows)


def _regression(facts: Facts) -> Iterator[Section]:
    truth = np.asarray(facts.truth, dtype=np.float64)
    values = {name: np.asarray(model.labels, dtype=np.float64) for name, model in facts.models.items()}
    if not all(np.isfinite(one).all() for one in values.values()):
        return
    about = []
    if len(truth) > _pictures.POINTS:
        about = [
            f"Points are a random sample of {_pictures.POINTS} of {len(truth):,} rows; all other figures use all rows."
        ]
    yield Section("errors", "Errors", (), [_by_quantile(truth, values)], _pictures.errors(truth, values), about)


def _by_quantile(truth: Array, values: Mapping[str, Array]) -> Table:
    own = values["challenger"]
    edges = np.unique(np.quantile(own, np.arange(1, 10) / 10))
    part = np.searchsorted(edges, own, side="left")
    rows = []
    for number in np.unique(part):
        chosen = part == number
        errors = [value[chosen] - truth[chosen] for value in values.values()]
        rows.append(
            [
                f"{own[chosen].min():.4g} to {own[chosen].max():.4g}",
                f"{chosen.sum():,}",
                f"{truth[chosen].mean():.4g}",
                f"{errors[0].mean():+.4g}",
                *(f"{np.abs(error).mean():.4g}" for error in errors),
            ]
        )
    figures = ("rows", "actual mean", "mean bias", *(f"mean absolute error, {name}" for name in values))
    caption = "Errors by decile of the challenger's prediction"
    return Table(caption, ("predicted", *map(Number, figures)), rows)


def _importance_section(facts: Facts) -> Section:
    name, title = "importance", "Feature importance"
    if facts.X.shape[1] > IMPORTANCE_COLUMNS:
        said = f"Left out: there are {facts.X.shape[1]:,} columns, and more than {IMPORTANCE_COLUMNS} take too long."
        return Section(name, title, [said])
    if not math.isfinite(number(facts.decision.challenger.get(facts.metric.name))):
        return Section(name, title, ["Left out, because the score is not a finite number."])
    metric, found = facts.metric, facts.importance
    largest = max((cost for _, cost, _ in found), default=0.0)
    rows: list[list[str | Cell]] = [
        [
            column,
            metric.format_difference(cost),
            f"± {metric.format_difference(spread)}",
            Cell("", bar=max(0.0, cost / largest) if largest > 0 else 0.0),
        ]
        for column, cost, spread in found[:IMPORTANCE_SHOWN]
    ]
    what = f"{metric.label}: the loss when a column is shuffled"
    sampled = min(IMPORTANCE_ROWS, len(facts.X))
    drawn = " drawn at random" if sampled < len(facts.X) else ""
    notes = [
        f"Permutation importance on {sampled:,} holdout rows{drawn}; each column was shuffled {IMPORTANCE_REPEATS}"
        " times. If two columns hold the same information, the importance is divided between them."
    ]
    if len(found) > IMPORTANCE_SHOWN:
        notes.append(f"{len(found) - IMPORTANCE_SHOWN} less important columns are left out.")
    columns = ("column", Number("worse by"), Number("standard deviation"), "of the largest")
    return Section(name, title, tables=[Table(what[:1].upper() + what[1:], columns, rows)], notes=notes)


def _slices(facts: Facts) -> list[Section]:
    names = facts.slices if facts.slices is not None else _low_cardinality_columns(facts.X)
    tables = [_slice(facts, name) for name in names if name in facts.X]
    tables = [table for table in tables if table.rows]
    note = (
        f"At most {SLICE_VALUES} values of a column are shown. Every value shown has {SLICE_ROWS} holdout rows or more."
        " In small slices, differences may be chance."
    )
    return [Section("slices", "Slices", tables=tables, notes=[note])] if tables else []


def _slice(facts: Facts, column: str) -> Table:
    metric, rows = facts.metric, []
    values = facts.X[column][facts.rows].reset_index(drop=True)
    counts: dict[Any, int] = values.value_counts(dropna=False).head(SLICE_VALUES).to_dict()
    for value, count in counts.items():
        missing = pd.isna(value)
        if count < SLICE_ROWS:
            break
        chosen = np.flatnonzero(values.isna() if missing else values == value)
        found = [facts.score(name, chosen, {metric.name: metric})[metric.name] for name in facts.models]
        row: list[str | Cell] = ["(missing)" if missing else str(value), f"{count:,}"]
        row += map(metric.format, found)
        rows.append([*row, _better_by(metric, *found)] if facts.compared else row)
    compared = ("champion", "better by") if facts.compared else ()
    header = ("value", *map(Number, ("rows", "challenger", *compared)))
    return Table(f"{metric.label} by {column}", header, rows)


def _low_cardinality_columns(X: pd.DataFrame) -> list[Any]:
    """Return the columns of text, categories or truth values that have few values."""
    head = X.head(10_000)
    texts = [name for name in X.columns if kind_of(head[name]) in ("text", "boolean")]
    return [name for name in texts if 2 <= head[name].nunique() <= SLICE_VALUES][:SLICE_COLUMNS]


def _data(profile: Mapping[str, Any], drift: Drift | None, lineage: Mapping[str, Any]) -> Section:
    changes = {column.name: column for column in drift.columns} if drift else {}
    order = [*changes, *(name for name in profile["columns"] if name not in changes)]
    rows: list[list[str | Cell]] = []
    for name in [name for name in order if name in profile["columns"]][:COLUMNS_SHOWN]:
        learned = profile["columns"][name]
        row: list[str | Cell] = [
            name,
            learned["kind"],
            f"{learned['nulls'] / max(1, profile['rows']):.1%}",
            Cell(_typical_values(learned, profile["rows"]), "long"),
        ]
        if drift:
            change = changes.get(name)
            if change is None:
                row += ["", Cell("new" if name in drift.added else "", "wait")]
            else:
                index = "" if change.psi is None else f"{change.psi:.3f}"
                row += [index, Cell(", ".join(change.reasons), "bad") if change.drifted else ""]
        rows.append(row)
    columns = ("column", "kind", Number("missing"), "values", *((Number("PSI"), "drift") if drift else ()))
    texts, notes = [], []
    if drift:
        before, now = (f"{count:,}" for count in drift.rows)
        texts = [f"Compared with the champion's {before} training rows: {drift.reason}"]
        if drift.drifted is not None and not drift.gone and not any(column.drifted for column in drift.columns):
            texts = [f"No column drifted between the champion's {before} training rows and these {now}."]
        notes = [
            "PSI is the population stability index: below 0.1 a small change, above 0.25 a large one. The part that"
            " chance would produce is already subtracted."
        ]
        if drift.gone:
            notes.append(f"Removed columns: {', '.join(drift.gone)}.")
    notes += map(str, lineage.get("reading_notes", ()))
    for name, count in lineage.get("split", {}).get("classes_left_out", {}).items():
        notes.append(f"Class {name!r} has too few rows to train and to score; its {count} rows are left out.")
    if len(profile["columns"]) > COLUMNS_SHOWN:
        notes.append(f"{len(profile['columns']) - COLUMNS_SHOWN} more columns are left out here.")
    tables = [Table(f"Columns of the {profile['rows']:,} training rows", columns, rows)]
    if profile["left_out"]:
        left_out = [[name, Cell(reason, "long")] for name, reason in profile["left_out"].items()]
        tables.append(Table("Columns the model does not use", ("column", "why"), left_out))
    return Section("data", "Data", texts, tables, notes=notes)


def _typical_values(learned: Mapping[str, Any], rows: int) -> str:
    if "minimum" in learned:
        return (
            f"{learned['minimum']:.4g} to {learned['maximum']:.4g}, median {learned['median']:.4g},"
            f" mean {learned['mean']:.4g} ± {learned['standard_deviation']:.3g}"
        )
    if "range" in learned:
        return " to ".join(moment.removesuffix("T00:00:00") for moment in learned["range"])
    if "counts" not in learned:
        return "none"
    counts = list(learned["counts"].items())[:3]
    if learned["distinct"] > len(counts) and all(count < rows / 100 for _, count in counts):
        examples = f", such as {', '.join(value for value, _ in counts)}" if counts else ""
        return f"{learned['distinct']:,} values{examples}"
    commonest = [f"{value} {count / max(1, rows):.0%}" for value, count in counts]
    more = learned["distinct"] - len(commonest)
    return ", ".join(commonest) + (f", {more:,} more" if more else "")


def _lineage(facts: Facts) -> Section:
    version = facts.version
    known = {
        "version": version.id,
        "trained": moment(version.created_at),
        "run": facts.run,
        "run's page": facts.run_url,
        "previous champion": facts.champion.id if facts.champion else "",
    } | dict(_flatten({name: value for name, value in version.lineage.items() if name != "reading_notes"}))
    rows: list[list[str | Cell]] = [[name, Cell(value, "long")] for name, value in known.items() if value]
    table = Table("Where this model comes from", ("what", "value"), rows)
    return Section("lineage", "Lineage", tables=[table])


def _flatten(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        label = f"{prefix}{str(name).replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{label}, ")
        elif value is not None:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            yield _LINEAGE_LABELS.get(label, label), text if len(text) <= 200 else f"{text[:200]}…"


def _rollback(facts: Facts) -> Section:
    champion, code = facts.champion, shell_command(facts.project, "registry", "rollback").strip("`")
    if facts.decision.verdict == "promoted" and champion:
        text = f"This puts {champion.id} back into production immediately:"
        code += f" --to {champion.id}"
    elif facts.decision.verdict == "promoted":
        text, code = "This is the first model in production, so there is no version to roll back to.", ""
    elif champion:
        text = f"{champion.id} stays in production. This puts the champion before it back, if there is one:"
    else:
        text, code = "No model is in production, so there is nothing to roll back.", ""
    return Section("rollback", "How to roll back", [text], code=code)
