"""Pickles of before 1.0, whose classes lay in the project's own package."""

import io
import sys
from pathlib import Path

import joblib
import pytest

from retrainer.registry import _pickles
from retrainer.training import TableCleaner


@pytest.fixture
def old_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Return a pickle as a project `oldshop` saved it, whose package is there, without its rooms."""
    (tmp_path / "oldshop").mkdir()
    (tmp_path / "oldshop" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("oldshop", "oldshop.training"):
        monkeypatch.setitem(sys.modules, name, None)  # so that it is as before afterwards
        del sys.modules[name]
    monkeypatch.setattr(TableCleaner, "__module__", "oldshop.training")
    with monkeypatch.context() as saving:
        saving.setitem(sys.modules, "oldshop.training", sys.modules["retrainer.training"])
        saved = io.BytesIO()
        joblib.dump(TableCleaner(), saved)
    saved.seek(0)
    return saved


def test_a_class_is_found_where_it_is_now(old_pickle: io.BytesIO) -> None:
    assert isinstance(_pickles.unpickled(old_pickle), TableCleaner)


def test_a_folder_of_compiled_files_that_an_update_left_behind_is_no_room(
    old_pickle: io.BytesIO, tmp_path: Path
) -> None:
    (tmp_path / "oldshop" / "training" / "__pycache__").mkdir(parents=True)

    assert isinstance(_pickles.unpickled(old_pickle), TableCleaner)


def test_an_attribute_that_is_nowhere_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        _pickles.unpickled(io.BytesIO(b"cpickle\nno_such_thing\n."))
