"""Where the registry keeps its files: the few operations that a folder and an object store can both promise.

Keys are relative paths with forward slashes. Whatever the registry guarantees rests on two promises: a key is
seen whole or not at all, and of several creators of one key exactly one succeeds.
"""

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from ..errors import RegistryError, advice


class StorageError(RegistryError):
    """A file could not be read or written; nothing was changed."""


class Store(Protocol):
    """A place for files; every method may raise `StorageError`."""

    def where(self, key: str) -> str:
        """Return the path or URL of `key`, for messages and for scripts."""

    def locate(self, key: str) -> str:
        """Return the absolute path or URL of `key`."""
        return self.where(key)

    def read(self, key: str) -> bytes:
        """Return the content of `key`; FileNotFoundError when there is none."""

    def open(self, key: str) -> BinaryIO:
        """Open `key` for reading and seeking; FileNotFoundError when there is none."""

    def write(self, key: str, data: bytes) -> None:
        """Put `data` at `key`, and replace what was there: a reader sees the old content or the new."""

    def create(self, key: str, data: bytes) -> None:
        """Put `data` at `key`, which must be new; FileExistsError when another process was first."""

    def writer(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Open a file for a big content, published at the new `key` when the block ends without an error."""

    def list(self, prefix: str) -> list[str]:
        """Return every key under the folder `prefix`, sorted."""

    def delete(self, prefix: str) -> None:
        """Remove the key `prefix`, or every key under it; a missing key is not an error."""

    def sweep(self, *, older_than: float) -> None:
        """Remove unpublished files that killed writers left more than `older_than` seconds ago."""
        return  # most stores leave nothing of an upload that was broken off

    def lock(self) -> AbstractContextManager[None]:
        """Keep other writers waiting, if the store can. The registry is correct without it too."""
        return nullcontext()


class FileStore(Store, Protocol):
    """A store that also keeps other files: predictions, windows, logs of requests."""

    def file(self, key: str) -> AbstractContextManager[Path]:
        """Yield a path on this machine; the file that is there when the block ends is the one of `key`.

        Whoever writes it replaces it whole, as `files.replacing` does.
        """


class LocalStore(FileStore):
    """Files in a folder of a POSIX file system with hard links.

    Examples:
        >>> import tempfile
        >>> store = LocalStore(Path(tempfile.mkdtemp()))
        >>> store.write("versions/a/card.md", b"# A model")
        >>> store.list("versions")
        ['versions/a/card.md']
    """

    def __init__(self, root: Path, *, base: Path | None = None) -> None:
        """Keep files under `root`; `where` names them relative to `base` if they are below it."""
        self.root = root.absolute()
        self.base = base.absolute() if base else None

    def where(self, key: str) -> str:
        """Return the path of `key`, relative to the base folder if it is below it."""
        path = self.root / key
        return str(path.relative_to(self.base) if self.base and path.is_relative_to(self.base) else path)

    def locate(self, key: str) -> str:
        return str(self.root / key)

    def read(self, key: str) -> bytes:
        with self._translate_os_errors(key, FileNotFoundError):
            return (self.root / key).read_bytes()

    def open(self, key: str) -> BinaryIO:
        with self._translate_os_errors(key, FileNotFoundError):
            return (self.root / key).open("rb")

    def write(self, key: str, data: bytes) -> None:
        """Write beside, fsync, rename over `key`."""
        with self._publish_file(key, os.replace) as file:
            file.write(data)

    def create(self, key: str, data: bytes) -> None:
        """Write beside, fsync, link to `key`; FileExistsError when another process was first."""
        with self.writer(key) as file:
            file.write(data)

    def writer(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Open a file beside, linked to the new `key` when the block ends without an error."""
        return self._publish_file(key, os.link)

    def file(self, key: str) -> AbstractContextManager[Path]:
        return nullcontext(self.root / key)

    def list(self, prefix: str) -> list[str]:
        keys: list[str] = []
        pending = [self.root / prefix]
        with self._translate_os_errors(prefix):
            while pending:
                with suppress(FileNotFoundError), os.scandir(pending.pop()) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(Path(entry.path))
                        else:
                            keys.append(Path(entry.path).relative_to(self.root).as_posix())
        return sorted(keys)

    def delete(self, prefix: str) -> None:
        path = self.root / prefix
        with self._translate_os_errors(prefix), suppress(FileNotFoundError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def sweep(self, *, older_than: float) -> None:
        """Remove unpublished files that were last written more than `older_than` seconds ago."""
        for key in self.list(".tmp"):
            with self._translate_os_errors(key), suppress(FileNotFoundError):
                if (self.root / key).stat().st_mtime < time.time() - older_than:
                    (self.root / key).unlink()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder's one lock; the system releases it if the holder dies."""
        with self._translate_os_errors(".lock"):
            self.root.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            with self._translate_os_errors(".lock"):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _publish_file(self, key: str, publish: Callable[[Path, Path], None]) -> Iterator[BinaryIO]:
        target = self.root / key
        temporary = self.root / ".tmp" / secrets.token_hex(8)
        try:
            with self._translate_os_errors(key):
                _make_folder(temporary.parent)
                _make_folder(target.parent)
                with temporary.open("x+b") as file:  # not mkstemp: its mode 0600 would shut other users out
                    yield cast(BinaryIO, file)
                    file.flush()
                    os.fsync(file.fileno())
            with self._translate_os_errors(key, FileExistsError):
                publish(temporary, target)
                _sync_folder(target.parent)
        finally:
            with suppress(OSError):
                temporary.unlink()

    @contextmanager
    def _translate_os_errors(self, key: str, *expected: type[OSError]) -> Iterator[None]:
        try:
            yield
        except expected:
            raise
        except OSError as error:
            raise StorageError(f"{self.where(key)}: {error.strerror or error}. {advice(error)}") from error


def _make_folder(path: Path) -> None:
    if not path.is_dir():
        _make_folder(path.parent)
        path.mkdir(exist_ok=True)
        _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
