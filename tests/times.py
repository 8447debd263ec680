"""Print how long the suites take on this machine, beside what they may take: `make times`.

    python tests/times.py --checkout OTHER

prints it for another checkout of the template, set up and with its demo rendered: an older one, to compare with.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

RENDER = "demo/ml-retraining"
LIMITS = {  # what is run, where, and the seconds that it may take on 2 quiet cores
    "make test-render": (".", 60),
    "make test (of a project)": (RENDER, 30),
    "make test": (".", 480),
}


def main() -> None:
    """Run each suite once, and end with 1 if one failed or took longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", type=Path, default=Path(__file__).parents[1])
    template = parser.parse_args().checkout.resolve()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    print("| command | wall time (s) | CPU time (s) | may take (s) |\n| --- | ---: | ---: | ---: |", flush=True)
    well = True
    for name, (folder, limit) in LIMITS.items():
        command = name.split(" (")[0].split()
        if subprocess.run([*command, "--dry-run"], cwd=template / folder, capture_output=True).returncode:
            continue  # an older checkout may not have it
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(command, cwd=template / folder, capture_output=True, text=True)
        wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"| `{name}` | {wall:.0f} | {cpu:.0f} | {limit} |", flush=True)
        if done.returncode:
            print(done.stdout[-3000:], done.stderr[-3000:], sep="\n")
        well = well and not done.returncode and wall <= limit
    sys.exit(not well)


if __name__ == "__main__":
    main()
