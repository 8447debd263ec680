"""What to do about a decision follows from the verdict, its kind, the alarms and what is in production."""

from typing import Any

import pytest

from retrainer.pipeline import to_do

FACTS: dict[str, Any] = {
    "version": "v7",
    "verdict": "staging",
    "reason": "In staging, not promoted: accuracy is equal to that of v6, which is on hold.",
    "alarms": [],
    "champion": "v1",
    "champion_before": "v1",
    "held": {"v3": "slow", "v6": "a leak"},
}
EXPLAIN = "`churn registry explain v7` has the numbers."
PROMOTE = 'To put v7 into production: `churn registry promote v7 --reason "..."`.'
WAIT = "do not promote v7 before that."
BACK = 'To return to v1: `churn registry rollback --reason "..."`.'


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("tie", {"verdict": "kept"}, "nothing."),
        ("tie", {"verdict": "kept", "alarms": ["A leak."]}, "check the alarms."),
        ("first", {"verdict": "promoted", "champion_before": None}, "nothing."),
        ("first", {"verdict": "promoted", "champion_before": None, "alarms": ["A leak."]}, "check the alarms."),
        ("improvement", {"verdict": "promoted"}, f"nothing. {BACK}"),
        ("improvement", {"verdict": "promoted", "alarms": ["A leak."]}, f"check the alarms. {BACK}"),
        ("below_floor", {"verdict": "rejected"}, f"check the data. {EXPLAIN}"),
        (
            "not_comparable",
            {"verdict": "kept"},
            "correct the table or its query. If the change is meant: `churn retrain --accept-not-comparable`.",
        ),
        ("approval", {}, f"not urgent, v1 stays in production. {EXPLAIN} {PROMOTE}"),
        ("approval", {"champion": None}, f"not urgent, no model is in production yet. {EXPLAIN} {PROMOTE}"),
        (
            "held",
            {},
            f"not urgent, v1 stays in production. {EXPLAIN} {PROMOTE} To end the hold: "
            '`churn registry release v6 --reason "..."`.',
        ),
        (
            "alarm",
            {"alarms": ["A leak."]},
            f"find the cause of the alarm, and do not promote v7 before that. {EXPLAIN} {PROMOTE}",
        ),
        (
            "alarm",
            {"alarms": ["A.", "B."]},
            f"find the cause of the alarms, and do not promote v7 before that. {EXPLAIN} {PROMOTE}",
        ),
        (
            "baseline",
            {"alarms": ["A leak."]},
            f"do not promote v7, it is not better than a prediction without a model. Check the data. {EXPLAIN}",
        ),
    ],
)
def test_what_to_do_follows_from_the_decision(kind: str, changes: dict[str, Any], expected: str) -> None:
    assert to_do(FACTS | {"kind": kind} | changes, project="churn") == expected
