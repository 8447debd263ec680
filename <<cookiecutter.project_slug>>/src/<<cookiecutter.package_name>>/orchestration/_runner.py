"""Where the parallel steps of a flow run: in threads of its process, unless an optional part runs them elsewhere."""

from importlib import import_module
from typing import Any

from prefect.task_runners import ThreadPoolTaskRunner

from ..errors import ProjectError
from ..settings import Settings, get_settings


def optional_runner(settings: Settings) -> Any:
    """Return the optional part that the settings choose, the module `_<runner>` beside this; None for threads."""
    runner = settings.scale_out.runner
    return None if runner == "threads" else import_module(f"._{runner}", __package__)


class ChosenRunner(ThreadPoolTaskRunner):
    """Becomes, when a run starts, the task runner of the settings.

    A flow is decorated when its module is imported; an error in the settings is better shown by its run, and a
    deployment should follow its environment.
    """

    def duplicate(self) -> Any:
        """Return the runner of one run; threads where the settings cannot be read, as the run will say so."""
        try:
            settings = get_settings()
        except ProjectError:
            return ThreadPoolTaskRunner()
        runner = optional_runner(settings)
        return runner.task_runner(settings) if runner else ThreadPoolTaskRunner()
