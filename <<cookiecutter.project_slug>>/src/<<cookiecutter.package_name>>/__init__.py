"""A model that retrains itself; `champion()` gives the one in production to any Python code."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .training import ProductionModel

__all__ = ["champion"]

# Before anything loads Arrow: its own pool keeps the memory it once had, the system's shares it with scikit-learn.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def champion() -> "ProductionModel":
    """Return the model in production, verified and ready to predict rows as a table has them.

    Call it wherever you predict: the model is loaded once, and again when another one is promoted or put back, which
    is noticed within a second.

    Raises:
        RegistryError: there is no model in production yet, or it is damaged.
        ConfigurationError: the settings do not say where the registry is.
    """
    from .training import production_model

    return production_model()
