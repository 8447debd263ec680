"""What `[registry]` in the settings has for MLflow."""

from pydantic import BaseModel, Field

from .locations import Location


class Tracking(BaseModel):
    """The tracking server."""

    tracking_uri: Location | None = Field(
        default=None, description="The MLflow server's URL; empty: that of MLFLOW_TRACKING_URI."
    )


SECTIONS = {"registry": Tracking}
