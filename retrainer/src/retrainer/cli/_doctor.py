"""The checks of `doctor`, each with its fix."""

import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from .._parts import LOCK
from ..errors import ProjectError
from ..locations import PREFECT_SECRET
from ..project import Project
from ..settings import Settings
from ..version import VERSION, patched_files
from ._check import Check, new_block
from ._server import check_server

if TYPE_CHECKING:
    from ..registry import Problem, Registry, Version

HEAD_ROWS = 1000
LEAST_FREE_BYTES = 2**30


def examine(project: Project, *, send: bool = False) -> list[Check]:
    """Run every check; a check is left out where an earlier one that it needs has failed.

    Args:
        project: The project to examine.
        send: Whether to send a test message too, in the way of failure messages.
    """
    test_message = [_send_test_message(project)] if send else []
    try:
        settings = project.with_settings().settings
    except ProjectError as error:
        fix = "correct config.toml or the environment variable"
        return [Check("settings", "error", str(error), fix), *test_message]
    checks = [_run_check("settings", lambda: _check_settings(project))]
    checks.append(_check_library())
    checks.append(_run_check("data source", lambda: _check_source(project)))
    if settings.scale_out.runner == "dask":
        from ..prefect import check_workers

        checks.append(_run_check("scale-out", lambda: Check("scale-out", "ok", check_workers(settings))))
    checks += _check_registry(project)
    checks.append(_run_check("disk space", lambda: _check_disk(settings)))
    checks.append(_run_check("lock", lambda: _check_lock(settings)))
    checks += check_server(settings)
    return checks + test_message


def _check_settings(project: Project) -> Check:
    from ..pipeline import check

    check(project)
    settings = project.settings
    return Check("settings", "ok", f"{settings.problem_type}, target {settings.data.target!r}")


def _send_test_message(project: Project) -> Check:
    """Send a message exactly as a failed run does: its block is found even where settings are broken."""
    from ..prefect import NotSent, deliver, message, recipient

    name, block = recipient(project)
    if not block:
        return Check(
            "test message", "error", "no notification block is set, so nobody is notified", "set notifications.block"
        )
    try:
        deliver(message("trial", project=name), block=block)
    except NotSent as error:
        return Check("test message", "error", str(error), *new_block(name, block))
    return Check("test message", "ok", f"sent through {block}; check that it arrived")


def _run_check(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except ProjectError as error:
        return Check(name, "error", str(error), "do what the message says", error.command)
    except OSError as error:
        return Check(name, "error", f"{type(error).__name__}: {error}", "make it readable and writable")


def _check_library() -> Check:
    """Say which release of the library this is, and which of its files were patched here."""
    try:
        patched = patched_files()
    except FileNotFoundError:
        return Check("library", "ok", f"retrainer {VERSION}, an installed package, not a copy in this project")
    if not patched:
        return Check("library", "ok", f"retrainer {VERSION}, unchanged")
    more = f" and {len(patched) - 10} more" if len(patched) > 10 else ""
    return Check("library", "ok", f"retrainer {VERSION}, patched here: {', '.join(patched[:10])}{more}")


def _check_source(project: Project) -> Check:
    from .. import data

    settings = project.settings
    source = data.resolve(settings.data.source, as_of=None)
    if any(name.startswith(PREFECT_SECRET) for name in source.placeholders):
        from ..prefect import with_prefect_secrets

        source = with_prefect_secrets(source)
    state = data.fingerprint(source, settings=settings)
    if (head := data.head(source, settings=settings, rows=HEAD_ROWS)) is not None:
        data.require_target(head, settings=settings, code=data.current_code(project))
    seen = "read again only if it changes" if state else "read again by every run"
    return Check("data source", "ok", f"{settings.data.source}, {seen}")


def _check_registry(project: Project) -> Iterator[Check]:
    from ..registry import Damaged, open_registry

    settings = project.settings
    try:
        registry = open_registry(settings)
        champion = registry.champion()
        damaged = [problem for problem in registry.verify() if problem.severity == "error"]
        errors = [problem for problem in damaged if not _is_obsolete(problem, registry)]
        registry.check_writable()
    except Damaged as error:  # of the champion or the last decision: everything else is among the problems
        other, command = "train a replacement", f"{settings.project} retrain --accept-not-comparable"
        if "/decisions/" in f"/{error.problem.path}":
            other, named = "name the champion without it", registry.described()
            why = "--reason 'the last decision is damaged'"
            command = f"{settings.project} registry rollback --to {named} {why}" if named else ""
        yield Check("registry", "error", str(error), f"restore it, or {other}", command)
        return
    except (ProjectError, OSError) as error:
        yield Check("registry", "error", str(error), "do what the message says")
        return
    for problem in errors:
        yield Check("registry", "error", f"{problem.path} {problem.what}", problem.fix)
    if not errors:
        found = f"undamaged, {champion.id} in production" if champion else "undamaged, no model in production yet"
        if damaged:
            found = f"{champion and champion.id} in production is undamaged; {len(damaged)} old files are damaged"
        retrain = ("train the first model", f"{settings.project} retrain")
        yield Check("registry", "ok", found) if champion else Check("registry", "warning", found, *retrain)
    if champion:
        yield _check_champion(registry, champion, project=project)


def _is_obsolete(problem: "Problem", registry: "Registry") -> bool:
    """Say whether a damaged file no longer matters: it describes a version not in use, or an earlier decision."""
    in_use = (registry.champion(), registry.staging())
    names = {version.id for version in in_use if version} | registry.held().keys()
    return "/decisions/" in f"/{problem.path}" or (
        "/versions/" in f"/{problem.path}" and not any(name in problem.path for name in names)
    )


def _check_champion(registry: "Registry", champion: "Version", *, project: Project) -> Check:
    """Load the model in production as `score` does; it is trained, so it takes the libraries it was trained with."""
    from ..data import changed_imports
    from ..registry import Damaged
    from ..training import NoContractError, OtherPackagesError, load_model

    other = "train a replacement"
    command = f"{project.settings.project} retrain --accept-not-comparable"
    try:
        model = load_model(registry, champion, project=project)
    except (NoContractError, OtherPackagesError) as error:
        return Check("champion", "error", str(error), other, command)
    except Damaged as error:
        found = f"{champion.id} cannot be loaded: {error.problem.path} {error.problem.what}"
        return Check("champion", "error", found, f"{error.problem.fix.rstrip('.')}, or {other}", command)
    except ProjectError as error:
        fix = f"restore the code or packages it needs, or {other}"
        return Check("champion", "error", f"{champion.id} cannot be loaded: {error}", fix, command)
    if changed := changed_imports(model.contract.imports, project):
        found = f"{champion.id} was trained with {', '.join(changed)}, which has changed since"
        return Check("champion", "warning", found, f"restore the old code, or {other}", command)
    return Check("champion", "ok", f"{champion.id} can be loaded")


def _check_disk(settings: Settings) -> Check:
    free = shutil.disk_usage(settings.root).free
    found = f"{free / 1e9:.1f} GB free at {settings.root}"
    if free < LEAST_FREE_BYTES:
        return Check("disk space", "error", found, "free disk space, or lower registry.keep")
    return Check("disk space", "ok", found)


def _find_lock(settings: Settings) -> Path:
    """Return the lock that this environment was made from, which `make setup` notes, or that the settings need."""
    names = ("requirements.lock", LOCK)
    marks = [mark for name in names if (mark := settings.root / ".venv" / f".{name}").exists()]
    if marks:
        return settings.root / max(marks, key=lambda mark: mark.stat().st_mtime).name.removeprefix(".")
    extras = settings.scale_out.runner == "dask" or settings.registry.kind == "mlflow"
    return settings.root / names[extras]


def _check_lock(settings: Settings) -> Check:
    """Compare what is installed with the lock, which pip and uv only do on request."""
    from packaging.requirements import Requirement

    lock = _find_lock(settings)
    if not lock.exists():
        if not (settings.root / "pyproject.toml").exists():  # such as the volume of a container
            return Check("lock", "ok", f"none at {lock.parent}: the environment was made elsewhere")
        return Check("lock", "warning", f"there is no {lock.name} at {lock.parent}", "restore it from git")
    missing, differing = [], []
    for line in lock.read_text(encoding="utf-8").splitlines():
        if "==" not in line or line.startswith(("#", " ")):
            continue
        pinned = Requirement(line.rstrip("\\ "))
        if pinned.marker and not pinned.marker.evaluate():
            continue
        try:
            installed = version(pinned.name)
        except PackageNotFoundError:
            missing.append(f"{pinned.name} {str(pinned.specifier).removeprefix('==')}")
            continue
        if not pinned.specifier.contains(installed, prereleases=True):
            differing.append(f"{pinned.name} {installed} (required: {str(pinned.specifier).removeprefix('==')})")
    if missing or differing:
        kinds = {f"of {lock.name} not installed": missing, f"with another version than in {lock.name}": differing}
        found = "; ".join(
            f"{len(names)} package{'s' * (len(names) > 1)} {what}: {', '.join(names[:5] + ['…'] * (len(names) > 5))}"
            for what, names in kinds.items()
            if names
        )
        command = f"touch {lock.name} && make setup LOCK={lock.name}"
        return Check("lock", "error", found, f"install the package versions of {lock.name}", command)
    return Check("lock", "ok", "matches the installed packages")
