"""Release the template: `make release VERSION=1.2.0`.

The version is in one place, version.py of the library, so that a project knows which release it comes from.
This checks that the release is what its number says, runs the tests, writes the number and the date, commits, and tags
the commit with the notes of CHANGELOG.md. Nothing is pushed; the last line says how.
"""

import argparse
import datetime
import re
import shlex
import subprocess
import sys
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
PLACE = TEMPLATE / "retrainer" / "src" / "retrainer" / "version.py"
CHANGELOG = TEMPLATE / "CHANGELOG.md"
UNRELEASED = "## Unreleased\n"
BREAKING = "### What a project has to change"


class Refused(Exception):
    """The release cannot be made; the message says what to do."""


def git(*words: str) -> str:
    """Return what git prints, without the end of the line."""
    done = subprocess.run(["git", *words], cwd=TEMPLATE, capture_output=True, text=True, check=True)
    return done.stdout.rstrip()


def number(text: str) -> tuple[int, ...]:
    """Return 1.2.0 as (1, 2, 0)."""
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", text):
        raise Refused(f"VERSION is {text!r}, and has to be three numbers such as 1.2.0.")
    return tuple(map(int, text.split(".")))


def released() -> list[tuple[int, ...]]:
    """Return the versions that have a tag, oldest first."""
    return sorted(number(tag[1:]) for tag in git("tag", "--list", "v[0-9]*").split())


def notes(changelog: str) -> str:
    """Return the section of CHANGELOG.md that is not released yet."""
    _, found, rest = changelog.partition(UNRELEASED)
    section = re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0].strip()
    if not found or not section:
        raise Refused("CHANGELOG.md has nothing under '## Unreleased': say there what is new.")
    return section


def check(version: str) -> str:
    """Return the notes of a release that may be made.

    Raises:
        Refused: the number does not fit, there are no notes, or the tree is not clean.
    """
    wanted, before = number(version), released()
    section = notes(CHANGELOG.read_text(encoding="utf-8"))
    if before:
        last = ".".join(map(str, before[-1]))
        if wanted <= before[-1]:
            raise Refused(f"{version} does not come after {last}, the last release.")
        if BREAKING in section and wanted[0] == before[-1][0]:
            raise Refused(
                f"CHANGELOG.md has {BREAKING!r}: after {last} that is {before[-1][0] + 1}.0.0. "
                "A new first number says that an update asks something of a project."
            )
    if changed := git("status", "--porcelain"):
        raise Refused(f"The tree is not clean: commit or remove\n{changed}")
    return section


def write(version: str) -> None:
    """Put the version into its place."""
    text = PLACE.read_text(encoding="utf-8")
    changed, count = re.subn(r'^VERSION = ".*"$', f'VERSION = "{version}"', text, flags=re.MULTILINE)
    if count != 1:
        raise Refused(f"{PLACE.name} has no line VERSION = …")
    PLACE.write_text(changed, encoding="utf-8")


def release(version: str, *, tests: str) -> None:
    """Check, test, commit and tag; what is on main afterwards says that it follows the release.

    Raises:
        Refused: see `check`; or the tests failed.
    """
    section = check(version)
    if subprocess.run(shlex.split(tests), cwd=TEMPLATE).returncode:
        raise Refused(f"`{tests}` failed: nothing is released.")
    text = CHANGELOG.read_text(encoding="utf-8")
    today = datetime.datetime.now(datetime.UTC).date()
    CHANGELOG.write_text(text.replace(UNRELEASED, f"## {version}, {today}\n", 1), encoding="utf-8")
    write(version)
    git("commit", "--quiet", "--all", "--message", f"Release {version}")
    git("tag", "--annotate", f"v{version}", "--cleanup=verbatim", "--message", f"{version}\n\n{section}\n")
    text = CHANGELOG.read_text(encoding="utf-8")
    CHANGELOG.write_text(text.replace(f"## {version},", f"{UNRELEASED}\n## {version},", 1), encoding="utf-8")
    write(f"{version}+dev")
    git("commit", "--quiet", "--all", "--message", f"Begin what follows {version}")
    print(f"v{version} is tagged, its notes are in the tag. Publish it:  git push origin HEAD v{version}")


def main() -> None:
    """Release, or say why not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("version")
    parser.add_argument("--tests", default="make check test test-long", help="what has to pass first")
    arguments = parser.parse_args()
    try:
        release(arguments.version, tests=arguments.tests)
    except Refused as refusal:
        sys.exit(f"Not released. {refusal}")


if __name__ == "__main__":
    main()
