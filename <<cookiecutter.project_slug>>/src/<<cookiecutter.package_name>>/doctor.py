"""What is wrong with this project now: each check with its fix.

Speaks HTTP to the Prefect API instead of importing Prefect, which alone would take longer than all the checks.
"""

import base64
import os
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from . import template
from .errors import ProjectError
from .locations import PREFECT_SECRET
from .settings import Settings, load_settings

if TYPE_CHECKING:
    from .registry import Registry, Version

Severity = Literal["ok", "warning", "error"]
API_SECONDS = 2.0
LEAST_FREE_BYTES = 2**30


@dataclass(frozen=True)
class Check:
    """What was checked and found; `fix` is empty where nothing is wrong."""

    name: str
    severity: Severity
    found: str
    fix: str = ""


def examine(*, send: bool = False) -> list[Check]:
    """Run every check; one that cannot be made because an earlier one failed is left out.

    Args:
        send: Also send a test message, the way that failures are reported.
    """
    test_message = [_send_test_message()] if send else []
    try:
        settings = load_settings()
    except ProjectError as error:
        fix = "correct config.toml or the environment variable"
        return [Check("settings", "error", str(error), fix), *test_message]
    checks = [_guarded("settings", lambda: _check_settings(settings))]
    checks.append(
        Check("template", "ok", f"{template.VERSION}; `cruft check` says whether there is a newer one")
    )
    checks.append(_guarded("data source", lambda: _check_source(settings)))
    checks += _check_registry(settings)
    checks.append(_guarded("disk space", lambda: _check_disk(settings)))
    checks.append(_guarded("lock", lambda: _check_lock(settings.root / "requirements.lock")))
    checks += _check_api(settings)
    return checks + test_message


def _check_settings(settings: Settings) -> Check:
    from .checks import check

    check(settings)
    return Check("settings", "ok", f"{settings.problem_type}, target {settings.data.target!r}")


def _send_test_message() -> Check:
    """Send a message exactly as a failed run does: its block is found even where settings are broken."""
    from .orchestration import NotSent, deliver, recipient, trial_message

    project, block = recipient()
    if not block:
        return Check(
            "test message", "error", "no block is set: nobody is notified", "set notifications.block"
        )
    try:
        deliver(trial_message(project=project), block=block)
    except NotSent as error:
        return Check("test message", "error", str(error), "setup slack")
    return Check("test message", "ok", f"{block} took it: see that it arrived")


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except ProjectError as error:
        return Check(name, "error", str(error), "fix what the message says")
    except OSError as error:
        return Check(name, "error", f"{type(error).__name__}: {error}", "make it readable and writable")


def _check_source(settings: Settings) -> Check:
    from . import data

    source = data.resolve(settings.data.source, as_of=None)
    if any(name.startswith(PREFECT_SECRET) for name in source.placeholders):
        from .orchestration import with_prefect_secrets

        source = with_prefect_secrets(source)
    state = data.fingerprint(source, settings=settings)
    seen = "a change in it is seen" if state else "fetched anew by every run"
    return Check("data source", "ok", f"{settings.data.source}, {seen}")


def _check_registry(settings: Settings) -> Iterator[Check]:
    from .registry import open_registry

    try:
        registry = open_registry(settings)
        champion = registry.champion()
        errors = [problem for problem in registry.verify() if problem.severity == "error"]
    except (ProjectError, OSError) as error:
        yield Check("registry", "error", str(error), "see `registry verify`")
        return
    for problem in errors:
        yield Check("registry", "error", f"{problem.path} {problem.what}", problem.fix)
    if not errors:
        found = f"whole, {champion.id} in production" if champion else "whole, no model in production yet"
        yield Check("registry", "ok" if champion else "warning", found, "" if champion else "run retrain")
        if champion:
            yield _check_champion(registry, champion)


def _check_champion(registry: "Registry", champion: "Version") -> Check:
    """Load the model in production as `score` does; it is trained, so it takes the libraries it was trained with."""
    from .data import changed_imports
    from .training import NoContractError, OtherPackagesError, load_model

    fix = "bring back the code or packages it needs, registry rollback, or retrain --accept-not-comparable"
    try:
        model = load_model(registry, champion)
    except (NoContractError, OtherPackagesError) as error:
        return Check("champion", "error", str(error), "retrain --accept-not-comparable")
    except ProjectError as error:
        return Check("champion", "error", f"{champion.id} cannot be loaded: {error}", fix)
    if changed := changed_imports(model.contract.imports):
        found = f"{champion.id} was trained with {', '.join(changed)}, which changed since"
        return Check("champion", "warning", found, fix)
    return Check("champion", "ok", f"{champion.id} can be loaded")


def _check_disk(settings: Settings) -> Check:
    free = shutil.disk_usage(settings.root).free
    found = f"{free / 1e9:.1f} GB free at {settings.root}"
    if free < LEAST_FREE_BYTES:
        return Check("disk space", "error", found, "free some, or lower registry.keep")
    return Check("disk space", "ok", found)


def _check_lock(lock: Path) -> Check:
    """Compare what is installed with the lock, which pip and uv only do on request."""
    from packaging.requirements import Requirement

    if not lock.exists():
        return Check("lock", "warning", f"there is no {lock.name} at {lock.parent}", "restore it from git")
    differing = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        if "==" not in line or line.startswith(("#", " ")):
            continue
        pinned = Requirement(line.rstrip("\\ "))
        if pinned.marker and not pinned.marker.evaluate():
            continue
        try:
            installed = version(pinned.name)
        except PackageNotFoundError:
            installed = "not installed"
        if not pinned.specifier.contains(installed, prereleases=True) if installed[0].isdigit() else True:
            differing.append(f"{pinned.name} {installed} (lock: {pinned.specifier})")
    if differing:
        return Check("lock", "error", "; ".join(differing[:5]), "touch requirements.lock && make setup")
    return Check("lock", "ok", "in step with what is installed")


def _check_api(settings: Settings) -> Iterator[Check]:
    import httpx

    url = _api_url()
    if not url:
        yield Check(
            "API",
            "warning",
            "PREFECT_API_URL is not set: each command runs a server of its own, and schedules do not run",
            "make server, then export PREFECT_API_URL=http://127.0.0.1:4200/api",
        )
        return
    with httpx.Client(base_url=url, timeout=API_SECONDS, headers=_authorization()) as client:
        try:
            answer = client.get("/admin/version")
            if answer.status_code in (401, 403):
                fix = (
                    "export PREFECT_API_AUTH_STRING=user:password, or PREFECT_API_KEY, as the server wants it"
                )
                yield Check("API", "error", f"{url} wants authentication ({answer.status_code})", fix)
                return
            server = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            yield Check("API", "error", f"{url} does not answer ({type(error).__name__})", "make server")
            return
        yield Check("API", "ok", f"{url} answers")
        yield _check_version(str(server))
        yield from _check_deployment(client, settings)
        yield from _check_schedules(client, settings)
        yield _check_automations(client, settings)
        yield _check_block(client, settings.notifications.block)


def _authorization() -> dict[str, str]:
    """Return the header that proves who asks, as Prefect's own client makes it."""
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if words := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}
    return {}


def _api_url() -> str | None:
    """Return the API of the environment, or of Prefect's active profile."""
    if url := os.environ.get("PREFECT_API_URL"):
        return url
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    try:
        profiles = tomllib.loads((home / "profiles.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return None
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
    return profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL")


def _check_version(server: str) -> Check:
    client = version("prefect")
    found = f"server {server}, client {client}"
    if server.split(".")[:2] != client.split(".")[:2]:
        return Check("server version", "error", found, "restart the server from this project: make server")
    return Check("server version", "ok", found)


def _check_deployment(client: Any, settings: Settings) -> Iterator[Check]:
    project = settings.project
    answer = client.get(f"/deployments/name/retrain/{project}")
    if answer.status_code == 404:
        yield Check("deployment", "error", f"retrain/{project} is not registered", "make deploy")
        return
    deployment = answer.raise_for_status().json()
    active = [schedule for schedule in deployment["schedules"] if schedule["active"]]
    if not settings.schedule.kind:
        yield Check("schedule", "ok", "none is set: retrain is started by hand")
    elif deployment["paused"] or not active:
        resumed = f"prefect api POST /deployments/{deployment['id']}/resume_deployment"
        asleep = [schedule["id"] for schedule in deployment["schedules"] if not schedule["active"]]
        woken = [f"prefect deployment schedule resume retrain/{project} {one}" for one in asleep]
        fix = " && ".join([resumed] * deployment["paused"] + woken) or "make deploy, or prefect deploy --all"
        yield Check("schedule", "error", "paused, or none is active: it will never start by itself", fix)
    else:
        yield Check("schedule", "ok", f"{len(active)} active")
    if deployment["status"] != "READY":
        pool = deployment["work_pool_name"]
        fix = f"prefect worker start --pool {pool}" if pool else "make deploy, and keep it running"
        yield Check("worker", "error", f"nobody polls for retrain/{project}: its runs stay late", fix)
    else:
        yield Check("worker", "ok", "polling")


def _check_schedules(client: Any, settings: Settings) -> Iterator[Check]:
    """Compare the registered schedules with those of the settings, of which deploying makes a copy."""
    for flow, schedule in settings.schedules.items():
        answer = client.get(f"/deployments/name/{flow}/{settings.project}")
        if answer.status_code != 200:
            continue
        wanted = f"{schedule.kind} in {schedule.timezone}" if schedule.kind else "none"
        registered = [_schedule_text(entry["schedule"]) for entry in answer.json()["schedules"]]
        if registered != ([wanted] if schedule.kind else []):
            found = (
                f"{flow} is registered with {' and '.join(registered) or 'none'}, the settings say {wanted}"
            )
            yield Check("schedule", "error", found, "make deploy, or prefect deploy --all")


def _schedule_text(registered: dict[str, Any]) -> str:
    if "interval" in registered:
        spelled = f"interval {registered['interval']:g}"
    elif "rrule" in registered:  # a rule comes back below its start
        spelled = "rrule " + registered["rrule"].splitlines()[-1].removeprefix("RRULE:")
    else:
        spelled = f"cron {registered['cron']}"
    return f"{spelled} in {registered['timezone']}"


def _check_automations(client: Any, settings: Settings) -> Check:
    """Check what the server watches: heartbeats, and with a block also failures, collisions and lateness."""
    wanted = ["crash detection"]
    if settings.notifications.block:
        wanted += ["unreported failures", "collisions", "late runs"]
    names = [f"{settings.project}: {name}" for name in wanted]
    answer = client.post("/automations/filter", json={"automations": {"name": {"any_": names}}})
    enabled = {one["name"]: one["enabled"] for one in (answer.json() if answer.status_code == 200 else [])}
    if disabled := [name for name, on in enabled.items() if not on]:
        found = f"disabled: {', '.join(disabled)}"
        fix = "; ".join(f"prefect automation resume '{name}'" for name in disabled)
        return Check("automations", "error", found, fix)
    if names[0] not in enabled:
        found = "none: a run that is killed together with its runner stays Running, and keeps the next from starting"
        return Check("automations", "warning", found, "make deploy, or prefect deploy --all")
    if missing := [name for name in names if name not in enabled]:
        found = f"not registered: {', '.join(missing)}; the notification block was not there"
        return Check("automations", "warning", found, "save the block, then deploy again")
    return Check("automations", "ok", f"{len(enabled)} enabled")


def _check_block(client: Any, block: str | None) -> Check:
    if not block:
        return Check(
            "notifications", "warning", "no block is set: nobody is notified", "set notifications.block"
        )
    kind, _, name = block.partition("/")
    answer = client.get(f"/block_types/slug/{kind}/block_documents/name/{name}")
    if answer.status_code != 200:
        return Check("notifications", "error", f"there is no block {block}", "setup slack")
    return Check("notifications", "ok", block)
