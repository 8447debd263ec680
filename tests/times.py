"""Print how long the suites take on this machine, beside what they may take: `make times`."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
RENDER = TEMPLATE / "demo" / "ml-retraining"
LIMITS = {
    "make test-render": (TEMPLATE, 60),
    "make test (of the render)": (RENDER, 120),
    "make test": (TEMPLATE, 900),
}


def main() -> None:
    """Run each suite once, and end with 1 if one failed or took longer than it may on 2 quiet cores."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    print(
        "| command | wall time (s) | CPU time (s) | may take (s) |\n| --- | ---: | ---: | ---: |", flush=True
    )
    well = True
    for name, (folder, limit) in LIMITS.items():
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(name.split(" (")[0].split(), cwd=folder, capture_output=True, text=True)
        wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"| `{name}` | {wall:.0f} | {cpu:.0f} | {limit} |", flush=True)
        if done.returncode:
            print(done.stdout[-3000:], done.stderr[-3000:], sep="\n")
        well = well and not done.returncode and wall <= limit
    sys.exit(not well)


if __name__ == "__main__":
    main()
