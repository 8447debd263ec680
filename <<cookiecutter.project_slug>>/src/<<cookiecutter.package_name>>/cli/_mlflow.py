"""The commands that a project has with MLflow."""

from typing import Any

from cyclopts import App


def add_commands(app: App, registry_app: App) -> None:
    """Add them to the console command."""
    registry_app.command(copy_to_mlflow)


def copy_to_mlflow() -> None:
    """Copy the registry's files into MLflow, decisions included; needs a project that MLflow knows nothing of.

    The server is that of registry.tracking_uri or MLFLOW_TRACKING_URI. The files stay, and stay in use until
    registry.kind is "mlflow". A copy that was cut off is finished by another.
    """
    from ..registry import open_files, open_registry
    from ..settings import load_settings

    settings = load_settings(registry={"kind": "mlflow"})
    target: Any = open_registry(settings)
    versions, decisions = target.copy_from(open_files(settings))
    print(f"Copied to {target.store.where('')}: {versions} versions, {decisions} decisions.")
