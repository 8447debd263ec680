"""Here pictures are drawn."""

import pytest


@pytest.fixture(autouse=True)
def pictures() -> None:
    """Leave the pictures as they are."""
