"""Kill processes that promote models at random moments, and let many promote at once: does the registry hold?

    python benchmarks/registry_crash.py                                 1,000 kills, 32 processes
    python benchmarks/registry_crash.py --kills 200 --processes 8       what the tests run
    python benchmarks/registry_crash.py --store s3://bucket/models      the same in an object store

After every kill the registry is verified: no file is damaged, no acknowledged decision is lost, the champion
loads, and its description is right as soon as the registry is opened. The many promote once with the lock and
once without it, since the registry must not depend on the lock. A kill loses nothing that the system holds in
memory: this is about processes that die, not about power that fails. Needs Python alone, on Linux or macOS, and
obstore for an object store.
"""

import argparse
import contextlib
import itertools
import json
import os
import pickle
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1] / "retrainer" / "src" / "retrainer"
MODEL = bytes(range(256)) * 200


def main() -> None:
    """Run both parts, print their figures, and end with an AssertionError if a promise is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=32)
    parser.add_argument("--promotions", type=int, default=5, help="promotions of each process")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", default="", help="URL of an empty place in an object store; none: a folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        import_package(Path(name))
        place = options.store or name
        print(kill(place, options.kills, random.Random(options.seed)), flush=True)
        for lock in (False,) if options.store else (True, False):
            print(promote_at_once(place, options.processes, options.promotions, lock=lock), flush=True)


def import_package(folder: Path) -> None:
    """Make the library importable as `project`, leaving no compiled files there."""
    sys.dont_write_bytecode = True
    (folder / "project").symlink_to(PACKAGE)
    sys.path.insert(0, str(folder))
    sys.modules["joblib"] = pickle  # the bytes that stand for a model need no more
    import project.registry  # noqa: F401


def open_registry(place: str, *, lock: bool = True) -> Any:
    """Open the registry in `place` as a new process does, without writing what a dead one left unwritten."""
    from project.registry import LocalStore, ObjectStore, Registry, Store

    store: Store = ObjectStore(place) if is_object_store(place) else LocalStore(Path(place) / "models")
    if not lock:
        store.lock = contextlib.nullcontext
    return Registry(store, metric="f1_score")


def is_object_store(place: str) -> bool:
    """Return whether `place` is a URL, not a folder."""
    return "://" in place


def work(place: str, acknowledge: Callable[[int, str], None]) -> None:
    """Promote, keep, roll back and prune without end."""
    registry = open_registry(place)
    registry.catch_up()
    for turn in range(1_000_000):
        version = stage(registry)
        verdict = "kept" if turn % 3 == 2 else "promoted"
        number = registry.record(version, {"verdict": verdict}, expected_champion=registry.champion())
        acknowledge(number, version.id)
        registry.attach(version, "report.html", b"report")
        if turn % 5 == 4:
            registry.rollback()
        if turn % 4 == 3:
            registry.prune(3)


def stage(registry: Any) -> Any:
    """Stage a version with a model of 50 kB."""
    return registry.stage(MODEL, metrics={"f1_score": 0.9}, lineage={})


def kill(place: str, kills: int, rng: random.Random) -> str:
    """Kill a working process `kills` times, each time at a random moment of its first few promotions."""
    # An object store takes longer for reading a long registry after each kill.
    kills_a_registry = 5 if is_object_store(place) else 100
    moment = 2.5 * seconds_to_promote(place)
    started, decisions, acknowledged, unfinished, behind = time.perf_counter(), 0, 0, 0, 0
    for number in range(kills):
        home = f"{place}/killed{number // kills_a_registry}"
        if number % kills_a_registry == 0:
            known: dict[int, str] = {}
        child, pipe = fork(lambda send, home=home: work(home, send))
        time.sleep(rng.uniform(0, moment))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        received = [(int(sequence), version) for sequence, version in lines_of(pipe, whole=False)]
        known |= dict(received)
        acknowledged += len(received)
        found = check(home, known)
        behind += found["behind"]
        if number % kills_a_registry == kills_a_registry - 1 or number == kills - 1:
            decisions += found["decisions"]
            unfinished += found["unfinished"]
    assert acknowledged, "no process came to record a decision before it was killed"
    return (
        f"{kills} kills in {time.perf_counter() - started:.0f} s: {decisions} decisions recorded,"
        f" {acknowledged} of them acknowledged and 0 lost; {unfinished} versions left unfinished, {behind}"
        " descriptions of the champion written by the next process; verify found no error"
    )


def seconds_to_promote(place: str) -> float:
    """Return how long a new process takes here and now until its first decision is recorded, the median of three."""
    taken = []
    for number in range(3):
        started = time.perf_counter()
        child, pipe = fork(lambda send, number=number: work(f"{place}/timed{number}", send))
        os.read(pipe, 1)
        taken.append(time.perf_counter() - started)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(pipe)
    return statistics.median(taken)


def check(place: str, acknowledged: dict[int, str]) -> dict[str, int]:
    """Assert every promise in a process of its own, as a client of an object store does not survive a fork."""
    child, pipe = fork(lambda send: _check(place, acknowledged, send))
    found = {name: int(number) for number, name in lines_of(pipe)}
    assert os.waitpid(child, 0)[1] == 0, "a promise is broken"
    return found


def _check(place: str, acknowledged: dict[int, str], send: Callable[[int, str], None]) -> None:
    registry = open_registry(place)
    problems = registry.verify()
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    assert not errors, "\n".join(errors)
    log = registry.decisions()
    recorded = {record.sequence: record.version for record in log}
    assert acknowledged.items() <= recorded.items(), "an acknowledged decision is lost"
    registry.catch_up()
    if champion := registry.champion():
        assert registry.load_model(champion) == MODEL
        description = json.loads(registry.store.read("production_metrics.json"))
        assert description["version"] == champion.id
        assert description["model_path"] == registry.store.where(f"versions/{champion.id}/model.joblib")
    assert all(after.champion_before == before.champion for before, after in itertools.pairwise(log)), (
        "a decision does not follow from the one before"
    )
    send(len(log), "decisions")
    send(sum(problem.what == "has no decision" for problem in problems), "unfinished")
    send(sum("does not describe the champion yet" in problem.what for problem in problems), "behind")


def promote_at_once(place: str, processes: int, promotions: int, *, lock: bool) -> str:
    """Let `processes` promote at the same time; each looks again when another was faster."""
    home = f"{place}/many-{lock}"

    def promote(send: Callable[[int, str], None]) -> None:
        from project.registry import StaleDecision

        registry = open_registry(home, lock=lock)
        for _ in range(promotions):
            version = stage(registry)
            stale = 0
            while True:
                try:
                    champion = registry.champion()
                    number = registry.record(version, {"verdict": "promoted"}, expected_champion=champion)
                    break
                except StaleDecision:
                    stale += 1
            send(number, version.id)
            send(-stale, "stale")

    started = time.perf_counter()
    children = [fork(promote) for _ in range(processes)]
    acknowledged: dict[int, str] = {}
    stale = 0
    for child, pipe in children:
        received = lines_of(pipe)
        assert os.waitpid(child, 0)[1] == 0, "a process failed"
        stale += sum(-int(number) for number, word in received if word == "stale")
        acknowledged |= {int(number): version for number, version in received if version != "stale"}
    seconds = time.perf_counter() - started
    recorded = check(home, acknowledged)["decisions"]
    assert len(acknowledged) == recorded == processes * promotions, "a decision is lost"
    return (
        f"{processes} processes {'with' if lock else 'without'} a lock in {seconds:.1f} s: {recorded}"
        f" promotions recorded, 0 lost, {stale} made again because another was faster; verify found no error"
    )


def lines_of(pipe: int, *, whole: bool = True) -> list[list[str]]:
    """Return the words of each line that a child sent; the last may be unfinished where it is not `whole`."""
    with os.fdopen(pipe) as lines:
        return [line.split() for line in lines.read().splitlines(keepends=True) if whole or line.endswith("\n")]


def fork(run: Callable[[Callable[[int, str], None]], None]) -> tuple[int, int]:
    """Run `run` in a child that sends lines through a pipe; return the child's id and the end to read."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    try:
        os.close(reading)
        run(lambda number, word: os.write(writing, f"{number} {word}\n".encode()) and None)
        os._exit(0)
    finally:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        os._exit(1)


if __name__ == "__main__":
    main()
