"""The registry's files in an object store: S3 and compatible stores, Google Cloud Storage, Azure Blob Storage.

An object is seen whole or not at all, and a put may demand that there is none yet (`If-None-Match: *`, and its like at
Google's and Azure's): the two promises that `storage` asks for. There is no lock between machines, and none is needed.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, cast

from .._parts import LOCK
from ..errors import first_line
from ..locations import Location
from ._store import FileStore, StorageError

IN_MEMORY = 64 * 1024 * 1024  # bytes of a file; what is bigger is kept on disk meanwhile
PATIENCE = timedelta(seconds=20)


class ObjectStore(FileStore):
    """Objects under a URL; credentials, region and endpoint come from the environment, as the provider names them."""

    def __init__(self, url: Location | str) -> None:
        """Use the objects under `url`, such as `s3://bucket/models`.

        Raises:
            StorageError: the library is not installed, or does not know this kind of URL.
        """
        location = Location(url)
        self.url = str(location).rstrip("/")
        try:
            import obstore
            from obstore.exceptions import BaseError
            from obstore.store import from_url
        except ImportError:
            raise StorageError(f"{self.url} needs the package obstore: make setup LOCK={LOCK}.") from None
        self._obstore, self._error = obstore, BaseError
        try:
            self._store = from_url(
                location.reveal().rstrip("/"),
                client_options={"allow_http": True},  # the endpoint's own http:// counts
                retry_config={"max_retries": 3, "retry_timeout": PATIENCE},
            )
        except (BaseError, ValueError) as error:
            raise StorageError(f"{self.url} cannot be used: {location.hide(first_line(error))}.") from None

    def where(self, key: str) -> str:
        return f"{self.url}/{key}".rstrip("/")

    def read(self, key: str) -> bytes:
        with self._translate_os_errors(key, FileNotFoundError):
            return bytes(self._obstore.get(self._store, key).bytes())

    def open(self, key: str) -> BinaryIO:
        file = _spooled_file()
        with self._translate_os_errors(key, FileNotFoundError):
            for chunk in self._obstore.get(self._store, key).stream():
                file.write(chunk)
        file.seek(0)
        return file

    def write(self, key: str, data: bytes) -> None:
        with self._translate_os_errors(key):
            self._obstore.put(self._store, key, data)

    def create(self, key: str, data: bytes) -> None:
        self._create(key, data)

    @contextmanager
    def file(self, key: str) -> Iterator[Path]:
        """Yield a path in a temporary folder; at the end the file replaces what is at `key`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, key)
            yield path
            with self._translate_os_errors(key):
                self._obstore.put(self._store, key, path)

    @contextmanager
    def writer(self, key: str) -> Iterator[BinaryIO]:
        """Open a scratch file, put at the new `key` when the block ends without an error."""
        with _spooled_file() as file:
            yield file
            file.seek(0)
            self._create(key, file)

    def list(self, prefix: str) -> list[str]:
        with self._translate_os_errors(prefix):
            found = self._obstore.list(self._store, f"{prefix}/")
            return sorted(entry["path"] for chunk in found for entry in chunk)

    def delete(self, prefix: str) -> None:
        keys = self.list(prefix) or [prefix]
        with self._translate_os_errors(prefix), suppress(FileNotFoundError):  # another process may be faster
            self._obstore.delete(self._store, keys)

    def _create(self, key: str, content: bytes | BinaryIO) -> None:
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._translate_os_errors(key, FileExistsError):
            try:
                self._obstore.put(self._store, key, content, mode="create", use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                raise FileExistsError(self.where(key)) from None

    @contextmanager
    def _translate_os_errors(self, key: str, *expected: type[OSError]) -> Iterator[None]:
        try:
            yield
        except expected:
            raise
        except (self._error, OSError) as error:
            raise StorageError(
                f"{self.where(key)}: {first_line(error)}. Check the address, the store, and that the"
                " credentials can read and write, then run this again; nothing was changed."
            ) from None


def _spooled_file() -> BinaryIO:
    return cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))
