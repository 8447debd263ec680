"""The project that a command is about, set when the command line starts."""

from collections.abc import Callable
from contextvars import ContextVar
from types import ModuleType

from ..project import Project

_project: ContextVar[Project] = ContextVar("project")
_flows: ContextVar[Callable[[], ModuleType]] = ContextVar("flows")


def enter(project: Project, flows: Callable[[], ModuleType]) -> None:
    """Set the project of the following commands."""
    _project.set(project)
    _flows.set(flows)


def current_project() -> Project:
    """Return the project of the command."""
    return _project.get()


def current_flows() -> ModuleType:
    """Import and return the flows of the project."""
    return _flows.get()()
