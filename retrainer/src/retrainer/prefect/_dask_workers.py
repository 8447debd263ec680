"""Checks of the Dask cluster before anything is computed on it."""

import logging

from ..errors import ProjectError
from ..settings import Settings

SECONDS = 5.0  # a scheduler that takes longer is not there


class NoWorkersError(ProjectError):
    """The Dask scheduler does not answer, or has no workers."""

    def __init__(self, message: str, command: str) -> None:
        super().__init__(f"{message}: {command}")
        self.command = command


def require_workers(settings: Settings) -> str:
    """Check that there are workers, and return their description; without workers Dask would wait forever.

    Raises:
        NoWorkersError: there are none; the message has the command that starts them.
    """
    address = settings.scale_out.address
    if settings.scale_out.runner != "dask":
        return "in threads"
    if not address:
        return "a cluster of its own for each run"
    from distributed import Client

    logging.getLogger("distributed").setLevel(logging.ERROR)  # it logs every attempt to connect
    try:
        with Client(address, timeout=SECONDS, set_as_default=False) as client:  # type: ignore[no-untyped-call]
            workers = len(client.nthreads())
    except (OSError, ValueError) as error:
        raise NoWorkersError(
            f"No Dask scheduler answers at {address} (scale_out.address, {type(error).__name__}). Correct it, or start"
            " one there",
            f"dask scheduler --port {address.rpartition(':')[2]}",
        ) from None
    if not workers:
        raise NoWorkersError(
            f"The Dask scheduler at {address} (scale_out.address) has no workers. Start one for each core",
            f"dask worker {address} --nworkers auto --nthreads 1",
        )
    return f"{workers} workers at {address}"
