"""A champion in production while scikit-learn moves, up and down again: two environments, one registry."""

from pathlib import Path

import pytest

from .conftest import Bake, Once, Runner, run

pytestmark = pytest.mark.long

OTHER = "scikit-learn==1.8.0"


@pytest.fixture
def other_packages(environment: Path, once: Once) -> Path:
    """Install another scikit-learn beside the environment; on `PYTHONPATH` it is the one that is used."""

    def install(folder: Path) -> None:
        target = ("--target", folder, "--python", environment / "python", "--no-deps")
        run("uv", "pip", "install", "--quiet", *target, OTHER, cwd=folder)

    return once("other-scikit-learn", install)


def test_a_champion_saved_with_another_scikit_learn_is_tried_before_it_is_used(
    own_copy: Bake, runner: Runner, other_packages: Path
) -> None:
    project = own_copy(estimator="hist_gradient_boosting")
    older = {"PYTHONPATH": f"{other_packages}:{project.path / 'src'}"}
    command = ("-m", project.package)

    runner.python(project, *command, "retrain", variables=older)
    before = runner.command(project, "registry", "show", "--json")
    assert before["lineage"]["packages"]["scikit-learn"] == "1.8.0"

    # scikit-learn 1.9 moved a module that boosting of 1.8 is pickled with: it cannot be loaded.
    kept = runner.command(project, "retrain", "--json")
    assert kept["verdict"] == "kept"
    assert kept["champion"] == before["id"]
    assert "not comparable with the champion (it was saved with scikit-learn 1.8.0 (here 1.9" in kept["reason"]
    assert "retrain --accept-not-comparable`" in kept["to_do"]
    refused = runner.command(project, "score", code=1)
    assert f"{before['id']} cannot be used here: it was saved with scikit-learn 1.8.0" in refused
    after = runner.command(project, "retrain", "--accept-not-comparable", "--json")
    assert after["verdict"] == "promoted"

    # The way back: 1.8 loads the pickle of 1.9, and it predicts its example rows as it did.
    scored = runner.python(project, *command, "score", variables=older)
    assert f"569 rows of sample scored by {after['version']}" in scored.stdout
