"""The registry's promises: nothing recorded is lost, the champion is always a complete, verified version."""

import contextlib
import errno
import getpass
import hashlib
import itertools
import json
import os
import pickle
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from retrainer.errors import RegistryError
from retrainer.registry import (
    Registry,
    StaleDecision,
    Version,
    _lineage,
    open_registry,
)
from retrainer.registry._records import sealed
from retrainer.registry._store import LocalStore
from retrainer.settings import Settings
from retrainer.version import VERSION


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(LocalStore(tmp_path / "models", base=tmp_path), metric="f1_score")


def again(registry: Registry) -> Registry:
    """Return the registry as another process opens it."""
    found = Registry(registry.store, metric=registry.metric)
    found.catch_up()
    return found


def stage(registry: Registry, model: object = b"model", score: float = 0.9) -> Version:
    return registry.stage(model, metrics={"f1_score": score}, lineage={"rows": 100})


def decide(registry: Registry, verdict: str = "promoted", model: object = b"model", score: float = 0.9) -> Version:
    version = stage(registry, model, score)
    decision = {"verdict": verdict, "reason": f"{verdict} because", "criteria": []}
    registry.record(version, decision, expected_champion=registry.champion())
    return version


def file_of(registry: Registry, version: Version, name: str = "model.joblib") -> Path:
    return registry.store.root / "versions" / version.id / name


def errors(registry: Registry) -> list[str]:
    return [str(problem) for problem in registry.verify() if problem.severity == "error"]


def test_an_empty_registry_is_whole(registry: Registry) -> None:
    assert registry.champion() is registry.staging() is None
    assert registry.versions() == registry.decisions() == registry.verify() == []
    assert not registry.store.root.exists()


def test_a_promotion_is_recorded_with_all_it_came_from(registry: Registry) -> None:
    version = stage(registry)
    assert registry.champion() is None
    assert [problem.severity for problem in registry.verify()] == ["info"]
    number = registry.record(
        version, {"verdict": "promoted", "reason": "first", "gain": np.float64("nan")}, expected_champion=None
    )
    assert registry.champion() == registry.version("champion") == registry.version(version.id[:17]) == version
    assert registry.verify() == []
    (record,) = registry.decisions()
    assert record.sequence == number == 1
    assert (record.verdict, record.reason, record.champion) == ("promoted", "first", version.id)
    assert record.decision["gain"] is None
    assert version.lineage["packages"]["joblib"] == joblib.__version__


def test_a_version_is_described_by_its_files_and_its_origin(registry: Registry) -> None:
    version = registry.stage(
        {"a": 1},
        metrics={"f1_score": 0.5},
        lineage={"rows": 7, "packages": {"numpy": "0.1"}},
        files={"card.md": b"text"},
        twin={"a": 2},
    )

    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{6}", version.id)
    assert datetime.fromisoformat(version.created_at).utcoffset() == timedelta(0)
    assert version.created_at[:10].replace("-", "") == version.id[:8]
    assert (version.metric, version.metrics) == ("f1_score", {"f1_score": 0.5})
    assert version.lineage == {"rows": 7, "packages": {"numpy": "0.1"}}
    assert set(version.files) == {"model.joblib", "twin.joblib", "card.md"}
    for name, recorded in version.files.items():
        data = file_of(registry, version, name).read_bytes()
        assert recorded == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    assert (registry.load_model(version), registry.load_evaluated_model(version)) == ({"a": 1}, {"a": 2})
    alone = stage(registry, model={"a": 3})
    assert registry.load_evaluated_model(alone) == registry.load_model(alone) == {"a": 3}
    assert [one.id for one in registry.versions()] == sorted(
        (version.id, alone.id), key=lambda name: registry.version(name).created_at
    )


def test_every_decision_names_the_one_before_and_what_it_left(registry: Registry) -> None:
    first = stage(registry)
    registry.record(first, {"verdict": "promoted"}, expected_champion=None, flow_run_id="run-1")
    second = decide(registry)
    staged = decide(registry, "staging")
    decide(registry, "rejected")
    registry.rollback(reason="slow")
    registry.hold(staged, reason="a leak")
    pruned = registry.prune(0)
    log = registry.decisions()

    assert [record.sequence for record in log] == [1, 2, 3, 4, 5, 6, 7]
    assert [record.previous for record in log] == [None, *(record.sha256 for record in log[:-1])]
    assert [record.champion_before for record in log] == [
        None,
        *[first.id] * 1,
        *[second.id] * 3,
        *[first.id] * 2,
    ]
    assert [record.champion for record in log] == [first.id, *[second.id] * 3, *[first.id] * 3]
    assert [record.staging for record in log] == [None, None, *[staged.id] * 5]
    assert [record.promoted_by for record in log] == [1, 2, 2, 2, 5, 5, 5]
    assert [record.promoted_at for record in log] == [log[by - 1].time for by in (1, 2, 2, 2, 5, 5, 5)]
    assert [record.flow_run_id for record in log] == ["run-1", *[None] * 6]
    assert [record.held for record in log[4:]] == [
        {second.id: "slow"},
        *[{second.id: "slow", staged.id: "a leak"}] * 2,
    ]
    assert [record.pruned for record in log] == [*[[]] * 6, pruned]
    assert (log[-1].version, log[-1].verdict, log[-1].reason) == (None, "pruned", "Older than the newest 0.")
    assert log[4].pins == {name: registry.version(name).sha256 for name in (first.id, second.id, staged.id)}
    assert all(datetime.fromisoformat(record.time).utcoffset() == timedelta(0) for record in log)


@pytest.mark.parametrize(
    ("verdict", "champion", "staging"),
    [
        ("promoted", "new", None),
        ("staging", "old", "new"),
        ("kept", "old", "earlier"),
        ("rejected", "old", "earlier"),
    ],
)
def test_what_a_verdict_does(registry: Registry, verdict: str, champion: str, staging: str | None) -> None:
    names = {"old": decide(registry), "earlier": decide(registry, "staging")}
    names["new"] = decide(registry, verdict)
    assert registry.champion() == names[champion]
    assert registry.staging() == (names[staging] if staging else None)
    assert registry.decisions()[-1].champion_before == names["old"].id
    assert registry.verify() == []


def test_three_lines_load_the_model_from_the_description(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = decide(registry, model={"a": 1}, score=0.97)
    decide(registry, "kept", score=0.5)
    monkeypatch.chdir(tmp_path)
    champion = json.loads(Path("models/production_metrics.json").read_text())
    assert joblib.load(champion["model_path"]) == {"a": 1}
    assert champion["f1_score"] == champion[champion["metric"]] == 0.97
    assert champion["version"] == version.id
    assert champion["promoted_at"].endswith("+00:00")
    assert champion["lineage"]["rows"] == 100


def test_an_error_is_described_under_its_own_name(tmp_path: Path) -> None:
    registry = Registry(LocalStore(tmp_path), metric="rmse")
    version = registry.stage(b"", metrics={"rmse": 3.5, "mae": 2.0}, lineage={})
    registry.record(version, {"verdict": "promoted"}, expected_champion=None)
    assert json.loads((tmp_path / "production_metrics.json").read_text())["rmse"] == 3.5


def test_a_report_is_put_beside_a_version_whose_own_files_never_change(registry: Registry) -> None:
    version = registry.stage(b"", metrics={}, lineage={}, files={"profile.json": b"{}"})
    registry.record(version, {"verdict": "promoted"}, expected_champion=None)
    registry.attach(version, "report.html", b"draft")
    registry.attach(version, "report.html", b"report")
    champion = registry.version("champion")
    assert champion == version
    assert registry.store.read(f"versions/{version.id}/report.html") == b"report"
    assert registry.read_file(champion, "profile.json") == b"{}"
    assert registry.verify() == []
    with pytest.raises(RegistryError, match="has a decision"):
        registry.discard(version)
    for name in ("profile.json", "model.joblib", "version.json", "../escape"):
        with pytest.raises(ValueError, match=r"cannot be the name|is a sealed file"):
            registry.attach(version, name, b"")


def test_a_report_goes_with_its_version(registry: Registry) -> None:
    old = decide(registry)
    registry.attach(old, "report.html", b"report")
    for _ in range(3):
        decide(registry)
    assert old.id in registry.prune(1)
    assert registry.store.list(f"versions/{old.id}") == [f"versions/{old.id}/version.json"]


def test_a_discarded_version_leaves_nothing(registry: Registry) -> None:
    champion = decide(registry)
    registry.discard(stage(registry))
    assert registry.versions() == [champion]
    assert registry.verify() == []


def test_a_pipeline_that_cannot_be_pickled_leaves_nothing(registry: Registry) -> None:
    with pytest.raises(RegistryError, match=r"cannot be saved.*no lambdas"):
        stage(registry, model=lambda: None)
    assert registry.store.list("") == []


def test_a_version_of_another_process_is_never_overwritten_nor_removed(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(_key: str) -> None:
        raise FileExistsError

    version = stage(registry)
    monkeypatch.setattr(registry.store, "writer", taken)
    monkeypatch.setattr(registry.store, "delete", pytest.fail)
    with pytest.raises(RegistryError, match="Run this again"):
        stage(registry)
    assert registry.versions() == [version]


def test_a_name_that_is_not_one_version_is_refused(registry: Registry) -> None:
    for _ in range(2):
        stage(registry)
    with pytest.raises(RegistryError, match="more than one version"):
        registry.version("20")
    with pytest.raises(RegistryError, match="no version"):
        registry.version("1999")
    with pytest.raises(RegistryError, match="no model in production"):
        registry.version("champion")


# Two processes at once


def test_a_decision_about_another_champion_is_stale(registry: Registry) -> None:
    mine, theirs = stage(registry), stage(registry)
    again(registry).record(theirs, {"verdict": "promoted"}, expected_champion=None)
    with pytest.raises(StaleDecision, match=f"compared with None, and the champion is {theirs.id}"):
        registry.record(mine, {"verdict": "promoted"}, expected_champion=None)
    assert registry.champion() == theirs
    registry.record(mine, {"verdict": "promoted"}, expected_champion=theirs)
    assert registry.champion() == mine


@pytest.mark.parametrize("verdict", ["promoted", "kept"])
def test_without_a_lock_the_number_decides(registry: Registry, monkeypatch: pytest.MonkeyPatch, verdict: str) -> None:
    first, mine, theirs = decide(registry), stage(registry), stage(registry)
    monkeypatch.setattr(registry.store, "lock", contextlib.nullcontext)
    create = registry.store.create

    def overtaken(key: str, data: bytes) -> None:
        monkeypatch.setattr(registry.store, "create", create)
        again(registry).record(theirs, {"verdict": verdict}, expected_champion=first)
        create(key, data)

    monkeypatch.setattr(registry.store, "create", overtaken)
    if verdict == "promoted":
        with pytest.raises(StaleDecision):
            registry.record(mine, {"verdict": "promoted"}, expected_champion=first)
        assert registry.champion() == theirs
    else:
        assert registry.record(mine, {"verdict": "promoted"}, expected_champion=first) == 3
        assert registry.champion() == mine
    assert errors(registry) == []


def test_a_rollback_and_a_clean_up_that_are_overtaken_do_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = [decide(registry) for _ in range(4)]

    def taken(_key: str, _data: bytes) -> None:
        raise FileExistsError

    with monkeypatch.context() as patch:
        patch.setattr(registry.store, "create", taken)
        for attempt in (
            registry.rollback,
            lambda: registry.prune(1),
            lambda: registry.promote(versions[0], reason="by hand"),
            lambda: registry.hold(versions[0], reason="by hand"),
        ):
            with pytest.raises(StaleDecision):
                attempt()
    assert registry.champion() == versions[-1]
    assert registry.verify() == []


def test_a_record_that_is_retried_is_recorded_once(registry: Registry) -> None:
    version = stage(registry)
    for _ in range(2):
        assert registry.record(version, {"verdict": "promoted"}, expected_champion=None) == 1
    assert len(registry.decisions()) == 1


# Damage


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


class Bomb:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return pytest.fail, ("the file was unpickled",)


def test_a_changed_model_is_refused_before_it_is_unpickled(registry: Registry) -> None:
    version = decide(registry)
    path = file_of(registry, version)
    path.write_bytes(pickle.dumps(Bomb()))
    recorded = version.files["model.joblib"]["sha256"]
    message = f"model.joblib was changed: its SHA-256 is [0-9a-f]{{64}}, recorded was {recorded}"
    with pytest.raises(RegistryError, match=message):
        registry.load_model(registry.version("champion"))
    assert len(errors(registry)) == 1
    assert recorded in errors(registry)[0]


def test_a_changed_model_and_description_are_refused_together(registry: Registry) -> None:
    version, other = decide(registry), stage(registry, model=b"other")
    shutil.copytree(file_of(registry, other).parent, file_of(registry, version).parent, dirs_exist_ok=True)
    with pytest.raises(RegistryError, match=r"version\.json was changed: its seal"):
        registry.champion()
    assert "its seal" in errors(registry)[0]


def test_the_layout_of_a_sealed_file_does_not_matter(registry: Registry) -> None:
    version = decide(registry)
    for path in (file_of(registry, version, "version.json"), registry.store.root / "decisions/000001.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps(dict(reversed(content.items()))))
    assert registry.champion() == version
    assert registry.verify() == []


def test_a_damaged_version_cannot_be_promoted(registry: Registry) -> None:
    version = stage(registry)
    flip(file_of(registry, version))
    with pytest.raises(RegistryError, match="was changed"):
        registry.record(version, {"verdict": "promoted"}, expected_champion=None)
    assert registry.decisions() == []


@pytest.mark.parametrize("name", ["model.joblib", "version.json"])
def test_a_missing_file_is_named(registry: Registry, name: str) -> None:
    version = decide(registry)
    file_of(registry, version, name).unlink()
    assert len(errors(registry)) == 1
    assert f"{version.id}/{name} is missing. Restore it" in errors(registry)[0]
    with pytest.raises(RegistryError, match="is missing"):
        registry.load_model(registry.version("champion"))


def test_a_missing_folder_of_a_version_is_named(registry: Registry) -> None:
    version = decide(registry)
    shutil.rmtree(file_of(registry, version).parent)
    assert f"{version.id}/version.json is missing" in errors(registry)[0]


@pytest.mark.parametrize(
    ("damage", "number"),
    [
        *itertools.product(["truncated", "edited", "missing", "copied"], [1, 2, 3]),
        *itertools.product(["resealed"], [1, 2]),  # the last decision's seal has no other witness yet
    ],
)
def test_a_damaged_decision_is_named(registry: Registry, damage: str, number: int) -> None:
    versions = [decide(registry) for _ in range(3)]
    path = registry.store.root / f"decisions/{number:06d}.json"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif damage == "edited":
        path.write_text(path.read_text().replace("because", "for no reason"))
    elif damage == "missing":
        path.unlink()
    elif damage == "copied":
        shutil.copy(path.with_name(f"{number % 3 + 1:06d}.json"), path)
    else:
        record = registry.decisions()[number - 1]
        changed = vars(record) | {"decision": record.decision | {"reason": "another"}}
        registry.store.write(f"decisions/{number:06d}.json", sealed(changed))
        path = path.with_name(f"{number + 1:06d}.json")
    (found,) = errors(registry)
    assert path.name in found
    if number < 3:  # an old decision does not stop production
        assert registry.champion() == versions[-1]
    else:
        with pytest.raises(RegistryError, match=path.name):
            registry.champion()
        if damage != "missing":
            registry.rollback(to=versions[1], reason="the last decision is damaged")
            assert registry.champion() == versions[1]


def test_with_a_damaged_decision_only_a_named_version_is_rolled_back_to(registry: Registry) -> None:
    versions = [decide(registry) for _ in range(3)]
    path = registry.store.root / "decisions/000001.json"
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(RegistryError, match=r"000001\.json"):
        registry.rollback()
    assert registry.champion() == versions[2]
    assert registry.rollback(to=versions[1]).champion == versions[1].id


def test_the_only_decision_is_damaged_and_the_champion_is_named_again(registry: Registry) -> None:
    version = decide(registry)
    path = registry.store.root / "decisions/000001.json"
    path.write_bytes(path.read_bytes()[:-40])

    about = [str(problem) for problem in registry.verify() if version.id in problem.path]
    assert about == [f"models/versions/{version.id} has no decision. A damaged decision may name it; nothing is"
                     " pruned until that is restored."]  # fmt: skip
    with pytest.raises(RegistryError, match="registry rollback --to VERSION"):
        registry.champion()
    record = registry.rollback(to=version.id)

    assert registry.champion() == version
    assert (record.reason, record.held) == (
        f"The last decision is damaged, and {version.id} is put back.",
        {},
    )
    assert [one.sequence for one in registry.decisions()] == [2]
    assert registry.promote(decide(registry, "staging"), reason="it is better").held == {}


def test_a_version_that_cannot_be_used_is_not_put_into_production(registry: Registry) -> None:
    first, champion = decide(registry), decide(registry)

    def refuse(version: Version) -> None:
        raise RegistryError(f"{version.id} cannot predict")

    with pytest.raises(RegistryError, match=f"{first.id} cannot predict"):
        registry.rollback(check=refuse)
    with pytest.raises(RegistryError, match=f"{first.id} cannot predict"):
        registry.promote(first, reason="all the same", check=refuse)
    assert registry.champion() == champion
    assert len(registry.decisions()) == 2


def test_a_stray_decision_is_one_problem_found_at_once(registry: Registry) -> None:
    decide(registry)
    path = registry.store.root / "decisions" / "999999.json"
    shutil.copy(path.with_name("000001.json"), path)
    read = registry.store.read
    keys: list[str] = []
    registry.store.read = lambda key: keys.append(key) or read(key)

    gap, copy = errors(registry)

    assert "000002.json is missing, and every decision after it up to 999998" in gap
    assert "delete models/decisions/999999.json" in gap
    assert "999999.json is a copy of decision 1" in copy
    assert len(keys) < 20
    path.unlink()
    assert errors(registry) == []


def test_a_registry_that_was_moved_is_undamaged(registry: Registry, tmp_path: Path) -> None:
    decide(registry)
    elsewhere = tmp_path / "elsewhere"
    assert isinstance(registry.store, LocalStore)
    shutil.copytree(registry.store.root, elsewhere)
    moved = Registry(LocalStore(elsewhere), metric=registry.metric)

    (found,) = moved.verify()
    assert (found.severity, "that was moved" in found.what) == ("info", True)
    assert "the next command writes it again" in found.fix
    (elsewhere / "production_metrics.json").unlink()
    moved.catch_up()
    assert moved.verify() == []


def test_a_damaged_description_is_reported_and_written_anew(registry: Registry) -> None:
    version = decide(registry)
    path = registry.store.root / "production_metrics.json"
    for damage in (path.read_text()[:-20], path.read_text().replace("0.9", "0.99"), "[]"):
        path.write_text(damage)
        (found,) = errors(again(registry))
        assert "models/production_metrics.json does not match the decisions. Delete it" in found
        assert registry.champion() == version
    path.unlink()
    assert again(registry).verify() == []
    path.write_text("{")
    decide(registry, "kept")
    assert registry.verify() == []


def test_a_model_of_other_packages_names_both_versions(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    version = registry.stage(Fragile(), metrics={}, lineage={"packages": {"scikit-learn": "0.1"}})
    monkeypatch.setattr(Fragile, "broken", True)
    with pytest.raises(RegistryError, match=r"cannot be loaded: KeyError.*scikit-learn 0\.1 \(here \d+\."):
        registry.load_model(version)


class Fragile:
    broken = False

    def __setstate__(self, state: object) -> None:
        if self.broken:
            raise KeyError("attribute of another release")

    def __getstate__(self) -> dict[str, int]:
        return {"a": 1}


# Rollback and retention


def test_rollback_gives_the_old_predictions_to_the_bit(registry: Registry) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 4)), rng.integers(0, 2, size=200)
    before = decide(registry, model=make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(X, y))
    expected = registry.load_model(before).predict_proba(X)
    decide(registry, model=make_pipeline(StandardScaler(), LogisticRegression(C=9.0)).fit(X, y))
    assert not np.array_equal(registry.load_model(registry.version("champion")).predict_proba(X), expected)
    record = registry.rollback(reason="too many complaints")
    assert (record.verdict, record.reason) == ("rolled_back", "too many complaints")
    assert record.champion == before.id
    assert np.array_equal(registry.load_model(registry.version("champion")).predict_proba(X), expected)
    description = json.loads((registry.store.root / "production_metrics.json").read_text())
    assert description["version"] == before.id
    assert description["promoted_at"] == record.time
    assert registry.verify() == []


def test_rollback_goes_further_back_each_time(registry: Registry) -> None:
    a, b, c = (decide(registry) for _ in range(3))
    assert registry.rollback().champion == b.id
    assert registry.rollback().champion == a.id
    with pytest.raises(RegistryError, match="no earlier champion"):
        registry.rollback()
    assert registry.rollback(to=c.id).champion == c.id
    assert registry.rollback().champion == a.id


def test_what_was_rolled_back_from_is_on_hold_until_it_is_beaten(registry: Registry) -> None:
    first, bad = decide(registry), decide(registry)
    registry.rollback(reason="too many complaints")
    assert registry.held() == {bad.id: "too many complaints"}
    decide(registry, "kept")
    better = stage(registry)
    with pytest.raises(StaleDecision, match="on hold before"):
        registry.record(better, {"verdict": "promoted"}, expected_champion=first)
    assert registry.champion() == first
    registry.record(better, {"verdict": "promoted"}, expected_champion=first, expected_held=registry.held())
    assert registry.champion() == better
    assert registry.held() == {}
    assert registry.verify() == []


def test_a_version_that_is_put_back_is_no_longer_on_hold(registry: Registry) -> None:
    first, second = decide(registry), decide(registry)
    registry.rollback(reason="slow")
    registry.rollback(to=second.id, reason="slower")
    assert registry.held() == {first.id: "slower"}
    registry.promote(first, reason="the slow one after all")
    assert registry.held() == {}


def test_a_person_promotes_what_the_gate_did_not(registry: Registry) -> None:
    first, staged = decide(registry), decide(registry, "staging")
    record = registry.promote("staging", reason="the team agreed")
    by = {"by": getpass.getuser(), "host": platform.node()}
    assert record.decision == {"verdict": "promoted", "kind": "by_hand", "reason": "the team agreed"} | by
    assert record.champion == staged.id
    assert registry.champion() == staged
    assert registry.staging() is None
    with pytest.raises(RegistryError, match="is the champion already"):
        registry.promote(staged, reason="twice")
    with pytest.raises(RegistryError, match="has no decision yet"):
        registry.promote(stage(registry), reason="too early")
    assert registry.rollback().champion == first.id
    assert errors(registry) == []


def test_a_champion_promoted_by_hand_is_rolled_back_to_the_one_it_replaced(registry: Registry) -> None:
    first, second, third = (decide(registry) for _ in range(3))
    registry.promote(first, reason="as it was")
    assert registry.rollback().champion == third.id
    assert registry.rollback().champion == second.id
    with pytest.raises(RegistryError, match="no earlier champion"):
        registry.rollback()


def test_a_hold_is_recorded_and_lifted(registry: Registry) -> None:
    champion, kept = decide(registry), decide(registry, "kept")
    held = registry.hold(kept, reason="it learned from a leak")
    assert (held.verdict, held.held) == ("held", {kept.id: "it learned from a leak"})
    with pytest.raises(RegistryError, match=r"is in production\. A rollback"):
        registry.hold(champion, reason="no")
    for _ in range(3):
        decide(registry, "kept")
    assert kept.id not in registry.prune(0)
    lifted = registry.release(kept.id[:20], reason="the leak is closed")
    assert (lifted.verdict, lifted.reason, lifted.held) == ("released", "the leak is closed", {})
    with pytest.raises(RegistryError, match="is not on hold; on hold is no version"):
        registry.release(kept, reason="twice")
    assert kept.id in registry.prune(0)
    for attempt in (registry.hold, registry.promote):
        with pytest.raises(RegistryError, match="is pruned"):
            attempt(kept, reason="too late")
    assert registry.champion() == champion
    assert registry.verify() == []


def test_decisions_of_another_release_are_read(registry: Registry) -> None:
    version = decide(registry)
    (record,) = registry.decisions()
    older = {name: value for name, value in vars(record).items() if name != "held"}
    for content in (older, older | {"of_a_later_release": 1}):
        registry.store.write("decisions/000001.json", sealed(content))
        assert registry.champion() == version
        assert registry.held() == {}
        assert registry.verify() == []


def test_what_a_rollback_refuses(registry: Registry) -> None:
    first, rejected, champion = decide(registry), decide(registry, "rejected"), decide(registry)
    with pytest.raises(RegistryError, match="is the champion already"):
        registry.rollback(to=champion)
    with pytest.raises(RegistryError, match="was never in production"):
        registry.rollback(to=rejected)
    flip(file_of(registry, first))
    with pytest.raises(RegistryError, match="was changed"):
        registry.rollback()
    assert registry.champion() == champion


def test_pruning_keeps_what_is_needed_and_every_description(registry: Registry) -> None:
    target = decide(registry)
    champion, staging = decide(registry), decide(registry, "staging")
    others = [decide(registry, "kept") for _ in range(5)]
    old = [version.id for version in others]  # the order of decisions: ids of one second have none
    assert registry.prune(2) == old[:3]
    assert registry.prune(2) == []
    whole = {version.id for version in registry.versions() if file_of(registry, version).exists()}
    assert whole == {target.id, champion.id, staging.id, *old[3:]}
    assert len(registry.versions()) == 8
    assert registry.verify() == []
    assert registry.champion() == champion
    assert registry.rollback().champion == target.id


def test_what_is_left_of_a_pruned_version_is_worth_knowing_and_no_error(registry: Registry) -> None:
    kept = [decide(registry, "kept") for _ in range(2)]
    assert kept[0].id in registry.prune(1)
    file_of(registry, kept[0]).write_bytes(b"left")

    (found,) = registry.verify()

    assert (found.severity, found.what) == ("info", "is pruned and still has files")
    assert registry.prune(1) == []
    assert registry.verify() == []


def test_a_pruned_champion_is_refused_by_rollback(registry: Registry) -> None:
    first = decide(registry)
    for _ in range(3):
        decide(registry)
    assert first.id in registry.prune(0)
    with pytest.raises(RegistryError, match="is pruned"):
        registry.rollback(to=first)
    registry.rollback()
    with pytest.raises(RegistryError, match="no earlier champion"):
        registry.rollback()


def test_only_old_versions_without_a_decision_are_removed(registry: Registry) -> None:
    young, old = stage(registry), stage(registry)
    name = "20200101-000000-abcdef"
    file_of(registry, old).parent.rename(registry.store.root / "versions" / name)
    assert registry.prune(1) == [name]
    assert registry.versions() == [young]


# Crashes


def work(registry: Registry) -> None:
    """Do whatever writes."""
    registry.catch_up()
    version = stage(registry, model=b"new")
    registry.record(version, {"verdict": "promoted"}, expected_champion=registry.champion())
    registry.attach(version, "report.html", b"report")
    decide(registry, "kept")
    rolled_back = registry.rollback()
    registry.release(str(rolled_back.champion_before), reason="it was not the model")
    registry.hold(version, reason="a leak")
    registry.promote(version, reason="no leak")
    registry.prune(1)


def promises_hold(registry: Registry, known: list[str]) -> None:
    assert errors(registry) == []
    assert [record.sha256 for record in registry.decisions()][: len(known)] == known
    found = again(registry)
    assert {problem.what for problem in found.verify()} <= {
        "has no decision",
        "is pruned and still has files",
    }
    champion = found.champion()
    assert champion
    assert found.load_model(champion) in (b"model", b"new")
    description = json.loads(found.store.read("production_metrics.json"))
    assert description["version"] == champion.id


def test_a_process_that_dies_before_any_file_operation_breaks_no_promise(registry: Registry) -> None:
    for _ in range(4):
        decide(registry)
    start, known = registry.store.root, [record.sha256 for record in registry.decisions()]
    operation, finished = 0, False
    while not finished:
        operation += 1
        folder = start.parent / str(operation)
        shutil.copytree(start, folder / "models")
        copy = Registry(LocalStore(folder / "models", base=folder), metric="f1_score")
        if (child := os.fork()) == 0:
            try:
                _die_before(operation)
                work(copy)
            finally:
                os._exit(0)
        finished = os.waitpid(child, 0)[1] == 0
        promises_hold(copy, known)
        shutil.rmtree(folder)
    assert operation > 50


def _die_before(operation: int) -> None:
    left = operation

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in ("os.mkdir", "os.link", "os.rename", "os.remove", "os.rmdir"):
            left -= 1
            if not left:
                os._exit(1)

    sys.addaudithook(hook)


def test_a_disk_that_fills_up_at_any_sync_breaks_no_promise(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        decide(registry)
    known = [record.sha256 for record in registry.decisions()]
    fsync, failures, attempt = os.fsync, 0, 0
    while failures == attempt:
        attempt += 1
        left = attempt

        def full(descriptor: int) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fsync(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            try:
                work(registry)
            except RegistryError as error:
                failures += "Free some space" in str(error)
        promises_hold(registry, known)
        assert registry.store.list(".tmp") == []
    assert failures > 10


def test_a_description_that_cannot_be_written_does_not_undo_the_decision(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    decide(registry)
    version = stage(registry)

    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        registry.record(version, {"verdict": "promoted"}, expected_champion=registry.champion())
    assert "The decision is recorded, but writing production_metrics.json failed" in caplog.text
    (problem,) = registry.verify()
    assert problem.severity == "info"
    assert again(registry).verify() == []


# Around it


def test_the_settings_say_where(settings: Settings) -> None:
    registry = open_registry(settings)
    version = decide(registry)
    assert open_registry(settings).champion() == version
    assert json.loads((settings.root / "models/production_metrics.json").read_text())["model_path"] == (
        f"models/versions/{version.id}/model.joblib"
    )


def test_the_commit_is_the_one_checked_out(tmp_path: Path) -> None:
    assert _lineage.git_commit(tmp_path / "nowhere") is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    assert _lineage.lineage(tmp_path)["git_commit"] == commit
    assert _lineage.lineage(tmp_path)["retrainer"] == VERSION
    (tmp_path / "a").write_text("")
    subprocess.run([*git, "add", "a"], check=True)
    assert _lineage.git_commit(tmp_path) == f"{commit}-dirty"


def test_what_a_model_was_saved_with_and_is_not_here_is_named() -> None:
    here = _lineage.package_versions()
    python = platform.python_version()
    minor = ".".join(python.split(".")[:2])

    assert set(here) == {"scikit-learn", "pandas", "numpy", "scipy", "joblib", "skrub"}
    assert _lineage.package_versions({"pydantic.main", "json", "sklearn.svm", "", "nowhere.at_all"}) == here | {
        "pydantic": _lineage.package_versions({"pydantic"})["pydantic"]
    }
    assert _lineage.changed_packages({}) == {}
    assert _lineage.changed_packages({"packages": here, "python": python}) == {}
    assert _lineage.changed_packages({"packages": here, "python": f"{minor}.999"}) == {}
    changed = _lineage.changed_packages(
        {"packages": here | {"numpy": "0.1", "of-another-world": "1"}, "python": "2.7.1"}
    )
    assert changed == {
        "numpy": ("0.1", here["numpy"]),
        "of-another-world": ("1", "not installed"),
        "Python": ("2.7.1", python),
    }
    assert _lineage.described(changed) == (
        f"numpy 0.1 (here {here['numpy']}), of-another-world 1 (here not installed), Python 2.7.1 (here {python})"
    )
    assert _lineage.lineage(Path("/"))["python"] == python
    assert _lineage.lineage(Path("/"))["packages"] == here
