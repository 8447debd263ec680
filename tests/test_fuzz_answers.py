"""Sets of answers drawn at random: none is anything but refused with a reason, or a project that holds."""

import os
from pathlib import Path

from .fuzz_answers import outcome

SETS = int(os.environ.get("FUZZ_SETS", "40"))  # 1500 with `make fuzz`


def test_a_set_of_answers_is_refused_or_renders_a_project_that_holds(
    template: Path, extras: Path, tmp_path: Path
) -> None:
    found = outcome(range(SETS), template, tmp_path / "sets", extras)

    assert found.wrong == []
    assert found.rendered
