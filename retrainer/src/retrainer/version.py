"""The release of the library, and the changes in this copy of it."""

import hashlib
import json
from pathlib import Path

VERSION = "1.0.0.dev0"
FOLDER = Path(__file__).parent
MANIFEST = FOLDER / "manifest.json"  # written into a project when the template renders it


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of the library below a folder, by its relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST.name)
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if "__pycache__" not in path.parts
    }


def patched_files() -> list[str]:
    """Return the files of this copy that were changed, added or removed since it was rendered, by name.

    Raises:
        FileNotFoundError: there is no manifest: this is the template's own copy, or an installed package.
    """
    released, here = json.loads(MANIFEST.read_text(encoding="utf-8")), digests(FOLDER)
    return sorted(name for name in released.keys() | here.keys() if released.get(name) != here.get(name))
