"""The registry, while processes that promote are killed and while many promote at once."""

import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "registry_crash.py"


def test_200_kills_and_8_processes_lose_no_decision() -> None:
    command = [sys.executable, str(BENCHMARK), "--kills", "200", "--processes", "8"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kills, locked, unlocked = done.stdout.splitlines()
    assert kills.startswith("200 kills")
    assert "0 lost" in kills
    for line in (locked, unlocked):
        assert line.startswith("8 processes")
        assert "40 promotions recorded, 0 lost" in line
