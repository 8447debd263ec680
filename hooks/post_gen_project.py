"""Remove the parts that no answer selected, and print the next steps."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

ANSWERS = r"""<< cookiecutter | jsonify >>"""

CARRIED = "src/{package_name}/retrainer"

# What is there only with this answer: files and folders, below the project.
ONLY_WITH = {
    ("ci_provider", "github"): [".github"],
    ("tracking", "mlflow"): [
        f"{CARRIED}/registry/_mlflow_registry.py",
        f"{CARRIED}/registry/_mlflow_store.py",
        f"{CARRIED}/registry/_mlflow_study.py",
    ],
    ("scale_out", "dask"): [f"{CARRIED}/prefect/_dask.py", f"{CARRIED}/prefect/_dask_workers.py"],
    ("serving", "http"): [f"{CARRIED}/docs/serving.md", f"{CARRIED}/serving"],
}


def require_library(library: Path) -> None:
    """End the render where the template's link to the library is no link, as in a copy from a zip file."""
    if not (library / "__init__.py").is_file():
        sys.exit(
            "This copy of the template is incomplete: a zip download keeps no links, and the project's library is one."
            " Clone the template with git, or give its git address to cookiecutter."
        )


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


def write_manifest(library: Path) -> None:
    """Write what `doctor` compares the library with: the SHA-256 of each of its files, as `version.py` computes it."""
    for cache in library.rglob("__pycache__"):
        shutil.rmtree(cache)
    digests = {
        path.relative_to(library).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(library.rglob("*"))
        if path.is_file()
    }
    (library / "manifest.json").write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Finish the project in the current folder."""
    answers = json.loads(ANSWERS)
    library = Path(CARRIED.format(**answers))
    require_library(library)
    remove_unasked(answers, Path.cwd())
    write_manifest(library)
    print(
        f"\nNext:\n    cd {answers['project_slug']}\n"
        "    make setup retrain    # the first model\n"
        "    make server           # in another terminal: the Prefect UI\n"
    )


if __name__ == "__main__":
    main()
