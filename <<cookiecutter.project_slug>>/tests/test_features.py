"""Yours to extend: what features.py promises, on rows of your table.

To test a feature of your own, build the few rows it is about, and compare what `features()` makes of them:

    def test_a_trip_at_night_is_marked() -> None:
        rows = pd.DataFrame({"pickup": pd.to_datetime(["2026-01-01 23:30", "2026-01-01 12:00"])})
        assert features.features(rows)["night"].tolist() == [True, False]
"""

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from << cookiecutter.package_name >> import features
from << cookiecutter.package_name >>.retrainer import data


@pytest.fixture
def rows(team_table: data.Table) -> pd.DataFrame:
    """Return the rows as `features()` gets them, without the target."""
    return team_table.rows[list(team_table.contract.inputs)]


def test_label_gives_the_target(team_table: data.Table) -> None:
    assert team_table.rows[team_table.contract.target].notna().all()


def test_each_row_and_its_index_is_kept(rows: pd.DataFrame) -> None:
    shuffled = rows.sample(frac=1, random_state=0)

    X = features.features(shuffled.copy())

    assert X.index.equals(shuffled.index)
    assert len(X.columns)


def test_a_row_by_itself_gives_the_same_as_among_others(rows: pd.DataFrame) -> None:
    together = features.features(rows.copy())

    for row in range(0, len(rows), max(1, len(rows) // 20)):
        alone = features.features(rows.iloc[[row]].copy())
        assert_frame_equal(alone, together.iloc[[row]], check_dtype=False)


def test_the_target_is_neither_needed_nor_made(rows: pd.DataFrame, team_table: data.Table) -> None:
    assert team_table.contract.target not in features.features(rows.copy()).columns
