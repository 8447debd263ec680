"""Which names no project may have: `python tests/taken_names.py PYTHON LOCK…` writes them into the hook.

PYTHON is of an environment in which the locks are installed: what a package is imported as, and which commands it
brings, is only known there.
"""

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

HOOK = Path(__file__).resolve().parents[1] / "hooks" / "pre_gen_project.py"
BLOCK = re.compile(r'(?<=\nTAKEN = """\n).*?(?=""")', re.DOTALL)
INSTALLED = """
import importlib.metadata
import json
from pathlib import PurePosixPath

found = {}
for name, distributions in importlib.metadata.packages_distributions().items():
    for distribution in distributions:
        found.setdefault(distribution, []).append(name)
for distribution in importlib.metadata.distributions():
    commands = [entry.name for entry in distribution.entry_points if entry.group == "console_scripts"]
    commands += [path.name for path in map(PurePosixPath, distribution.files or []) if path.parent.name == "bin"]
    found.setdefault(distribution.name, []).extend(commands)
print(json.dumps(found))
"""


def names(python: str | Path, locks: Iterable[Path]) -> set[str]:
    """Return the names of the locked packages, of their modules and commands, in the spelling of a module."""
    entries = re.findall(r"^[A-Za-z0-9._-]+(?=[\[=])", "\n".join(lock.read_text() for lock in locks), re.MULTILINE)
    locked = set(map(spelling, entries))
    shown = subprocess.run([python, "-c", INSTALLED], check=True, capture_output=True, text=True).stdout
    modules = {name for package, names in json.loads(shown).items() if spelling(package) in locked for name in names}
    possible = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
    return {name for name in locked | set(map(spelling, modules)) if possible.fullmatch(name)}


def spelling(name: str) -> str:
    """Return the one spelling of all that pip, a shell or an import take for the same."""
    return re.sub(r"[-_.]+", "_", name).lower()


def write(found: Iterable[str]) -> None:
    """Replace the names in the hook."""
    lines = textwrap.fill(" ".join(sorted(found)), 110)
    HOOK.write_text(BLOCK.sub(lines + "\n", HOOK.read_text(encoding="utf-8"), count=1), encoding="utf-8")


if __name__ == "__main__":
    write(names(sys.argv[1], map(Path, sys.argv[2:])))
