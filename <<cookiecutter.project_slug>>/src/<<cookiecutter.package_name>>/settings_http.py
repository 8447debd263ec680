"""What `[serving]` in the settings has."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from .locations import Location


class ServingSettings(BaseModel):
    """How predictions are served over HTTP."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(
        default="127.0.0.1", description="The address to listen on; `0.0.0.0`: every one of the machine."
    )
    port: int = Field(default=8000, ge=1, le=65535, description="The port to listen on.")
    token: SecretStr | None = Field(
        default=None,
        description="What clients send as `Authorization: Bearer`; from the environment, never from a file.",
    )
    max_bytes: int = Field(
        default=10_000_000,
        ge=1,
        description="The largest body of a request, and the largest table in it when it is decompressed; a larger one"
        " is refused.",
    )
    max_rows: int = Field(default=10_000, ge=1, description="The most rows of a request.")
    log: Location | None = Field(
        default=None,
        description="A folder, or a place in an object store, for the rows and predictions of all requests, as Parquet"
        " that monitor can read; empty: nothing is kept.",
    )
    log_rows: int = Field(default=1000, ge=1, description="Rows that are collected for one file of the log.")


class Serving(BaseModel):
    """The section, as it is added to the settings."""

    serving: ServingSettings = ServingSettings()


SECTIONS = {"": Serving}
