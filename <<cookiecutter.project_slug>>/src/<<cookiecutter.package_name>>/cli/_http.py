"""The command that a project has with HTTP serving."""

import os

from cyclopts import App


def add_commands(app: App, registry_app: App) -> None:
    """Add it to the console command."""
    app.command(serve)


def serve() -> None:
    """Serve predictions of the model in production over HTTP; address and limits are the settings of [serving]."""
    # Requests run side by side, each on one core: threads of their own would only get in each other's way.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

    from ..serving import run
    from ..settings import get_settings

    run(get_settings())
