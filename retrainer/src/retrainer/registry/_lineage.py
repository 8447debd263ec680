"""Where a model comes from, as far as it can be read cheaply: the commit and the installed packages."""

import functools
import getpass
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from ..version import VERSION

PACKAGES = {
    "sklearn": "scikit-learn",
    "pandas": "pandas",
    "numpy": "numpy",
    "scipy": "scipy",
    "joblib": "joblib",
    "skrub": "skrub",
}


def lineage(root: Path) -> dict[str, Any]:
    """Return a model's lineage: `git_commit`, `retrainer`, `python`, `cores` and `packages` (versions by name)."""
    return {
        "retrainer": VERSION,
        "git_commit": git_commit(root),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "packages": package_versions(),
    }


def package_versions(modules: Iterable[str] = ()) -> dict[str, str]:
    """Return the installed versions of the packages that decide whether a saved pipeline can be loaded.

    Args:
        modules: The modules of further classes in the pipeline; the packages that they come from are included.
    """
    names = set(PACKAGES.values())
    own = __package__.partition(".")[0]
    roots = {module.partition(".")[0] for module in modules}
    if others := roots - PACKAGES.keys() - sys.stdlib_module_names - {own, ""}:
        distributions = packages_distributions()  # reads the description of everything that is installed
        names.update(name for root in others for name in distributions.get(root, ()))
    found = {name: _installed_version(name) for name in sorted(names)}
    return {name: number for name, number in found.items() if number}


def changed_packages(lineage: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the packages whose saved and installed versions differ, by name.

    Python is among them if its minor version differs.
    """
    changed = {
        name: (saved, here or "not installed")
        for name, saved in lineage.get("packages", {}).items()
        if (here := _installed_version(name)) != saved
    }
    python, here = str(lineage.get("python", "")), platform.python_version()
    if python and python.split(".")[:2] != here.split(".")[:2]:
        changed["Python"] = (python, here)
    return changed


def described(changed: Mapping[str, tuple[str, str]]) -> str:
    """Return changed packages as a part of a sentence."""
    return ", ".join(f"{name} {saved} (here {here})" for name, (saved, here) in changed.items())


@functools.cache  # a package's description takes 6 ms to read; what is imported stays what it is
def _installed_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def git_commit(root: Path) -> str | None:
    """Return the commit checked out at `root`, with `-dirty` when tracked files differ; None outside git."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None


def by_a_person() -> dict[str, str]:
    """Return the user and the machine of a decision by hand."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        user = f"user {os.getuid()}"
    return {"by": user, "host": platform.node()}
