"""The report and the model card say what is so, and nothing in a table can break out of them."""

import html as markup
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance as reference
from sklearn.linear_model import LinearRegression
from sklearn.metrics import (
    confusion_matrix,
    f1_score,
    mean_squared_error,
    precision_score,
    recall_score,
)
from sklearn.pipeline import make_pipeline

from retrainer.gate import METRICS, Champion, Question, Rival, apply_baseline_and_holds, decide, get_metric
from retrainer.gate._predictions import predict
from retrainer.monitoring import _drift
from retrainer.project import OwnMetric
from retrainer.registry._records import Record, Version
from retrainer.reporting import Facts, escaped, sections
from retrainer.reporting._document import Section
from retrainer.reporting._facts import IMPORTANCE_REPEATS, IMPORTANCE_ROWS
from retrainer.reporting._history import history
from retrainer.reporting._report import card, page
from retrainer.settings import GateSettings, SplitSettings
from retrainer.training import baseline

HOSTILE = '<script>alert(1)</script> | `x` & "y" &lt;'


def version(name: str, metrics: dict[str, float], metric: str = "f1_score") -> Version:
    lineage = {"rows": {"training": 400}, "data": {"digest": "d1", "source": "table.csv"}, "seed": 3}
    return Version(name, "2026-11-20T06:00:00+00:00", metric, metrics, lineage, {}, "0")


def record(number: int, verdict: str, about: int, champion: int) -> Record:
    time = f"2026-11-{number + 10}T06:00:00+00:00"
    return Record(
        number + 1,
        time,
        f"v{about}",
        {"verdict": verdict, "reason": f"Because of {number} & <b>."},
        champion_before=None,
        champion=f"v{champion}",
        staging=None,
        promoted_by=number + 1,
        promoted_at=time,
        pruned=[],
        flow_run_id=None,
        pins={},
        previous=None,
        sha256="0",
    )


def classified(
    *, classes: int = 2, champion: str | None = "worse", gate: dict[str, Any] | None = None, **more: Any
) -> Facts:
    """Facts of a classification in which only the column `signal` tells anything."""
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(800, 3)), columns=["signal", HOSTILE, "noise"])
    bins = np.quantile(X["signal"], np.linspace(0, 1, classes + 1)[1:-1])
    y = np.array(["no", "yes", "maybe", "never"])[np.digitize(X["signal"] + random.normal(0, 0.2, 800), bins)]
    good = make_pipeline(HistGradientBoostingClassifier(max_iter=20, random_state=0)).fit(X[:400], y[:400])
    bad = make_pipeline(HistGradientBoostingClassifier(max_iter=1, random_state=0)).fit(X[:400], y[:400])
    held, truth = X[400:], y[400:]
    challenger = predict(good, held, problem_type="classification")
    other = predict(bad, held, problem_type="classification") if champion else None
    decision = decide(
        Question(
            truth,
            metric=METRICS["f1_score"],
            gate=GateSettings.model_validate({"metric": "f1_score", **(gate or {})}),
        ),
        challenger,
        other and Champion(other, comparable=more.get("comparable")),
    )
    return Facts(
        "churn",
        "classification",
        decision,
        version("20261120-060000-aaaaaa", decision.challenger),
        good,
        held,
        truth,
        challenger,
        metrics={name: METRICS[name] for name in ("f1_score", "accuracy", "roc_auc", "average_precision", "log_loss")},
        champion=version("20261113-060000-bbbbbb", {"f1_score": 0.5}) if champion else None,
        champion_predictions=other,
        profile=_drift.learn_profile(X[:400], left_out={"customer": "one value a row"}),
        **more,
    )


def regressed() -> Facts:
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(600, 2)), columns=["size", "noise"])
    y = 10 * X["size"] + random.normal(size=600)
    good, bad = LinearRegression().fit(X, y), LinearRegression().fit(X[["noise"]], y)
    challenger = predict(good, X, problem_type="regression")
    champion = predict(bad, X[["noise"]], problem_type="regression")
    decision = decide(Question(y, metric=METRICS["rmse"], gate=GateSettings()), challenger, Champion(champion))
    return Facts(
        "taxi",
        "regression",
        decision,
        version("20261120-060000-aaaaaa", decision.challenger, "rmse"),
        good,
        X,
        y,
        challenger,
        metrics={name: METRICS[name] for name in ("rmse", "mae", "r2")},
        champion=version("20261113-060000-bbbbbb", {"rmse": 11.0}, "rmse"),
        champion_predictions=champion,
    )


CASES: dict[str, tuple[Callable[[], Facts], str]] = {
    "first promotion": (lambda: classified(champion=None), "Promoted to production"),
    "pair": (classified, "Promoted to production"),
    "kept": (lambda: classified(gate={"min_improvement": 0.9}), "Not promoted, the champion stays"),
    "staging": (lambda: classified(gate={"floor": 0.999, "staging_floor": 0.1}), "In staging, not promoted"),
    "rejected": (lambda: classified(gate={"floor": 0.999, "staging_floor": 0.998}), "Rejected"),
    "not comparable": (lambda: classified(comparable=np.zeros(400, dtype=bool)), "Not promoted, the champion stays"),
    "several classes": (lambda: classified(classes=4), "Not promoted, the champion stays"),
    "regression": (regressed, "Promoted to production"),
}


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest) -> tuple[Facts, str]:
    make, headline = request.param
    return make(), headline


BAR = '<th scope="col" class="">of the largest</th>'


def text_of(html: str) -> str:
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)
    return " ".join(markup.unescape(text).split())


def rows_of_page(html: str) -> list[list[str]]:
    """Return every row of every table, as a reader sees it, without the cells that hold a bar."""
    rows = [
        re.findall(r"<t[hd][^>]*>(?!<span)(.*?)</t[hd]>", row, flags=re.DOTALL)
        for row in re.findall(r"<tr>(.*?)</tr>", html.replace(BAR, ""), flags=re.DOTALL)
    ]
    return [[" ".join(markup.unescape(cell).split()) for cell in row] for row in rows]


def rows_of_card(markdown: str) -> list[list[str]]:
    lines = [line for line in markdown.splitlines() if line[:2] == "| "]
    rows = [re.findall(r" ((?:\\.|[^|\\])*?) (?=\|)", line) for line in lines]
    return [
        [markup.unescape(re.sub(r"\\(.)", r"\1", cell)) for cell in row]
        for row in rows
        if not set("".join(row)) <= set("-:")
    ]


def test_page_and_card_open_with_the_decision(case: tuple[Facts, str]) -> None:
    facts, headline = case
    html, markdown = page(facts, sections(facts)), card(facts, sections(facts))

    said = facts.decision.reason.partition(": ")[2][1:]
    shown = text_of(html).replace(" .", ".")
    for text, reason in ((shown, said.replace("`", "")), (markdown.replace("\\", ""), said)):
        assert headline in text
        assert reason in text
        assert facts.version.id in text
        assert all(criterion.detail[1:] in text for criterion in facts.decision.criteria)
        assert "roll back" in text
        assert (f"{facts.project} registry rollback" in text) == (facts.champion is not None)
    assert html == page(facts, sections(facts))
    assert markdown == card(facts, sections(facts))
    assert rows_of_page(html) == rows_of_card(markdown)
    assert ["seed", "3"] in rows_of_card(markdown)
    undo = 'registry rollback --reason "..." --to 20261113-060000-bbbbbb'
    assert (undo in markdown) == (facts.decision.promoted and facts.champion is not None)


def test_the_page_refers_to_nothing_outside(case: tuple[Facts, str]) -> None:
    html = page(case[0], sections(case[0]))

    assert re.findall(r'<script|<link (?!rel="icon" href="data:)|@import|url\((?!#)', html) == []
    assert set(re.findall(r'(?:src|href)="(?!#|data:)([^"]*)', html)) == set()


def test_the_figures_are_those_of_scikit_learn() -> None:
    facts = classified()
    markdown = card(facts, sections(facts))

    truth, labels = facts.y, facts.predictions.labels
    (a, b), (c, d) = confusion_matrix(truth, labels)
    assert [f"{value:,} (" in markdown for value in (a, b, c, d)] == [True] * 4
    assert f"| no | {a:,} ({a / (a + b):.0%}) | {b:,} ({b / (a + b):.0%}) |" in markdown
    other = facts.champion_predictions
    assert other is not None
    scores = [f"{f1_score(truth, one, average='weighted'):.4f}" for one in (labels, other.labels)]
    assert f"| weighted F1 (decides the promotion) | {scores[0]} | {scores[1]} |" in markdown
    assert "| 0.5000 |" in markdown  # as recorded
    assert "| nan |" not in markdown  # of what was not
    assert facts.predictions.probabilities is not None
    chosen = facts.predictions.probabilities[:, 1] >= 0.7
    by_class = [truth == "yes", labels == "yes"]
    decides = f1_score(truth, np.where(chosen, "yes", "no"), average="weighted")
    for what, (actual, said), more in (
        (["yes"], by_class, [f"{c + d}"]),
        (["0.7", f"{decides:.4f}"], [truth == "yes", chosen], [f"{chosen.mean():.1%}"]),
    ):
        figures = [one(actual, said) for one in (precision_score, recall_score, f1_score)]
        assert [*what, *(f"{figure:.4f}" for figure in figures), *more] in rows_of_card(markdown)
    assert ["customer", "one value a row"] in rows_of_card(markdown)


def test_the_errors_are_those_of_scikit_learn() -> None:
    facts = regressed()
    other = facts.champion_predictions
    assert other is not None
    values = [mean_squared_error(facts.y, one.labels) ** 0.5 for one in (facts.predictions, other)]

    assert f"| RMSE (decides the promotion) | {values[0]:.4g} | {values[1]:.4g} |" in card(facts, sections(facts))


@pytest.mark.parametrize("signal", [True, False])
def test_the_first_screen_shows_whether_a_model_is_better_than_none_and_the_decision_follows(
    signal: bool,
) -> None:
    random = np.random.default_rng(0)
    y = np.where(random.random(1000) < 0.2, "yes", "no")
    X = pd.DataFrame({"x": random.normal(size=1000) + 3 * signal * (y == "yes")})
    table = X.assign(target=y)
    model = make_pipeline(HistGradientBoostingClassifier(max_iter=20, random_state=0)).fit(X[:500], y[:500])
    challenger, truth = predict(model, X[500:], problem_type="classification"), y[500:]
    metrics = {name: METRICS[name] for name in ("f1_score", "roc_auc", "average_precision")}
    options: dict[str, Any] = {"metric": METRICS["f1_score"], "gate": GateSettings()}
    simple = baseline(table[:500], table[500:], target="target", metric=options["metric"], split=SplitSettings())
    decision = apply_baseline_and_holds(
        decide(Question(truth, **options), challenger, None),
        Question(truth, **options),
        challenger,
        baseline=Rival(simple.name, Champion(simple.predictions)),
    )
    facts = Facts(
        "churn",
        "classification",
        decision,
        version("v1", decision.challenger),
        model,
        X[500:],
        truth,
        challenger,
        metrics,
        baseline=simple.predictions,
    )
    html, markdown = page(facts, sections(facts)), card(facts, sections(facts))

    f1 = f1_score(truth, simple.predictions.labels, average="weighted")
    own = f1_score(truth, challenger.labels, average=None)
    without = f1_score(truth, simple.predictions.labels, average=None)
    assert decision.promoted is signal
    for first in (text_of(html.partition('id="criteria"')[0]), markdown.partition("## Criteria")[0]):
        words = first.replace("\\", "")
        assert ("Promoted to production" if signal else "In staging, not promoted") in words
        assert f"{simple.name} ({f1:.4f})" in words.lower()
        assert ("not better than" in words.lower()) is not signal
        for position, name in enumerate(("no", "yes")):
            assert f"{own[position]:.4f}" in words
            assert f"F1 of '{name}' ({(truth == name).sum():,} rows)" in words
            assert f"baseline {without[position]:.4f}" in words


@pytest.mark.parametrize(("positive", "shown"), [(None, "yes"), ("yes", "yes"), ("no", "no")])
def test_curves_and_thresholds_are_of_the_positive_class(positive: str | None, shown: str) -> None:
    facts = classified()
    facts = replace(facts, decision=replace(facts.decision, positive=positive))
    (part,) = [one for one in sections(facts) if one.name == "probabilities"]
    truth, classes = facts.truth == shown, list(facts.predictions.classes)
    sure = facts.predictions.probabilities[:, classes.index(shown)]

    assert part.texts == [f"Curves and thresholds are for the class '{shown}'."]
    assert part.tables[0].caption == f"Other thresholds for '{shown}'"
    row = next(row for row in part.tables[0].rows if row[0] == "0.3")
    assert row[2:4] == [
        f"{precision_score(truth, sure >= 0.3):.4f}",
        f"{recall_score(truth, sure >= 0.3):.4f}",
    ]


def test_the_threshold_of_the_model_is_among_those_shown_with_the_metric_that_decides() -> None:
    facts = classified()
    lineage = facts.version.lineage | {"threshold": {"positive": "yes", "value": 0.25}}
    facts = replace(facts, version=replace(facts.version, lineage=lineage))
    (table,) = next(one for one in sections(facts) if one.name == "probabilities").tables

    (row,) = [row for row in table.rows if row[0] == "0.25 (this model)"]

    assert table.rows.index(row) == 2  # between 0.2 and 0.3
    labels = np.where(
        facts.predictions.probabilities[:, list(facts.predictions.classes).index("yes")] >= 0.25, "yes", "no"
    )
    assert row[1] == f"{f1_score(facts.truth, labels, average='weighted'):.4f}"


def test_only_rows_new_to_both_are_shown_of_both() -> None:
    comparable = np.arange(400) < 250
    facts = classified(comparable=comparable)

    assert "challenger, 250 rows" in card(facts, sections(facts))
    assert "challenger, all 400 rows" in card(facts, sections(facts))
    assert int(facts.rows.sum()) == 250


def test_a_name_of_the_table_is_text_and_breaks_no_table() -> None:
    facts = classified()
    html, markdown = page(facts, sections(facts)), card(facts, sections(facts))

    assert "<script" not in html
    assert HOSTILE in text_of(html)
    assert "<script" not in markdown
    named = [row for row in rows_of_card(markdown) if row[0] == HOSTILE]
    assert len(named) == 2  # feature importance, data
    assert [row for row in rows_of_page(html) if row[0] == HOSTILE] == named


MARKUP = [
    "# no heading",
    "- no item",
    "1. no item",
    "---",
    "> no quote",
    "`c`",
    "*b* _i_ ~s~ [a](b) $m$",
    "<b>",
    "&amp;",
    "a|b",
]


@pytest.mark.parametrize("text", MARKUP)
def test_no_text_is_markup_in_markdown(text: str) -> None:
    html = MarkdownIt("js-default").render(escaped(text))

    assert html == f"<p>{markup.escape(text, quote=False)}</p>\n"


def test_no_text_of_the_card_ends_its_heading_or_its_code() -> None:
    facts = replace(classified(), project="a\n# b *c*")
    parts = [Section("s", "t *t*", code="x\n```\n# y")]
    html = MarkdownIt().render(card(facts, parts))

    assert f"a # b *c* {facts.version.id}</h1>" in html
    assert "<h2>t *t*</h2>" in html
    assert "<code>x\n```\n# y\n</code>" in html


def test_importance_names_the_column_that_tells_and_costs_the_same_however_many_rows() -> None:
    facts = regressed()
    seen: list[int] = []

    class Counting(LinearRegression):
        def predict(self, X: Any) -> Any:
            seen.append(len(X))
            return super().predict(X)

    many = facts.X.iloc[np.tile(np.arange(600), 100)].reset_index(drop=True)
    counting = Counting().fit(facts.X, facts.y)
    big = replace(facts, X=many, y=np.tile(facts.y, 100), pipeline=counting)
    expected = reference(
        facts.pipeline, facts.X, facts.y, scoring="neg_root_mean_squared_error", n_repeats=20, random_state=0
    )

    (first, cost, _), (second, nothing, _) = big.importance
    assert (first, second) == ("size", "noise")
    assert cost == pytest.approx(expected.importances_mean[0] / facts.scores["challenger"]["rmse"], rel=0.1)
    assert abs(nothing) < 0.05
    assert sum(seen) == IMPORTANCE_ROWS * (1 + 2 * IMPORTANCE_REPEATS)


def test_importance_leaves_out_what_the_model_does_not_use_and_reads_the_rows_of_the_source() -> None:
    facts = regressed()
    options = {"columns": ("price",), "greater_is_better": False}
    cost = OwnMetric(lambda y, predictions, rows: abs(y - predictions.labels) * rows["price"], **options)
    metric = get_metric("cost", problem_type="regression", own_metrics={"cost": cost})
    facts = replace(
        facts,
        metrics={"cost": metric},
        decision=replace(facts.decision, metric="cost"),
        holdout=pd.DataFrame({"price": np.arange(600.0)}),
        profile={"left_out": {"noise": "one value"}},
    )

    ((name, worse, _),) = facts.importance
    assert name == "size"
    assert worse > 5


def test_the_history_tells_of_every_decision() -> None:
    versions = [version(f"v{number}", {"f1_score": 0.8 + number / 100}) for number in range(3)]
    told = [("promoted", 0, 0), ("promoted", 1, 1), ("kept", 2, 1), ("rolled_back", 0, 0)]
    decisions = [record(number, *one) for number, one in enumerate(told)]
    html = history(versions, decisions, project="churn")

    text = text_of(html)
    assert "v0 is in production since " in text
    assert all(f"Because of {number} & <b>." in text for number in range(4))
    assert "rolled back" in text
    assert html.count("<svg") == 2
    assert all(f">{label}</text>" in html for label in ("in production", "kept", "rolled back"))
    assert html.count(">rolled back</text>") == 1
