"""Format the Python files of the template: `make format`. ruff cannot read them where they stand, marks and all.

A project is rendered and formatted, and its files are written back with the marks in their places; first with the
longest names, so that what must be wrapped for them stays so, then with the default ones.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from cookiecutter.main import cookiecutter

TEMPLATE = Path(__file__).resolve().parents[1]
RENDERED = TEMPLATE / "<<cookiecutter.project_slug>>"
LONGEST = {"project_slug": "a" * 40, "package_name": "b" * 40}
DEFAULT = {"project_slug": "ml-retraining", "package_name": "ml_retraining"}


def main() -> None:
    """Format every module and test that some answers render, other than those with marks that names do not explain."""
    choices = json.loads((TEMPLATE / "cookiecutter.json").read_text())
    everything = {name: value[-1] for name, value in choices.items() if isinstance(value, list)}
    for names in (LONGEST, DEFAULT):
        with tempfile.TemporaryDirectory() as folder:
            options = {"no_input": True, "default_config": True, "output_dir": folder, "accept_hooks": False}
            project = Path(cookiecutter(str(TEMPLATE), extra_context=everything | names, **options))
            before = {path: path.read_text(encoding="utf-8") for path in project.rglob("*.py")}
            for words in (["check", "--fix", "--exit-zero", "--quiet"], ["format", "--quiet"]):
                subprocess.run(["ruff", *words, "--no-cache", project], check=True)
            for path, text in before.items():
                name = str(path.relative_to(project)).replace(names["package_name"], "<<cookiecutter.package_name>>")
                _write_back(RENDERED / name, text, path.read_text(encoding="utf-8"), names)


def _write_back(source: Path, before: str, after: str, names: dict[str, str]) -> None:
    if before == after:
        return
    marked = {value: f"<< cookiecutter.{name} >>" for name, value in names.items()}
    for value, mark in marked.items():
        before, after = before.replace(value, mark), after.replace(value, mark)
    if source.exists() and source.read_text(encoding="utf-8") == before:
        source.write_text(after, encoding="utf-8")
    else:
        print(f"{source.relative_to(TEMPLATE)} needs formatting by hand", file=sys.stderr)


if __name__ == "__main__":
    main()
