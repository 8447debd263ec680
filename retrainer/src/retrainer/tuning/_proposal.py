"""What was found, proposed: params.toml of the team, as a difference that a person can review, and a page."""

import dataclasses
import difflib
import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from ..errors import RegistryError
from ..files import replacing
from ..gate import known_metric
from ..project import Project
from ..registry import show_study
from ..reporting import tuning_page
from ..training import tuned
from ._study import Found

logger = logging.getLogger(__name__)

_HEADER = (
    "# Parameters that `tune` found. `retrain` uses them in place of those in models.py; the gate still decides.\n"
    "# Review and commit them. Without its table here, an estimator has the parameters of models.py.\n"
)


def propose(found: Found, *, project: Project, dry_run: bool = False) -> dict[str, Any]:
    """Write the best parameters to params.toml if they are better than the current ones, and draw the page.

    Args:
        found: The result of the search.
        project: The project.
        dry_run: Whether to leave params.toml unchanged.

    Returns:
        The facts of the search, with `reason` (a sentence), the `diff` of params.toml, and the path of the `page`.
    """
    file = project.params_file
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    after = before
    if found.parameters:
        entries = tuned(project)
        others = entries.get(found.estimator, {}).get("parameters", {})  # set by hand, and in use in each trial
        entry = {
            "study": found.study,
            "metric": found.metric,
            "score": found.score,
            "score_before": found.today,
            "parameters": {**others, **found.parameters},
        }
        after = _format_toml(entries | {found.estimator: entry})
    diff = "".join(
        difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            f"a/{file.name}",
            f"b/{file.name}",
        )
    )
    if diff and not dry_run:
        with replacing(file) as path:
            path.write_text(after, encoding="utf-8")
    reason = _describe_result(found, project)
    facts = dataclasses.asdict(found) | {
        "reason": reason,
        "diff": diff,
        "page": _write_page(found, reason, project),
    }
    try:
        show_study(facts, settings=project.settings)
    except RegistryError as error:
        logger.warning("MLflow does not show the search: %s", error)
    return facts | {"written": str(file) if diff and not dry_run else None}


def _write_page(found: Found, reason: str, project: Project) -> str | None:
    """Write the page about a search and return where it is; None where it cannot be drawn."""
    page = project.settings.resolve("data") / "tuning" / f"{found.study}.html"
    try:
        text = tuning_page(
            project=project.settings.project,
            headline=f"Parameters of {found.estimator}",
            reason=reason,
            metric=known_metric(found.metric, own_metrics=project.metrics()),
            trials=found.trials,
            importance=found.importance,
        )
    except Exception as error:
        logger.warning("The page is missing, because drawing it failed (%s: %s)", type(error).__name__, error)
        return None
    with replacing(page) as path:
        path.write_text(text, encoding="utf-8")
    return str(page)


def _describe_result(found: Found, project: Project) -> str:
    metric = known_metric(found.metric, own_metrics=project.metrics())
    states = [trial["state"] for trial in found.trials]
    counts = [f"{states.count(state)} {state}" for state in ("pruned", "failed") if state in states]
    trials = f"{len(states)} trials" + (f", {', '.join(counts)}" if counts else "")
    today = metric.format(found.today)
    if not found.parameters:
        return (
            f"{found.estimator}: nothing is better than today's parameters beyond the noise of the folds,"
            f" {metric.label} {today} ({trials})."
        )
    return (
        f"{found.estimator}: {metric.label} {metric.format(found.score)} in cross-validation, {today} with today's"
        f" parameters ({trials}). The gate decides whether a model with them is promoted."
    )


def _format_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Return params.toml with these tables; JSON writes numbers, texts and booleans as TOML does."""
    lines = [_HEADER]
    for name, table in tables.items():
        key = _format_key(name)
        lines.append(f"[{key}]")
        lines += [
            f"{_format_key(field)} = {json.dumps(value)}" for field, value in table.items() if field != "parameters"
        ]
        lines.append(f"\n[{key}.parameters]")
        lines += [f"{_format_key(field)} = {json.dumps(value)}" for field, value in table.get("parameters", {}).items()]
        lines.append("")
    return "\n".join(lines)


def _format_key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else json.dumps(name)
