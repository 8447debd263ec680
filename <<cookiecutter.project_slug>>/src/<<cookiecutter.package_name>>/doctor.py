"""What is wrong with this project now: each check with its fix.

Speaks HTTP to the Prefect API instead of importing Prefect, which alone would take longer than all the checks.
"""

import base64
import datetime
import os
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from . import optional, template
from .errors import ProjectError
from .locations import PREFECT_SECRET
from .settings import Settings, load_settings

if TYPE_CHECKING:
    from .registry import Registry, Version

Severity = Literal["ok", "warning", "error"]
API_SECONDS = 2.0
CANCEL_SECONDS = 60.0  # ending a run that was cancelled takes less
HEAD_ROWS = 1000
LEAST_FREE_BYTES = 2**30


@dataclass(frozen=True)
class Check:
    """What was checked and found.

    Attributes:
        name: What was checked.
        severity: How bad it is.
        found: What was found.
        fix: What to do; empty where nothing is wrong.
        command: The command that does it; empty where a person has to choose or edit.
    """

    name: str
    severity: Severity
    found: str
    fix: str = ""
    command: str = ""


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
    for part in optional.modules("checks"):
        checks.append(_guarded(part.NAME, lambda part=part: Check(part.NAME, "ok", part.check(settings))))  # type: ignore[misc]
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
        return Check("test message", "error", str(error), *_new_block(project, block))
    return Check("test message", "ok", f"{block} took it: see that it arrived")


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except ProjectError as error:
        return Check(name, "error", str(error), "do what the message says", error.command)
    except OSError as error:
        return Check(name, "error", f"{type(error).__name__}: {error}", "make it readable and writable")


def _check_source(settings: Settings) -> Check:
    from . import data

    source = data.resolve(settings.data.source, as_of=None)
    if any(name.startswith(PREFECT_SECRET) for name in source.placeholders):
        from .orchestration import with_prefect_secrets

        source = with_prefect_secrets(source)
    state = data.fingerprint(source, settings=settings)
    if (head := data.head(source, settings=settings, rows=HEAD_ROWS)) is not None:
        data.require_target(head, settings=settings, code=data.current_code())
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
        retrain = ("train the first one", f"{settings.project} retrain")
        yield Check("registry", "ok", found) if champion else Check("registry", "warning", found, *retrain)
    if champion:
        yield _check_champion(registry, champion, project=settings.project)


def _check_champion(registry: "Registry", champion: "Version", *, project: str) -> Check:
    """Load the model in production as `score` does; it is trained, so it takes the libraries it was trained with."""
    from .data import changed_imports
    from .training import NoContractError, OtherPackagesError, load_model

    other = "train one that takes its place"
    command = f"{project} retrain --accept-not-comparable"
    try:
        model = load_model(registry, champion)
    except (NoContractError, OtherPackagesError) as error:
        return Check("champion", "error", str(error), other, command)
    except ProjectError as error:
        fix = f"bring back the code or packages it needs, or {other}"
        return Check("champion", "error", f"{champion.id} cannot be loaded: {error}", fix, command)
    if changed := changed_imports(model.contract.imports):
        found = f"{champion.id} was trained with {', '.join(changed)}, which changed since"
        return Check("champion", "warning", found, f"bring it back, or {other}", command)
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
        found, command = "; ".join(differing[:5]), f"touch {lock.name} && make setup"
        return Check("lock", "error", found, "install what the lock says", command)
    return Check("lock", "ok", "in step with what is installed")


def _check_api(settings: Settings) -> Iterator[Check]:
    import httpx

    url = _api_url()
    if not url:
        yield Check(
            "API",
            "warning",
            "PREFECT_API_URL is not set: each command runs a server of its own, and schedules do not run",
            "start one, and set PREFECT_API_URL to the address that it prints",
            "make server",
        )
        return
    with httpx.Client(base_url=url, timeout=API_SECONDS, headers=_authorization()) as client:
        try:
            answer = client.get("/admin/version")
            if answer.status_code in (401, 403):
                fix = (
                    "export PREFECT_API_AUTH_STRING=user:password, or PREFECT_API_KEY, as the server wants it"
                )
                found = f"{url} wants authentication ({answer.status_code})"
                yield Check("API", "error", found, fix)
                return
            server = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            found = f"{url} does not answer ({type(error).__name__})"
            yield Check("API", "error", found, "start it, or correct PREFECT_API_URL", "make server")
            return
        yield Check("API", "ok", f"{url} answers")
        yield _check_version(str(server))
        deployments = {name: _deployment(client, name, settings) for name in settings.schedules}
        yield from _check_deployment(deployments["retrain"], settings)
        yield from _check_schedules(deployments, settings)
        yield from _check_slots(client, settings)
        yield _check_automations(client, settings, deploy=_deploy_command(deployments["retrain"]))
        yield _check_block(client, settings)


def _deployment(client: Any, flow: str, settings: Settings) -> dict[str, Any] | None:
    answer = client.get(f"/deployments/name/{flow}/{settings.project}")
    return None if answer.status_code == 404 else answer.raise_for_status().json()


def _deploy_command(deployment: dict[str, Any] | None) -> str:
    """Return the command that deployed this, so that its runs go where they went."""
    return "prefect deploy --all" if deployment and deployment["work_pool_name"] else "make deploy"


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
        return Check("server version", "error", found, "start it anew from this project", "make server")
    return Check("server version", "ok", found)


def _check_deployment(deployment: dict[str, Any] | None, settings: Settings) -> Iterator[Check]:
    name = f"retrain/{settings.project}"
    if deployment is None:
        yield Check("deployment", "error", f"{name} is not registered", "deploy it", "make deploy")
        return
    active = [schedule for schedule in deployment["schedules"] if schedule["active"]]
    if not settings.schedule.kind:
        yield Check("schedule", "ok", "none is set: retrain is started by hand")
    elif not settings.schedule.active:
        yield Check("schedule", "ok", "schedule.active is false: retrain is started by hand")
    elif deployment["paused"] or not active:
        resumed = f"prefect api POST /deployments/{deployment['id']}/resume_deployment"
        asleep = [schedule["id"] for schedule in deployment["schedules"] if not schedule["active"]]
        woken = [f"prefect deployment schedule resume {name} {one}" for one in asleep]
        command = " && ".join([resumed] * deployment["paused"] + woken) or _deploy_command(deployment)
        found = "paused, or none is active: it will never start by itself"
        yield Check("schedule", "error", found, "resume it", command)
    else:
        yield Check("schedule", "ok", f"{len(active)} active")
    if deployment["status"] != "READY":
        pool = deployment["work_pool_name"]
        command = f"prefect worker start --pool {pool}" if pool else "make deploy"
        found = f"nobody polls for {name}: its runs stay late"
        yield Check("worker", "error", found, "keep this running", command)
    else:
        yield Check("worker", "ok", "polling")


def _check_schedules(deployments: dict[str, dict[str, Any] | None], settings: Settings) -> Iterator[Check]:
    """Compare the registered schedules with those of the settings, of which deploying makes a copy."""
    for flow, schedule in settings.schedules.items():
        if (deployment := deployments[flow]) is None:
            continue
        wanted = f"{schedule.kind} in {schedule.timezone}" if schedule.kind else "none"
        registered = [_schedule_text(entry["schedule"]) for entry in deployment["schedules"]]
        if registered != ([wanted] if schedule.kind else []):
            found = (
                f"{flow} is registered with {' and '.join(registered) or 'none'}, the settings say {wanted}"
            )
            yield Check("schedule", "error", found, "deploy again", _deploy_command(deployment))


def _check_slots(client: Any, settings: Settings) -> Iterator[Check]:
    """Find runs that were cancelled and have not ended: each holds its flow's slot, and later ones are cancelled."""
    cancelling = {"flow_runs": {"state": {"type": {"any_": ["CANCELLING"]}}}}
    ours = {"deployments": {"name": {"any_": [settings.project]}}}
    answer = client.post("/flow_runs/filter", json=cancelling | ours)
    for run in answer.raise_for_status().json():
        since = datetime.datetime.fromisoformat(run["state"]["timestamp"])
        if (datetime.datetime.now(datetime.UTC) - since).total_seconds() < CANCEL_SECONDS:
            continue
        end = """--data '{"state": {"type": "CANCELLED"}, "force": true}'"""
        yield Check(
            "slot",
            "error",
            f"{run['name']} was cancelled at {since:%Y-%m-%d %H:%M} UTC and has not ended: later runs are cancelled",
            "see that its process is gone, then end it",
            f"prefect api POST /flow_runs/{run['id']}/set_state {end}",
        )


def _schedule_text(registered: dict[str, Any]) -> str:
    if "interval" in registered:
        spelled = f"interval {registered['interval']:g}"
    elif "rrule" in registered:  # a rule comes back below its start
        spelled = "rrule " + registered["rrule"].splitlines()[-1].removeprefix("RRULE:")
    else:
        spelled = f"cron {registered['cron']}"
    return f"{spelled} in {registered['timezone']}"


def _check_automations(client: Any, settings: Settings, *, deploy: str) -> Check:
    """Check what the server watches: heartbeats, and with a block also failures, collisions and lateness."""
    wanted = ["crash detection", *(f"time limit of {flow}" for flow in settings.schedules)]
    if settings.notifications.block:
        wanted += ["unreported failures", "collisions", "late runs"]
    names = [f"{settings.project}: {name}" for name in wanted]
    answer = client.post("/automations/filter", json={"automations": {"name": {"any_": names}}})
    enabled = {one["name"]: one["enabled"] for one in (answer.json() if answer.status_code == 200 else [])}
    if disabled := [name for name, on in enabled.items() if not on]:
        command = " && ".join(f"prefect automation resume {shlex.quote(name)}" for name in disabled)
        return Check("automations", "error", f"disabled: {', '.join(disabled)}", "resume them", command)
    if names[0] not in enabled:
        found = "none: a run that is killed together with its runner stays Running, and keeps the next from starting"
        return Check("automations", "warning", found, "deploy again", deploy)
    if missing := [name for name in names if name not in enabled]:
        found = f"not registered: {', '.join(missing)}"
        return Check(
            "automations", "warning", found, "see that the notification block is there; deploy again", deploy
        )
    return Check("automations", "ok", f"{len(enabled)} enabled")


def _check_block(client: Any, settings: Settings) -> Check:
    block = settings.notifications.block
    if not block:
        return Check(
            "notifications", "warning", "no block is set: nobody is notified", "set notifications.block"
        )
    kind, _, name = block.partition("/")
    answer = client.get(f"/block_types/slug/{kind}/block_documents/name/{name}")
    if answer.status_code != 200:
        return Check(
            "notifications", "error", f"there is no block {block}", *_new_block(settings.project, block)
        )
    return Check("notifications", "ok", block)


def _new_block(project: str, block: str) -> tuple[str, str]:
    """Return how to save a block anew: what to do, and the command where there is one."""
    if block.startswith("slack-webhook/"):
        return "save it with the webhook's URL", f"{project} setup slack"
    return "save it in the Prefect UI under Blocks", ""
