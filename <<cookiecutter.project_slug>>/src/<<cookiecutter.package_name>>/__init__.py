import os

# Before anything loads Arrow: its own pool keeps the memory it once had, the system's shares it with scikit-learn.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
