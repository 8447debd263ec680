"""The registry: which models there are, what was decided about each, and which one is in production.

    versions/<id>/           model.joblib, which predicts in production, and version.json (metrics, lineage, SHA-256 of
                             every file); twin.joblib, where the gate compares another fit of the same recipe than
                             the one that predicts; unchangeable once a decision names it
    decisions/000001.json    one file a decision, each naming the champion after it: the last one is the truth
    production_metrics.json  a description of the champion for people and scripts, derived from the two

A decision is created exclusively under the next number. That is the compare-and-swap: of two processes that
decide at once one gets the number, and the other checks whether its decision is still valid. What comes
before is not in use yet and what comes after is derived, so a process may die anywhere.
"""

import hashlib
import json
import logging
import pickle
import re
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

from ..errors import RegistryError, shell_command
from ..files import plain
from ._lineage import by_a_person, changed_packages, described, package_versions
from ._pickles import unpickled
from ._records import Damaged, Entry, Problem, Record, Version, sealed, unsealed
from ._store import StorageError, Store

MODEL, EVALUATED_MODEL, MANIFEST = "model.joblib", "twin.joblib", "version.json"
POINTER = "production_metrics.json"
VERSIONS, DECISIONS = "versions", "decisions"
VERDICTS = ("promoted", "staging", "kept", "rejected")
ABANDONED = timedelta(days=1)
RESTORE = "Restore it from a backup"

logger = logging.getLogger(__name__)


class StaleDecision(RegistryError):
    """Another process recorded a decision first; nothing was recorded."""


class Registry:
    """Versions and decisions in a `Store`; every method may raise `RegistryError`."""

    def __init__(self, store: Store, *, metric: str, project: str = "PROJECT") -> None:
        """Use the files in `store`.

        Args:
            store: The files.
            metric: The name of the score that new versions show first.
            project: The name of the project, which its console command has too, for messages.
        """
        self.store = store
        self.metric = metric
        self.project = project
        self.replace_champion = f"{shell_command(project, 'retrain', '--accept-not-comparable')} trains a replacement"
        self._restore_version = (
            f"{RESTORE}. If it is the champion, {shell_command(project, 'registry', 'rollback')} puts the one before "
            f"back; where there is none, {self.replace_champion}."
        )

    def champion(self) -> Version | None:
        """Return the version in production, None before the first promotion."""
        last = self._last_record()
        return self._read_version(last.champion, last.pins) if last and last.champion else None

    def described(self) -> str | None:
        """Return the version that `production_metrics.json` describes, even if the last decision is damaged."""
        return self._read_pointer().get("version")

    def to_beat(self) -> Version | None:
        """Return the champion to compare with; if its description is lost, a version with its id and no files."""
        last = self._last_record()
        if not last or not last.champion:
            return None
        try:
            return self._read_version(last.champion, last.pins)
        except Damaged:
            return Version(last.champion, "", "", {}, {}, {}, last.pins[last.champion])

    def check_writable(self) -> None:
        """Write a file as for a version, and remove it, to find out whether that is possible.

        Raises:
            StorageError: writing is not allowed, or the disk is full.
        """
        folder = f"{VERSIONS}/trial-{secrets.token_hex(4)}"
        self.store.create(f"{folder}/trial", b"")
        self.store.delete(folder)

    def staging(self) -> Version | None:
        """Return the version in staging, if there is one."""
        last = self._last_record()
        return self._read_version(last.staging, last.pins) if last and last.staging else None

    def versions(self) -> list[Version]:
        """Return every complete version, oldest first; a pruned version has only its description."""
        found = [self._read_version(name) for name, files in self._files().items() if MANIFEST in files]
        return sorted(found, key=lambda version: version.created_at)

    def held(self) -> dict[str, str]:
        """Return the reason of each version on hold, by its id; a challenger must be better than each of them."""
        last = self._last_record()
        return last.held if last else {}

    def version(self, name: str) -> Version:
        """Return the version named `champion` or `staging`, or the one whose id begins or ends with `name`."""
        if name in ("champion", "staging"):
            found = self.champion() if name == "champion" else self.staging()
            if found is None:
                what = "no model in production" if name == "champion" else "nothing in staging"
                run = shell_command(self.project, "retrain")
                raise RegistryError(f"There is {what} in {self.store.where('')} yet. Run {run} first.")
            return found
        known = [version for version, files in self._files().items() if MANIFEST in files]
        matching = [version for version in known if name and (version.startswith(name) or version.endswith(name))]
        if len(matching) != 1:
            what = "more than one version" if matching else "no version"
            listed = ", ".join((matching or known)[-5:]) or "there is none"
            raise RegistryError(f"{name!r} names {what} in {self.store.where('versions')}: {listed}.")
        return self._read_version(matching[0])

    def decisions(self) -> list[Record]:
        """Return every decision that can be read, oldest first; `verify` names the others."""
        found = []
        for number in self._decision_numbers():
            with suppress(Damaged):
                found.append(self._read_record(number))
        return found

    def stage(
        self,
        pipeline: object,
        *,
        metrics: Mapping[str, float],
        lineage: Mapping[str, Any],
        files: Mapping[str, bytes] | None = None,
        twin: object | None = None,
    ) -> Version:
        """Save a fitted pipeline as a new version: complete, but not in use until `record` names it.

        Args:
            pipeline: The pipeline that serves.
            metrics: The scores of the pipeline, or of the evaluated pipeline if there is another one.
            lineage: The origin of the model; see `lineage`.
            files: Other files of the version, by name.
            twin: The evaluated pipeline, if it is another one.
        """
        now = datetime.now(UTC)
        name = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        try:
            contents = self._write_contents(name, {MODEL: pipeline, EVALUATED_MODEL: twin}, files or {})
            manifest = {
                "id": name,
                "created_at": now.isoformat(),
                "metric": self.metric,
                "metrics": metrics,
                "lineage": {"packages": package_versions()} | dict(lineage),
                "files": contents,
            }
            self.store.create(_key(name, MANIFEST), sealed(manifest))
        except FileExistsError:  # not ours to remove
            raise RegistryError(f"Another process just staged {name} too. Run this again.") from None
        except BaseException as error:
            with suppress(StorageError):
                self.store.delete(f"versions/{name}")
            if isinstance(error, pickle.PicklingError | TypeError | AttributeError):
                raise RegistryError(
                    f"The pipeline cannot be saved: {error}. Use functions and classes that can be imported"
                    " from a module: no lambdas, and nothing defined inside a function."
                ) from error
            raise
        return self._read_version(name)

    def _write_contents(
        self, name: str, models: Mapping[str, object | None], files: Mapping[str, bytes]
    ) -> dict[str, Any]:
        """Write the models that there are and the other files of a version; return the fingerprint of each."""
        contents = {}
        for pickled, model in models.items():
            if model is None:
                continue
            with self.store.writer(_key(name, pickled)) as file:
                self._save(model, file)
                contents[pickled] = _fingerprint(file)
        for extra, data in files.items():
            self.store.create(_extra_key(name, extra), data)
            contents[extra] = _fingerprint(data)
        return contents

    def _save(self, pipeline: object, file: BinaryIO) -> None:
        import joblib

        joblib.dump(pipeline, file)

    def attach(self, version: Version, name: str, data: bytes) -> None:
        """Add a file to a version, such as its report; it is derived from other files, so it is not sealed."""
        if name in version.files:
            raise ValueError(f"{name!r} is a sealed file of {version.id}")
        self.store.write(_extra_key(version.id, name), data)

    def show_model(self, version: Version, pipeline: Any, example: Any = None) -> None:
        """Describe a staged pipeline for tools that load models without this project; files need nothing."""

    def discard(self, version: Version | str) -> None:
        """Remove a staged version that has no decision, after a failure."""
        with self.store.lock():
            name = str(_id(version))
            if name in _recorded_seals(self.decisions()):
                raise RegistryError(f"{name} has a decision, so it cannot be changed.")
            self.store.delete(f"versions/{self._read_version(name).id}")

    def read_file(self, version: Version, name: str) -> bytes:
        """Return the content of a file of the version, after verifying it."""
        with self._open_verified(version, name) as file:
            return file.read()

    def load_model(self, version: Version) -> Any:
        """Return the fitted pipeline; it is not unpickled unless the file's SHA-256 is the recorded one."""
        return self._load(version, MODEL)

    def load_evaluated_model(self, version: Version) -> Any:
        """Return the evaluated pipeline: the one in twin.joblib, or the only one."""
        return self._load(version, EVALUATED_MODEL if EVALUATED_MODEL in version.files else MODEL)

    def _load(self, version: Version, name: str) -> Any:
        with self._open_verified(version, name) as file:
            try:
                return unpickled(file)
            except Exception as error:
                changed = described(changed_packages(version.lineage))
                raise RegistryError(
                    f"{self.store.where(_key(version.id, name))} cannot be loaded: {type(error).__name__}:"
                    f" {error}. It was saved with {changed or 'the packages installed here'}."
                    " Install those versions, bring back the code it was trained with, or retrain."
                ) from error

    def record(
        self,
        version: Version | str,
        decision: Mapping[str, Any],
        *,
        expected_champion: Version | str | None,
        expected_held: Collection[str] = (),
        flow_run_id: str | None = None,
    ) -> int:
        """Commit a decision (`verdict`, `reason`, criteria) about a staged version, and return its number.

        A promotion takes effect here or not at all. `promoted` turns the version into the champion, empties staging and
        ends every hold. `staging` puts the version into staging; `kept` and `rejected` change nothing. Recording the
        last decision again changes nothing, so this may be retried.

        Raises:
            StaleDecision: the champion is no longer `expected_champion`, the one the gate compared with, or a
                version is promoted while one is on hold that is not among `expected_held`.
            RegistryError: the version is damaged or incomplete.
        """
        name, expected, content = str(_id(version)), _id(expected_champion), plain(decision)
        if content.get("verdict") not in VERDICTS:
            raise ValueError(f"verdict is {content.get('verdict')!r}, not one of {', '.join(VERDICTS)}")
        after: dict[str, Any] = {}
        if content["verdict"] == "promoted":
            after = {"champion": name, "staging": None, "held": {}}
        elif content["verdict"] == "staging":
            after = {"staging": name}
        with self.store.lock():
            staged = self.verify_files(self._read_version(name))
            while True:
                last = self._last_record()
                if last and last.version == name and last.decision == content:
                    break
                if (champion := last.champion if last else None) != expected:
                    raise StaleDecision(
                        f"{name} was compared with {expected}, and the champion is {champion} now: another"
                        " process recorded a decision first. Retrain to compare with the new champion."
                    )
                if content["verdict"] == "promoted" and last and not last.held.keys() <= set(expected_held):
                    raise StaleDecision(f"A version was put on hold before {name} was compared with it.")
                with suppress(FileExistsError):  # the number is taken: read the last decision again
                    number = last.sequence + 1 if last else 1
                    last = self._append(number, last, content, version=staged, run=flow_run_id, after=after)
                    break
            self._describe_champion()
        return last.sequence

    def rollback(
        self,
        to: Version | str | None = None,
        *,
        reason: str = "",
        check: Callable[[Version], object] = lambda version: None,
    ) -> Record:
        """Put an earlier champion back, by default the previous one, and record it as `rolled_back`.

        The replaced version is put on hold, so that a retrain does not promote an equal one. The default goes further
        back each time: a champion that was rolled back returns only when named. A named champion returns even if
        decisions are damaged; if the last one was, the registry becomes usable again.

        Args:
            to: The version to put back.
            reason: The reason, in one sentence.
            check: Called with the version before anything changes; raises an error if it must not go to production.

        Raises:
            RegistryError: there is no such version, or it is pruned, damaged, or was never in production.
        """
        goal = self.version(to).id if isinstance(to, str) else _id(to)
        with self.store.lock():
            number = self._last_number()
            log = self.decisions() if goal else self._read_all_records()
            goal = goal or next(reversed(_rollback_targets(log)), None)
            if goal is None:
                raise RegistryError(
                    f"There is no earlier champion to roll back to. {self.replace_champion} for a champion that cannot "
                    "be used."
                )
            champions = {name for record in log for name in (record.champion, record.champion_before)}
            if goal not in champions | {self.described()}:
                raise RegistryError(f"{goal} was never in production. Roll back to a version that was.")
            if goal in _pruned(log):
                raise RegistryError(f"{goal} is pruned, so only its description is left. Choose a newer one.")
            last = log[-1] if log else None
            if last and last.sequence == number:
                if goal == last.champion:
                    raise RegistryError(f"{goal} is the champion already.")
                default = f"{last.champion} rolled back to {goal}."
                held = last.held | {str(last.champion): reason or f"rolled back to {goal}"}
            else:  # which one is replaced is not known
                default = f"The last decision is damaged, and {goal} is put back."
                held = last.held if last else {}
            found = self.verify_files(self._read_version(goal, _recorded_seals(log)))
            check(found)
            content = {"verdict": "rolled_back", "reason": reason or default} | by_a_person()
            after = _state_with_champion(goal, last.staging if last else None, held)
            record = self._append_once(number + 1, last, content, version=found, after=after)
            self._describe_champion()
        return record

    def promote(
        self, version: Version | str, *, reason: str, check: Callable[[Version], object] = lambda version: None
    ) -> Record:
        """Promote a version by hand, whatever the gate decided; its hold ends.

        Args:
            version: The version, or its name.
            reason: The reason, in one sentence.
            check: Called with the version before anything changes; raises an error if it must not go to production.

        Raises:
            RegistryError: it is in production already, was pruned, is damaged, or has no decision.
        """
        with self.store.lock():
            last, found = self._last_and_usable(version)
            if found.id == last.champion:
                raise RegistryError(f"{found.id} is the champion already.")
            check(found)
            after = _state_with_champion(found.id, last.staging, last.held)
            content = {"verdict": "promoted", "kind": "by_hand", "reason": reason} | by_a_person()
            record = self._append_once(last.sequence + 1, last, content, version=found, after=after)
            self._describe_champion()
        return record

    def hold(self, version: Version | str, *, reason: str) -> Record:
        """Put a version on hold: a challenger must be better than it too, until it is released.

        Raises:
            RegistryError: it is in production, was pruned, is damaged, or has no decision.
        """
        with self.store.lock():
            last, found = self._last_and_usable(version)
            if found.id == last.champion:
                raise RegistryError(f"{found.id} is in production. A rollback replaces it and puts it on hold.")
            after = {"held": last.held | {found.id: reason}}
            content = {"verdict": "held", "reason": reason} | by_a_person()
            return self._append_once(last.sequence + 1, last, content, version=found, after=after)

    def release(self, version: Version | str, *, reason: str) -> Record:
        """End the hold of a version.

        Raises:
            RegistryError: it is not on hold.
        """
        found = self.version(version) if isinstance(version, str) else version
        with self.store.lock():
            last = self._last_record()
            if last is None or found.id not in last.held:
                on_hold = ", ".join(last.held) if last and last.held else "no version"
                raise RegistryError(f"{found.id} is not on hold; on hold is {on_hold}.")
            after = {"held": {name: why for name, why in last.held.items() if name != found.id}}
            content = {"verdict": "released", "reason": reason} | by_a_person()
            return self._append_once(last.sequence + 1, last, content, version=found, after=after)

    def _last_and_usable(self, version: Version | str) -> tuple[Record, Version]:
        """Return the last decision, and a version that can be put into production, checked as it stands."""
        name = self.version(version).id if isinstance(version, str) else version.id
        last, log = self._last_record(), self.decisions()
        if name not in _recorded_seals(log):
            raise RegistryError(f"{name} has no decision yet: a retrain is still running or was killed.")
        if name in _pruned(log):
            raise RegistryError(f"{name} is pruned, so only its description is left. Choose a newer one.")
        assert last is not None
        return last, self.verify_files(self._read_version(name, _recorded_seals(log)))

    def prune(self, keep: int) -> list[str]:
        """Remove the files of old versions, and return their ids; descriptions and decisions stay.

        The last `keep` versions stay complete, and also the champion, staging, versions on hold, and the version
        that a rollback returns to. Versions that were staged more than a day ago without a decision are removed.
        """
        with self.store.lock():
            log, files = self._read_all_records(), self._files()
            decided, pruned, victims = _recorded_seals(log), _pruned(log), []
            if log:
                last = log[-1]
                needed = {last.champion, last.staging, *last.held, *_rollback_targets(log)[-1:], *pruned}
                # By decision, since ids of the same second have no order.
                spare = [name for name in decided if name in files and name not in needed]
                victims = spare[: max(len(spare) - keep, 0)]
            if victims:
                content = {"verdict": "pruned", "reason": f"Older than the newest {keep}."}
                self._append_once(len(log) + 1, log[-1], content, pruned=victims)
            for name in pruned.union(victims):
                for extra in set(files.get(name, ())) - {MANIFEST}:
                    self.store.delete(_key(name, extra))
            oldest = f"{datetime.now(UTC) - ABANDONED:%Y%m%d-%H%M%S}"
            abandoned = [name for name in files if name not in decided and name < oldest]
            for name in abandoned:
                self.store.delete(f"versions/{name}")
            self.store.sweep(older_than=ABANDONED.total_seconds())
        return victims + abandoned

    def verify(self) -> list[Problem]:
        """Read every file, and return the problems (`error`) and notes (`info`)."""
        problems: list[Problem] = []
        log = self._verify_decisions(problems)
        self._verify_versions(log, problems)
        with _collect_problems(problems):
            self._verify_pointer(problems)
        return problems

    def _verify_decisions(self, problems: list[Problem]) -> list[Record]:
        log: list[Record] = []
        numbers = self._decision_numbers()
        for earlier, number in zip([0, *numbers], numbers, strict=False):
            if number > earlier + 1:
                problems.append(self._missing_decisions(earlier + 1, number - 1))
            with _collect_problems(problems):
                record = self._read_record(number)
                before = log[-1] if log and log[-1].sequence == number - 1 else None
                log.append(record)
                if before and record.previous not in (before.sha256, None):
                    where = self.store.where(_decision_key(number))
                    raise Damaged(where, f"does not follow from decision {number - 1}", f"{RESTORE}.")
        return log

    def _verify_versions(self, log: list[Record], problems: list[Problem]) -> None:
        files, pins, pruned = self._files(), _recorded_seals(log), _pruned(log)
        undecided = "A retrain is still running or was killed; pruning removes it after a day."
        if problems:
            undecided = "A damaged decision may name it; nothing is pruned until that is restored."
        for name in sorted(files.keys() | pins.keys()):
            where = self.store.where(f"versions/{name}")
            if name not in pins:
                problems.append(Problem("info", where, "has no decision", undecided))
                continue
            with _collect_problems(problems):
                version = self._read_version(name, pins)
                if name in pruned and files[name] != [MANIFEST]:
                    problems.append(Problem("info", where, "is pruned and still has files", "Prune again."))
                for extra in () if name in pruned else version.files:
                    with _collect_problems(problems), self._open_verified(version, extra):
                        pass

    def _verify_pointer(self, problems: list[Problem]) -> None:
        pointer, last, where = self._read_pointer(), self._last_record(), self.store.where(POINTER)
        expected = self._description(last) if last and last.champion else {}
        if self._description_is_stale(last):
            fix = "The next command writes it."
            problems.append(Problem("info", where, "does not describe the champion yet", fix))
        elif pointer == expected | {"model_path": pointer.get("model_path")} != expected:
            fix = "It is not used. Delete the file; the next command writes it again."
            problems.append(Problem("info", where, "names the old place of a model that was moved", fix))
        elif pointer != expected:
            fix = "Delete it: the next command writes it."
            raise Damaged(where, "does not match the decisions", fix)

    def _missing_decisions(self, first: int, last: int) -> Problem:
        """Return the problem of decisions that are missing, one for all of them."""
        where, fix = self.store.where(_decision_key(first)), f"{RESTORE}."
        if first == last:
            return Problem("error", where, "is missing", fix)
        stray = self.store.where(_decision_key(last + 1))
        fix = f"{RESTORE}; if there was no decision {last + 1}, delete {stray}."
        return Problem("error", where, f"is missing, and every decision after it up to {last}", fix)

    def catch_up(self) -> None:
        """Write the description of the champion that a process died before writing."""
        # A registry that is damaged or read-only is reported by the next call, not here.
        with suppress(RegistryError):
            if self._description_is_stale(self._last_record()):
                with self.store.lock():
                    self._describe_champion()

    def _description_is_stale(self, last: Record | None) -> bool:
        """Return whether the description is missing, or of a champion before this one."""
        try:
            self.store.read(POINTER)
        except FileNotFoundError:
            return bool(last and last.champion)
        return 0 < _promotion_number(self._read_pointer()) < ((last and last.promoted_by) or 0)

    def _describe_champion(self) -> None:
        described = None
        try:
            # Where there is no lock, a slower process may write last what is no longer so: each looks again.
            while (last := self._last_record()) and last.champion and last != described:
                if self._read_pointer() != (description := self._description(last)):
                    self.store.write(POINTER, json.dumps(description, indent=2).encode())
                described = last
        except RegistryError as error:  # the decision stands, and whoever opens the registry next tries again
            logger.warning("The decision is recorded, but writing %s failed: %s", POINTER, error)

    def _description(self, last: Record) -> dict[str, Any]:
        version = self._read_version(str(last.champion), last.pins)
        return {
            version.metric: version.metrics.get(version.metric),
            "metric": version.metric,
            "metrics": version.metrics,
            "version": version.id,
            "model_path": self.store.where(_key(version.id, MODEL)),
            "model_sha256": version.files[MODEL]["sha256"],
            "promoted_at": last.promoted_at,
            "decision": last.promoted_by,
            "lineage": version.lineage,
        }

    def _read_pointer(self) -> dict[str, Any]:
        try:
            found = json.loads(self.store.read(POINTER))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _decision_numbers(self) -> list[int]:
        names = (key.removeprefix("decisions/") for key in self.store.list("decisions"))
        return sorted(int(name[:-5]) for name in names if re.fullmatch(r"\d{6,}\.json", name))

    def _last_number(self) -> int:
        """Return the number of the last decision, 0 before the first."""
        known = _promotion_number(self._read_pointer())  # read before the decisions: they only become more
        number = max(self._decision_numbers(), default=0)
        if known > number:
            fix = f"{RESTORE}, or delete {self.store.where(POINTER)} to go on from decision {number}."
            raise Damaged(self.store.where(_decision_key(known)), "is missing", fix)
        return number

    def _last_record(self) -> Record | None:
        number = self._last_number()
        return self._read_record(number) if number else None

    def _read_all_records(self) -> list[Record]:
        """Return every decision, oldest first; `Damaged` where one cannot be read."""
        return [self._read_record(number) for number in range(1, self._last_number() + 1)]

    def _read_record(self, number: int) -> Record:
        key = _decision_key(number)
        rollback = shell_command(self.project, "registry", "rollback", "--to", "VERSION")
        fix = f"{RESTORE}; {rollback} names the champion without it."
        record = self._read_sealed(Record, key, fix)
        if record.sequence != number:
            raise Damaged(self.store.where(key), f"is a copy of decision {record.sequence}", fix)
        return record

    def _read_version(self, name: str, pins: Mapping[str, str] | None = None) -> Version:
        key = _key(name, MANIFEST)
        version = self._read_sealed(Version, key, self._restore_version)
        recorded = (pins or {}).get(name, version.sha256)
        if version.sha256 != recorded:
            what = f"was changed: its seal is {version.sha256}, recorded was {recorded}"
            raise Damaged(self.store.where(key), what, self._restore_version)
        return version

    def _read_sealed(self, kind: type[Entry], key: str, fix: str) -> Entry:
        try:
            return unsealed(kind, self.store.read(key))
        except FileNotFoundError:
            raise Damaged(self.store.where(key), "is missing", fix) from None
        except ValueError as error:
            raise Damaged(self.store.where(key), str(error), fix) from None

    def _files(self) -> dict[str, list[str]]:
        """Return the names of the files of each version, by its id, oldest first."""
        files: dict[str, list[str]] = {}
        for key in self.store.list("versions"):
            if match := re.fullmatch(r"versions/(\d{8}-\d{6}-[0-9a-f]+)/(.+)", key):
                files.setdefault(match[1], []).append(match[2])
        return files

    @contextmanager
    def _open_verified(self, version: Version, name: str) -> Iterator[BinaryIO]:
        """Open a file of a version, after its digest was found to be the recorded one."""
        where, recorded = self.store.where(_key(version.id, name)), version.files.get(name, {}).get("sha256")
        try:
            file = self.store.open(_key(version.id, name))
        except FileNotFoundError:
            raise Damaged(where, "is missing", self._restore_version) from None
        with file:
            found = _fingerprint(file)["sha256"]
            if found != recorded:
                raise Damaged(
                    where, f"was changed: its SHA-256 is {found}, recorded was {recorded}", self._restore_version
                )
            file.seek(0)
            yield file

    def verify_files(self, version: Version) -> Version:
        for name in version.files:
            with self._open_verified(version, name):
                pass
        return version

    def _append(
        self,
        number: int,
        last: Record | None,
        decision: dict[str, Any],
        *,
        version: Version | None = None,
        run: str | None = None,
        pruned: Sequence[str] = (),
        after: Mapping[str, Any] | None = None,
    ) -> Record:
        """Create decision `number`, the state of `last` changed by `after`; FileExistsError if taken."""
        now = datetime.now(UTC).isoformat()
        inherited = ("champion", "staging", "promoted_by", "promoted_at")
        state: dict[str, Any] = {name: getattr(last, name, None) for name in inherited}
        state |= {"held": last.held if last else {}} | dict(after or {})
        if after and "champion" in after:
            state |= {"promoted_by": number, "promoted_at": now}
        before = last.champion if last else None
        pins = (last.pins if last else {}) | ({version.id: version.sha256} if version else {})
        named = (before, state["champion"], state["staging"], *state["held"], version.id if version else None)
        content = {
            "sequence": number,
            "time": now,
            "version": version.id if version else None,
            "decision": decision,
            "champion_before": before,
            **state,
            "pruned": pruned,
            "flow_run_id": run,
            "pins": {name: pins[name] for name in named if name},
            "previous": last.sha256 if last and last.sequence == number - 1 else None,
        }
        self.store.create(_decision_key(number), sealed(content))
        return self._read_record(number)

    def _append_once(self, number: int, last: Record | None, decision: dict[str, Any], **fields: Any) -> Record:
        try:
            return self._append(number, last, decision, **fields)
        except FileExistsError:
            raise StaleDecision(
                "Another process recorded a decision first, so nothing was changed. Run this again."
            ) from None


@contextmanager
def _collect_problems(problems: list[Problem]) -> Iterator[None]:
    try:
        yield
    except Damaged as error:
        if error.problem not in problems:
            problems.append(error.problem)


def _key(version: str, name: str) -> str:
    return f"versions/{version}/{name}"


def _extra_key(version: str, name: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", name) or name in (MODEL, EVALUATED_MODEL, MANIFEST):
        raise ValueError(f"{name!r} cannot be the name of a version's file")
    return _key(version, name)


def _decision_key(number: int) -> str:
    return f"decisions/{number:06d}.json"


def _id(version: Version | str | None) -> str | None:
    return version.id if isinstance(version, Version) else version


def _recorded_seals(log: list[Record]) -> dict[str, str]:
    return {name: seal for record in log for name, seal in record.pins.items()}


def _pruned(log: list[Record]) -> set[str]:
    return {name for record in log for name in record.pruned}


def _state_with_champion(name: str, staging: str | None, held: Mapping[str, str]) -> dict[str, Any]:
    """Return the state after `name` became the champion: it is neither in staging nor on hold."""
    others = {version: why for version, why in held.items() if version != name}
    return {"champion": name, "staging": None if staging == name else staging, "held": others}


def _rollback_targets(log: list[Record]) -> list[str]:
    """Return the champions a rollback goes back through, the nearest last: not rolled back, not pruned."""
    champions: list[str] = []
    for record in log:
        if record.champion is None or champions[-1:] == [record.champion]:
            continue
        if record.champion in champions and record.verdict == "promoted":  # promoted again, by hand
            champions.remove(record.champion)
        elif record.champion in champions:
            del champions[champions.index(record.champion) :]
        champions.append(record.champion)
    return [name for name in champions[:-1] if name not in _pruned(log)]


def _promotion_number(pointer: dict[str, Any]) -> int:
    number = pointer.get("decision")
    return number if isinstance(number, int) else 0


def _fingerprint(content: BinaryIO | bytes) -> dict[str, Any]:
    if isinstance(content, bytes):
        return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    content.seek(0)
    digest = hashlib.file_digest(content, "sha256")  # type: ignore[arg-type]
    return {"sha256": digest.hexdigest(), "bytes": content.tell()}
