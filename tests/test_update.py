"""Projects from the template's history, edited by their teams, a model in production, updated to this template."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import AUTHOR, TEMPLATE, Bake, Project, Runner, commit_all, create, git, run

pytestmark = pytest.mark.long

# Earlier states of the template, each as one commit without locks and tests: a clone may be shallow.
# Made with `git bundle create NAME.bundle main`.
RELEASES = TEMPLATE / "tests" / "releases"

RATIO = """def ratio(frame: pd.DataFrame) -> pd.Series:
    \"\"\"Return an edit of the team.\"\"\"
    numbers = frame.select_dtypes("number")
    return numbers.iloc[:, 0] / (numbers.iloc[:, 1].abs() + 1)


"""
FOREST = '''def extra_trees(problem_type: ProblemType, seed: int) -> Pipeline:
    """Return the team's own forest."""
    kind = ExtraTreesClassifier if problem_type == "classification" else ExtraTreesRegressor
    return Pipeline(
        [
            ("clean", TableCleaner()),
            ("encode", TreeEncoder(problem_type=problem_type, random_state=seed)),
            ("impute", SimpleImputer(keep_empty_features=True)),
            ("model", kind(n_estimators=50, random_state=seed)),
        ]
    )


'''
FIRST_FOREST = '''def extra_trees(*, classification: bool, seed: int) -> list[Any]:
    """Return the team's own forest."""
    forest = ExtraTreesClassifier if classification else ExtraTreesRegressor
    return [*_numbers(seed), forest(n_estimators=50, random_state=seed)]


'''
STEP = '''@task
def refresh_dashboard(recorded: dict[str, Any]) -> None:
    """Tell the team's dashboard what was decided."""
    Path("data/dashboard.txt").write_text(recorded["verdict"], encoding="utf-8")


'''
# Answers of its own, so that a default which has changed since is no difference.
ANSWER = {"estimator": "hist_gradient_boosting", "description": "Which customers leave next month."}
CI = ".github/workflows/ci.yml"


@dataclass(frozen=True)
class Past:
    """A state of the template.

    Attributes:
        bundle: The repository.
        forest: The team's estimator, as models.py was written then.
        conflicts: The team's files that cannot be merged, as what they call has changed; both sides are in them.
        comparable: Whether the champion predicts the holdout of today.
    """

    bundle: str
    forest: str
    conflicts: frozenset[str]
    comparable: bool


PAST = {
    "first demo": Past("first-demo.bundle", FIRST_FOREST, frozenset({"models.py", "flows.py"}), comparable=False),
    "second version": Past("second-version.bundle", FOREST, frozenset({"models.py", "flows.py"}), comparable=True),
}


def edits_of(forest: str) -> dict[str, list[tuple[str, str, str]]]:
    """Return what a team edits: file to what it replaces, the replacement, and what must be there afterwards."""
    imports = "    ExtraTreesClassifier,\n    ExtraTreesRegressor,\n"
    return {
        "features.py": [
            ("def features(", RATIO + "def features(", RATIO),
            (
                "    return frame\n",
                "    return frame.assign(ratio=ratio(frame))\n",
                "assign(ratio=ratio(frame))",
            ),
        ],
        "models.py": [
            ("from sklearn.ensemble import (\n", f"from sklearn.ensemble import (\n{imports}", imports),
            ("def linear(", forest + "def linear(", forest),
            (
                '    "linear": linear,\n',
                '    "extra_trees": extra_trees,\n    "linear": linear,\n',
                '"extra_trees":',
            ),
        ],
        "config.toml": [
            (
                'estimators = ["hist_gradient_boosting"]',
                'estimators = ["extra_trees", "linear"]',
                'estimators = ["extra_trees", "linear"]\n',
            ),
            (
                "min_improvement = 0.005",
                "min_improvement = 0.01\nguard_metrics = { accuracy = 0.02 }",
                "min_improvement = 0.01\nguard_metrics = { accuracy = 0.02 }\n",
            ),
        ],
        "flows.py": [
            (
                "import datetime\n",
                "import datetime\nfrom pathlib import Path\n",
                "from pathlib import Path\n",
            ),
            (
                "from prefect import flow\n",
                "from prefect import flow, task\n",
                "from prefect import flow, task\n",
            ),
            ('@flow(\n    name="retrain",\n', f'{STEP}@flow(\n    name="retrain",\n', STEP),
            (
                "    return recorded\n",
                "    refresh_dashboard(recorded)\n    return recorded\n",
                "    refresh_dashboard(recorded)\n",
            ),
        ],
        CI: [
            (
                "      - run: make check\n",
                "      - run: make check\n      - run: make our-docs\n",
                "      - run: make our-docs\n",
            )
        ],
    }


def place(project: Project, name: str) -> Path:
    return (project.path if name == CI else project.source) / name


def edit(project: Project, edits: dict[str, list[tuple[str, str, str]]]) -> None:
    """Edit the team's files as a team does; of equal lines the last one."""
    for name, replacements in edits.items():
        path = place(project, name)
        text = path.read_text()
        for old, new, _ in replacements:
            before, found, after = text.rpartition(old)
            assert found, f"{name} has no {old!r}"
            text = before + new + after
        path.write_text(text)


@pytest.mark.parametrize("name", PAST)
def test_an_edited_project_with_a_champion_updates_and_retrains(
    name: str, template: Path, bake: Bake, cookiecutter_config: Path, tmp_path: Path, runner: Runner
) -> None:
    past, fresh = PAST[name], bake(**ANSWER)
    git(tmp_path, "clone", "--quiet", "--branch", "main", str(RELEASES / past.bundle), "template")
    source = tmp_path / "template"
    project = create(source, cookiecutter_config, **ANSWER)
    edit(project, edits_of(past.forest))
    commit_all(project.path, "Make it ours")
    runner.python(project, "-m", f"{project.package}.cli", "retrain")
    old = production(project)

    replace_all(source, template)
    commit_all(source, "Change")
    run("cruft", "check", cwd=project.path, environment=AUTHOR, code=1)
    done = run("cruft", "update", "--skip-apply-ask", cwd=project.path, environment=AUTHOR)
    assert "Good work" in done.stdout, done.stdout + done.stderr
    resolve(project, past, fresh)
    commit_all(project.path, "Update")
    run("cruft", "check", cwd=project.path, environment=AUTHOR)

    # Every file but those that were edited is what a new project has, whose tests are run elsewhere.
    edited = {place(project, file) for file in edits_of("")}
    listed = set(git(project.path, "ls-files").splitlines()) - {".cruft.json"}
    assert listed == fresh.files()
    changed = {file for file in listed if (project.path / file).read_bytes() != (fresh.path / file).read_bytes()}
    assert changed == {str(file.relative_to(project.path)) for file in edited}

    recorded = runner.command(project, "retrain", "--json")
    assert recorded["champion"] == old
    assert ("not comparable" in recorded["reason"]) != past.comparable, recorded["reason"]
    if not past.comparable:
        assert recorded["verdict"] == "kept"
        assert "--accept-not-comparable" in recorded["reason"]
        recorded = runner.command(project, "retrain", "--accept-not-comparable", "--json")
        assert recorded["verdict"] == "promoted", recorded["reason"]
        assert production(project) == recorded["version"]
    assert (project.path / "data" / "dashboard.txt").read_text() == recorded["verdict"]


def production(project: Project) -> str:
    """Return the version in production."""
    described = (project.path / "models" / "production_metrics.json").read_text()
    return str(json.loads(described)["version"])


def resolve(project: Project, past: Past, fresh: Project) -> None:
    """Check that no edit is lost, and resolve conflicts as the team does: the new file, with the edit in its terms."""
    assert list(project.path.rglob("*.rej")) == []
    for name, edits in edits_of(past.forest).items():
        text = place(project, name).read_text()
        assert [line for _, _, line in edits if line not in text] == [], name
    conflicts = git(project.path, "diff", "--name-only", "--diff-filter=U").split()
    assert {Path(name).name for name in conflicts} <= past.conflicts
    for name in {Path(name).name for name in conflicts}:
        assert re.search("^<<<<<<< ours", place(project, name).read_text(), re.MULTILINE)
        shutil.copy(place(fresh, name), place(project, name))
        edit(project, {name: edits_of(FOREST)[name]})


def replace_all(folder: Path, template: Path) -> None:
    """Put the files of the template in place of those of the folder, whose history stays."""
    git(folder, "rm", "--quiet", "-r", ".")
    for path in template.iterdir():
        if path.is_symlink() or path.is_file():
            shutil.copy2(path, folder / path.name, follow_symlinks=False)
        elif path.name != ".git":
            shutil.copytree(path, folder / path.name, symlinks=True, dirs_exist_ok=True)
