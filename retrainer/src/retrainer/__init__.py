"""The machinery of a project that retrains itself; docs/architecture.md has its rooms and their doors.

A project hands in what is the team's as one `Project`, and uses the doors of the rooms: `data`, `training`, `gate`,
`registry`, `monitoring`, `reporting`, `pipeline`, `tuning`, `prefect`, `serving`, `cli`.
"""

import os

from .project import OwnMetric, Project, Range
from .version import VERSION

__version__ = VERSION
__all__ = ["OwnMetric", "Project", "Range", "__version__"]

# Before anything loads Arrow: its own pool keeps the memory it once had, the system's shares it with scikit-learn.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
