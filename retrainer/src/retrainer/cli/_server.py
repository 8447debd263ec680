"""Checks of the Prefect server: its deployments, schedules, automations and messages for this project.

Speaks HTTP to the Prefect API instead of importing Prefect, which alone would take longer than all the checks.
"""

import base64
import datetime
import os
import shlex
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..settings import Settings
from ._check import Check, new_block

API_SECONDS = 2.0
CANCEL_SECONDS = 60.0  # ending a run that was cancelled takes less


def check_server(settings: Settings) -> Iterator[Check]:
    """Check the server, and on it the deployments, schedules, slots, automations and the message block."""
    import httpx

    url = _api_url()
    if not url:
        yield Check(
            "API",
            "warning",
            "PREFECT_API_URL is not set: each command starts its own server, and schedules do not run",
            "start a server, and set PREFECT_API_URL to the address that it prints",
            "make server",
        )
        return
    with httpx.Client(base_url=url, timeout=API_SECONDS, headers=_authorization()) as client:
        try:
            answer = client.get("/admin/version")
            if answer.status_code in (401, 403):
                fix = "export PREFECT_API_AUTH_STRING=user:password, or PREFECT_API_KEY"
                found = f"{url} requires authentication ({answer.status_code})"
                yield Check("API", "error", found, fix)
                return
            server = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            found = f"{url} does not answer ({type(error).__name__})"
            yield Check("API", "error", found, "start it, or correct PREFECT_API_URL", _serve_command(url))
            return
        yield Check("API", "ok", f"{url} answers")
        yield _check_version(str(server), url)
        deployments = {name: _read_deployment(client, name, settings) for name in settings.schedules}
        yield from _check_deployment(deployments["retrain"], settings)
        yield from _check_schedules(deployments, settings)
        yield from _check_slots(client, settings)
        yield _check_automations(client, settings, deploy=_deploy_command(deployments["retrain"]))
        yield _check_block(client, settings)


def _read_deployment(client: Any, flow: str, settings: Settings) -> dict[str, Any] | None:
    answer = client.get(f"/deployments/name/{flow}/{settings.project}")
    return None if answer.status_code == 404 else answer.raise_for_status().json()


def _deploy_command(deployment: dict[str, Any] | None) -> str:
    """Return the command that deployed this, so that its runs go where they went."""
    return "prefect deploy --all" if deployment and deployment["work_pool_name"] else "make deploy"


def _authorization() -> dict[str, str]:
    """Return the authorization header, as Prefect's own client builds it."""
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


def _serve_command(url: str) -> str:
    """Return the command that starts a server on this machine where `url` looks for it."""
    port = urlsplit(url).port or 4200
    return "make server" if port == 4200 else f"make server PORT={port}"


def _check_version(server: str, url: str) -> Check:
    client = version("prefect")
    found = f"server {server}, client {client}"
    if server.split(".")[:2] != client.split(".")[:2]:
        return Check("server version", "error", found, "restart it from this project", _serve_command(url))
    return Check("server version", "ok", found)


def _check_deployment(deployment: dict[str, Any] | None, settings: Settings) -> Iterator[Check]:
    name = f"retrain/{settings.project}"
    if deployment is None:
        yield Check("deployment", "error", f"{name} is not registered", "deploy it", "make deploy")
        return
    active = [schedule for schedule in deployment["schedules"] if schedule["active"]]
    if not settings.schedule.kind:
        yield Check("schedule", "ok", "none is set; start retrain by hand")
    elif not settings.schedule.active:
        yield Check("schedule", "ok", "schedule.active is false; start retrain by hand")
    elif deployment["paused"] or not active:
        resumed = f"prefect api POST /deployments/{deployment['id']}/resume_deployment"
        asleep = [schedule["id"] for schedule in deployment["schedules"] if not schedule["active"]]
        woken = [f"prefect deployment schedule resume {name} {one}" for one in asleep]
        command = " && ".join([resumed] * deployment["paused"] + woken) or _deploy_command(deployment)
        found = "paused, or none is active, so it never starts by itself"
        yield Check("schedule", "error", found, "resume it", command)
    else:
        yield Check("schedule", "ok", f"{len(active)} active")
    if deployment["status"] != "READY":
        pool = deployment["work_pool_name"]
        command = f"prefect worker start --pool {pool}" if pool else "make deploy"
        found = f"no process polls for {name}, so its runs stay late"
        yield Check("worker", "error", found, "keep this running", command)
    else:
        yield Check("worker", "ok", "polling")


def _check_schedules(deployments: dict[str, dict[str, Any] | None], settings: Settings) -> Iterator[Check]:
    """Compare the registered schedules with those of the settings, which deploying copies."""
    for flow, schedule in settings.schedules.items():
        if (deployment := deployments[flow]) is None:
            continue
        wanted = f"{schedule.kind} in {schedule.timezone}" if schedule.kind else "none"
        registered = [_schedule_text(entry["schedule"]) for entry in deployment["schedules"]]
        if registered != ([wanted] if schedule.kind else []):
            found = f"{flow} is registered with {' and '.join(registered) or 'none'}, the settings say {wanted}"
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
            f"{run['name']} was cancelled at {since:%Y-%m-%d %H:%M} UTC and has not ended, so later runs are cancelled",
            "check that its process is gone, then end the run",
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
        wanted += ["unreported failures", "collisions", "cancellations", "late runs"]
    names = [f"{settings.project}: {name}" for name in wanted]
    answer = client.post("/automations/filter", json={"automations": {"name": {"any_": names}}})
    found_there = answer.json() if answer.status_code == 200 else []
    enabled = {one["name"]: one["enabled"] for one in found_there}
    if disabled := [name for name, on in enabled.items() if not on]:
        command = " && ".join(f"prefect automation resume {shlex.quote(name)}" for name in disabled)
        return Check("automations", "error", f"disabled: {', '.join(disabled)}", "resume them", command)
    if names[0] not in enabled:
        found = "none; a run that is killed with its runner stays Running, and the next runs cannot start"
        return Check("automations", "warning", found, "deploy again", deploy)
    if missing := [name for name in names if name not in enabled]:
        found = f"not registered: {', '.join(missing)}"
        return Check("automations", "warning", found, "create the notification block, then deploy again", deploy)
    block = _block_id(client, settings)
    used = {action.get("block_document_id") for one in found_there for action in one["actions"]}
    if block and used - {block, None}:
        found = "they use a notification block that was deleted, so messages of the server are lost"
        return Check("automations", "error", found, "deploy again", deploy)
    return Check("automations", "ok", f"{len(enabled)} enabled")


def _block_id(client: Any, settings: Settings) -> str | None:
    """Return the id of the notification block, None where there is none."""
    kind, _, name = (settings.notifications.block or "").partition("/")
    answer = client.get(f"/block_types/slug/{kind}/block_documents/name/{name}")
    return str(answer.json()["id"]) if name and answer.status_code == 200 else None


def _check_block(client: Any, settings: Settings) -> Check:
    block = settings.notifications.block
    if not block:
        return Check(
            "notifications", "warning", "no notification block is set, so nobody is notified", "set notifications.block"
        )
    if _block_id(client, settings) is None:
        return Check("notifications", "error", f"there is no block {block}", *new_block(settings.project, block))
    return Check("notifications", "ok", block)
