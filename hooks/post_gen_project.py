"""Leave out the folder that an answer excludes, and say what comes next."""

import json
import shutil
from pathlib import Path

ANSWERS = r"""<< cookiecutter | jsonify >>"""


def remove_excluded(answers: dict[str, str], project: Path) -> None:
    """Remove GitHub's folder where CI runs elsewhere: unlike a file's, its name cannot leave it out."""
    if answers["ci_provider"] != "github":
        shutil.rmtree(project / ".github")


def main() -> None:
    """Finish the project in the current folder."""
    answers = json.loads(ANSWERS)
    remove_excluded(answers, Path.cwd())
    print(
        f"\nNext:\n    cd {answers['project_slug']}\n"
        "    make setup retrain    # the first model\n"
        "    make server           # in another terminal: the Prefect UI\n"
    )


if __name__ == "__main__":
    main()
