"""Leave out what no answer asked for, and say what comes next."""

import json
import shutil
from pathlib import Path

ANSWERS = r"""<< cookiecutter | jsonify >>"""

# What is there only with this answer: files and folders, below the project.
ONLY_WITH = {
    ("ci_provider", "github"): [".github"],
    ("tracking", "mlflow"): [
        "src/{package_name}/cli/_mlflow.py",
        "src/{package_name}/registry/_mlflow_registry.py",
        "src/{package_name}/registry/_mlflow_store.py",
        "src/{package_name}/settings_mlflow.py",
        "tests/registry/test_mlflow.py",
    ],
    ("scale_out", "dask"): [
        "src/{package_name}/checks_dask.py",
        "src/{package_name}/orchestration/_dask.py",
        "src/{package_name}/settings_dask.py",
        "tests/orchestration/test_dask.py",
    ],
    ("serving", "http"): [
        "docs/serving.md",
        "src/{package_name}/cli/_http.py",
        "src/{package_name}/serving",
        "src/{package_name}/settings_http.py",
        "tests/serving",
    ],
}


def remove_unasked(answers: dict[str, str], project: Path) -> None:
    """Remove what belongs to answers that were not given.

    Raises:
        FileNotFoundError: the table names what the template does not have.
    """
    for (prompt, answer), names in ONLY_WITH.items():
        for name in names:
            path = project / name.format(**answers)
            if not path.exists():
                raise FileNotFoundError(f"hooks/post_gen_project.py: {prompt}={answer}: there is no {path}")
            if answers[prompt] == answer:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def main() -> None:
    """Finish the project in the current folder."""
    answers = json.loads(ANSWERS)
    remove_unasked(answers, Path.cwd())
    print(
        f"\nNext:\n    cd {answers['project_slug']}\n"
        "    make setup retrain    # the first model\n"
        "    make server           # in another terminal: the Prefect UI\n"
    )


if __name__ == "__main__":
    main()
