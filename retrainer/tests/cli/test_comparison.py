"""Two versions on today's holdout: on rows that are new to both, or the reason why not."""

import pytest
from churn.flows import retrain

from retrainer import Project
from retrainer.cli._comparison import compare_versions
from retrainer.errors import RegistryError
from retrainer.settings import Settings

from ..conftest import make_table, now, use

pytestmark = pytest.mark.usefixtures("prefect_api")


def changed(monkeypatch: pytest.MonkeyPatch, **values: str) -> Project:
    """Return the project with some settings changed, which are those of the next retrain too."""
    use(monkeypatch, **values)
    return now()


def test_only_rows_new_to_both_are_compared(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    make_table(settings.problem_type, rows=1500).to_csv(settings.root / "table.csv", index=False)
    first = retrain()["version"]
    again = changed(monkeypatch, SPLIT__SEED="2")
    second = retrain()["version"]

    facts = compare_versions(first, second, project=again)

    compared = facts.decision.compared_rows
    assert compared == facts.rows.sum() == len(facts.truth)
    assert 30 < compared < 0.3 * facts.decision.holdout_rows  # a fifth of them was held out from the first too


def test_versions_to_which_no_row_is_new_are_not_compared(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    make_table(settings.problem_type, seed=5).to_csv(settings.root / "other.csv", index=False)
    changed(monkeypatch, SPLIT__METHOD="source", SPLIT__SOURCE="other.csv")
    first, second = retrain()["version"], retrain()["version"]
    swapped = changed(monkeypatch, DATA__SOURCE="other.csv", SPLIT__SOURCE="table.csv")

    with pytest.raises(RegistryError, match="none of the 600 holdout rows of today is new to both") as error:
        compare_versions(second, first, project=swapped)

    assert f"{first} was trained on 600 of them" in str(error.value)


def test_a_version_is_not_compared_with_itself(settings: Settings) -> None:
    version = retrain()["version"]

    with pytest.raises(RegistryError, match=f"champion and {version} are the same version"):
        compare_versions("champion", version, project=now())
