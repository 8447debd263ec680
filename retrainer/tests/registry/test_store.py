"""The promises of the store: whole or not at all, one creator, and an error that says what to do."""

import errno
import fcntl
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrainer.registry._store import LocalStore, StorageError


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "models", base=tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB; mounting one takes root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def leftovers(store: LocalStore) -> list[str]:
    return store.list(".tmp")


def test_a_created_key_is_read_listed_and_deleted(store: LocalStore) -> None:
    store.create("a/b/1", b"one")
    store.create("a/2", b"two")
    assert store.read("a/b/1") == b"one"
    assert store.list("a") == ["a/2", "a/b/1"]
    assert store.where("a/2") == "models/a/2"
    store.delete("a/b")
    store.delete("a/2")
    store.delete("never/there")
    assert store.list("a") == []
    with pytest.raises(FileNotFoundError):
        store.read("a/2")


def test_a_key_is_named_as_people_find_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inside = LocalStore(Path("models"), base=Path())
    outside = LocalStore(tmp_path / "models", base=tmp_path / "project")

    assert inside.where("a/1") == "models/a/1"
    assert outside.where("a/1") == LocalStore(Path("models")).where("a/1") == str(tmp_path / "models/a/1")
    for store in (inside, outside):
        assert store.locate("a/1") == str(tmp_path / "models/a/1")
        with store.file("a/1") as path:
            assert path == tmp_path / "models/a/1"


def test_a_lock_is_held_until_the_block_ends(store: LocalStore) -> None:
    def is_free() -> bool:
        descriptor = os.open(store.root / ".lock", os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    with store.lock():
        assert not is_free()
    assert is_free()
    with pytest.raises(ZeroDivisionError), store.lock():
        raise ZeroDivisionError
    assert is_free()


def test_a_key_has_one_creator(store: LocalStore) -> None:
    store.create("a/1", b"first")
    with pytest.raises(FileExistsError):
        store.create("a/1", b"second")
    assert store.read("a/1") == b"first"
    assert leftovers(store) == []


def test_a_writer_that_fails_publishes_nothing(store: LocalStore) -> None:
    with pytest.raises(TypeError), store.writer("a/1") as file:
        file.writelines([b"half", None])
    assert store.list("a") == leftovers(store) == []


def test_write_replaces_whole(store: LocalStore) -> None:
    store.write("a", b"a longer content")
    with store.open("a") as before:
        store.write("a", b"new")
        assert before.read() == b"a longer content"
    assert store.read("a") == b"new"


def test_published_files_have_the_mode_that_the_user_set(store: LocalStore) -> None:
    old = os.umask(0o027)
    try:
        store.create("a", b"")
    finally:
        os.umask(old)
    assert (store.root / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("publish", ["create", "write"])
def test_content_is_on_the_disk_before_its_name_and_the_name_before_the_return(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, publish: str
) -> None:
    store.create("a/0", b"")  # so that no folder is made below
    calls: list[str] = []

    def record(name: str) -> None:
        original = getattr(os, name)

        def call(*args: object) -> object:
            folder = name == "fsync" and stat.S_ISDIR(os.fstat(int(str(args[0]))).st_mode)
            calls.append(f"{name} folder" if folder else name)
            return original(*args)

        monkeypatch.setattr(os, name, call)

    for name in ("fsync", "link", "replace"):
        record(name)
    getattr(store, publish)("a/1", b"content")
    assert calls == ["fsync", "link" if publish == "create" else "replace", "fsync folder"]


def test_sweep_removes_old_unpublished_files_only(store: LocalStore) -> None:
    store.create("a", b"")
    for name, age in (("old", 100), ("young", 0)):
        path = store.root / ".tmp" / name
        path.write_bytes(b"left by a killed writer")
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    store.sweep(older_than=50)
    assert leftovers(store) == [".tmp/young"]


def test_the_lock_of_a_dead_process_does_not_block(store: LocalStore) -> None:
    if (child := os.fork()) == 0:
        with store.lock():
            os._exit(0)
    os.waitpid(child, 0)
    with store.lock():
        pass


@pytest.mark.parametrize("operation", ["open", "mkdir", "fsync", "link", "replace"])
def test_a_full_disk_at_any_operation_is_explained_and_changes_nothing(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    store.write("a", b"before")

    def full(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write = (lambda: store.write("a", b"after")) if operation == "replace" else lambda: store.create("b/c", b"")
    with monkeypatch.context() as patch:
        patch.setattr(Path if operation == "open" else os, operation, full)
        with pytest.raises(StorageError, match=r"full\. Free some space"):
            write()
    assert store.read("a") == b"before"
    assert store.list("b") == leftovers(store) == []


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    store = LocalStore(small_disk)
    store.write("a", b"before")
    with pytest.raises(StorageError, match=r"b: No space left on device\. .*Free some space"):
        store.create("b", bytes(1_000_000))
    assert store.read("a") == b"before"
    assert leftovers(store) == []
    store.create("b", b"small enough")


def test_a_disk_that_is_really_read_only(small_disk: Path) -> None:
    store = LocalStore(small_disk)
    store.write("a", b"before")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StorageError, match="read and write access"):
        store.write("a", b"after")
    with pytest.raises(StorageError, match="read and write access"), store.lock():
        pass
    assert store.read("a") == b"before"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a read-only folder")
def test_a_folder_that_may_not_be_written(store: LocalStore) -> None:
    store.write("a", b"before")
    store.root.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="read and write access"):
            store.create("b", b"")
    finally:
        store.root.chmod(0o700)


def test_a_file_where_the_folder_belongs(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("no folder")
    store = LocalStore(tmp_path / "models")
    for attempt in (lambda: store.create("a", b""), lambda: store.list("a"), lambda: store.read("a")):
        with pytest.raises(StorageError, match="There is a file where a folder is expected"):
            attempt()
