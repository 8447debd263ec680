"""Limits on threads for fits that run in parallel."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def thread_budget(threads: int | None) -> Iterator[None]:
    """Limit OpenMP and BLAS to `threads` in this block; None does not limit them.

    Parallel fits that each use every core slow each other down severely, as OpenMP's threads spin while they wait.
    OpenMP's limit is for the calling thread only, so enter the block in the thread that fits.
    """
    if threads is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=threads):
        yield


def with_jobs(pipeline: Any, threads: int | None) -> Any:
    """Limit joblib to `threads` too: steps that use every core (`n_jobs=-1`) get this limit."""
    if threads is not None:
        jobs = {name: n for name, n in pipeline.get_params().items() if name.split("__")[-1] == "n_jobs" and n}
        pipeline.set_params(**{name: min(n, threads) if n > 0 else threads for name, n in jobs.items()})
    return pipeline
