"""Where a model comes from, as far as it can be read cheaply: the commit and the installed packages."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("scikit-learn", "pandas", "numpy", "scipy", "joblib", "skrub")


def lineage(root: Path) -> dict[str, Any]:
    """Return `git_commit`, `python` and `packages` (name to version), for the lineage of a model."""
    return {
        "git_commit": git_commit(root),
        "python": platform.python_version(),
        "packages": package_versions(),
    }


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that decide whether a saved pipeline can be loaded."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_commit(root: Path) -> str | None:
    """Return the commit checked out at `root`, with `-dirty` when tracked files differ; None outside git."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
