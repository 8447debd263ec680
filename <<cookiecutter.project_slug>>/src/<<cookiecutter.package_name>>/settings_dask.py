"""What `[scale_out]` in the settings has for Dask."""

from pydantic import BaseModel, Field


class ScaleOut(BaseModel):
    """The workers, and what they compute with."""

    address: str | None = Field(
        default=None,
        description="Of a Dask scheduler, tcp://host:8786; empty: a cluster on this machine, for each run.",
    )
    workers: int | None = Field(
        default=None, ge=1, description="Worker processes the work is cut for; empty: one for each core here."
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Threads a task on a worker computes with; empty: 1 at an address, else cores over workers.",
    )


SECTIONS = {"scale_out": ScaleOut}
