"""Sets of answers drawn at random: none is anything but refused with a reason, or a project that holds."""

import os
from pathlib import Path

import pytest

from .fuzz_answers import outcome

SETS = int(os.environ.get("FUZZ_SETS", "150"))  # 1500 with `make fuzz`
BATCH = SETS // 3


@pytest.mark.parametrize("first", range(0, SETS, BATCH))
def test_a_set_of_answers_is_refused_or_renders_a_project_that_holds(
    template: Path, extras: Path, tmp_path: Path, first: int
) -> None:
    found = outcome(range(first, first + BATCH), template, tmp_path / "sets", extras)

    assert found.wrong == []
    assert found.rendered
