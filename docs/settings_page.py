"""Write the render's docs/settings.md into the template: `make docs`.

The page is written by the renders themselves. A line that is only there with an optional part gets that condition.
"""

import argparse
import os
import subprocess
import tempfile
from collections.abc import Mapping
from difflib import SequenceMatcher
from pathlib import Path

from cookiecutter.main import cookiecutter

TEMPLATE = Path(__file__).parents[1]
PAGE = TEMPLATE / "<<cookiecutter.project_slug>>" / "docs" / "settings.md"
OPTIONAL = {"tracking": "mlflow", "scale_out": "dask", "serving": "http"}
NAME = "package_name_of_the_answers"


def page(python: str, **answers: str) -> list[str]:
    """Return the lines of the page that a project with these answers writes."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(
            cookiecutter(
                str(TEMPLATE),
                no_input=True,
                default_config=True,
                output_dir=folder,
                extra_context=answers | {"package_name": NAME},
            )
        )
        environment = os.environ | {"PYTHONPATH": "src"}
        subprocess.run(
            [python, "docs/settings.py"], cwd=project, env=environment, check=True, stdout=subprocess.DEVNULL
        )
        text = (project / "docs" / "settings.md").read_text(encoding="utf-8")
    return text.replace(NAME.upper(), "<< cookiecutter.package_name|upper >>").splitlines()


def main() -> None:
    """Render with every optional part, with each alone and with none; mark what a part adds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="Of an environment with the render's dependencies.")
    python = parser.parse_args().python

    default, everything = page(python), page(python, **OPTIONAL)
    alone = {prompt: set(page(python, **{prompt: answer})) for prompt, answer in OPTIONAL.items()}
    lines = []
    for tag, _, _, start, end in SequenceMatcher(None, default, everything, autojunk=False).get_opcodes():
        if tag == "equal":
            lines += everything[start:end]
        elif tag == "insert":
            lines += _conditional(everything[start:end], alone)
        else:
            raise SystemExit(
                f"An optional part changes lines of the page instead of adding some: {everything[start:end]}"
            )
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"Written: {PAGE}")


def _conditional(lines: list[str], alone: Mapping[str, set[str]]) -> list[str]:
    """Put added lines under the conditions of the parts that add them."""
    marked, prompt = [], ""
    for number, line in enumerate(lines):
        heading = next(filter(None, lines[number:]), line)  # a blank line goes with what comes below it
        adding = [name for name, page_of_part in alone.items() if heading in page_of_part]
        if prompt not in adding:
            marked += ["<% endif %>"] if prompt else []
            prompt = adding[0]
            marked.append(f'<% if cookiecutter.{prompt} == "{OPTIONAL[prompt]}" %>')
        marked.append(line)
    return [*marked, "<% endif %>"]


if __name__ == "__main__":
    main()
