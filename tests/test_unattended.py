"""What happens with nobody looking: on schedule, killed in the middle, away from its data; and what the team hears."""

import http.server
import json
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from .conftest import (
    Bake,
    Project,
    Receiver,
    Runner,
    Server,
    clean_environment,
    ended,
    free_port,
    run_of,
    serving,
    wait_for,
)
from .test_execution import champion, files, write_table

pytestmark = pytest.mark.long

SECRET = "a-secret"  # in the webhook's URL

# The user's own code, in the copy under test: a run waits here for as long as the test holds it.
WAITING = """
import os
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def label(frame):
    while (PROJECT / "hold").exists():
        (PROJECT / "held").write_text(str(os.getpid()))
        time.sleep(0.05)
    return frame


def features(frame):
    return frame
"""

# Registers the retrain deployment once for each set of schedule variables, and prints what the server has then.
REGISTER = """
import json
import os
import sys

from prefect.client.orchestration import get_client

from deploy import deployments
from paused import project

for variables in json.loads(sys.argv[1]):
    os.environ.update({f"PAUSED_SCHEDULE__{name}": value for name, value in variables.items()})
    vars(project).pop("settings", None)
    deployment = deployments()[0].apply()
    with get_client(sync_client=True) as client:
        print(client.request("GET", f"/deployments/{deployment}").text)
    for name in variables:
        del os.environ[f"PAUSED_SCHEDULE__{name}"]
"""


# Registers the deployments, which nobody serves then.
APPLY = "from deploy import deployments\nfor deployment in deployments(): deployment.apply()"


class Unattended:
    """A project with a receiver of its messages, whose retrains can be held in the middle."""

    def __init__(self, project: Project, runner: Runner, receiver: Receiver, log: Path) -> None:
        self.project, self.runner, self.receiver, self.log = project, runner, receiver, log
        self.server = runner.server
        (project.source / "features.py").write_text(WAITING)
        runner.python(project, "setup_slack.py", variables={"SLACK_WEBHOOK_URL": receiver.url})
        receiver.payloads.clear()

    def environment(self, settings: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of what is run in the project."""
        path = {"PATH": f"{self.runner.environment}:{os.environ['PATH']}"}
        return clean_environment() | path | self.runner.variables(self.project, settings) | dict(variables)

    def faults(self, *, variables: Mapping[str, str] = MappingProxyType({}), **settings: str) -> dict[str, str]:
        """Return what doctor finds wrong with server, deployment and messages, each with the command that fixes it."""
        done = subprocess.run(
            ["python", "-m", self.project.package, "doctor", "--json"],
            cwd=self.project.path,
            env=self.environment(settings, variables),
            stdout=subprocess.PIPE,
            check=False,
        )
        names = ("API", "server version", "deployment", "worker", "schedule", "slot", "automations", "notifications")
        wrong = [check for check in json.loads(done.stdout) if check["severity"] != "ok"]
        return {check["name"]: check["command"] for check in wrong if check["name"] in names}

    @contextmanager
    def process(
        self,
        *command: str,
        variables: Mapping[str, str] = MappingProxyType({}),
        by_script: bool = False,
        **settings: str,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command in the background; with `by_script` as a script does with `&`, so that Ctrl-C is ignored."""
        reaction = signal.SIG_IGN if by_script else signal.SIG_DFL
        with self.log.open("a") as output:
            process = subprocess.Popen(
                command,
                cwd=self.project.path,
                env=self.environment(settings, variables),
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, reaction),
            )
        try:
            yield process
        finally:
            (self.project.path / "hold").unlink(missing_ok=True)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def wait(self, what: Any, seconds: float = 300) -> Any:
        return wait_for(what, seconds=seconds, trouble=lambda: f"{self.log.read_text()}\n{self.receiver.payloads}")

    def deployment(self, flow: str = "retrain") -> Any:
        """Return a deployment as soon as it is registered."""
        return self.wait(lambda: self.server.call(f"/deployments/name/{flow}/{self.project.slug}"))

    def runs(self, **filters: Any) -> list[dict[str, Any]]:
        """Return the runs of the retrain deployment."""
        wanted = {"deployment_id": {"any_": [self.deployment()["id"]]}} | filters
        return self.server.call("/flow_runs/filter", {"flow_runs": wanted, "sort": "START_TIME_ASC"})

    def hold(self) -> None:
        """Let the next retrain wait in its middle."""
        (self.project.path / "held").unlink(missing_ok=True)
        (self.project.path / "hold").touch()

    def held(self) -> int:
        """Return the process of the retrain that waits."""
        held = self.project.path / "held"
        return int(self.wait(lambda: held.exists() and held.read_text()))

    def release(self) -> None:
        (self.project.path / "hold").unlink()

    def end(self, flow_run: str) -> dict[str, Any]:
        """Return a run once it has ended."""
        return self.wait(lambda: ended(self.server, flow_run))

    def become_impatient(self, automation: str, *, after: int) -> None:
        """Let the server wait 10 seconds instead of `after`, which is what was registered."""
        name = {"name": {"any_": [f"{self.project.slug}: {automation}"]}}
        (found,) = self.wait(lambda: self.server.call("/automations/filter", {"automations": name}))
        assert found["trigger"]["within"] == after
        wanted = {key: found[key] for key in ("name", "enabled", "actions", "trigger")}
        wanted["trigger"]["within"] = 10
        self.server.call(f"/automations/{found['id']}", wanted, method="PUT")

    def heartbeat(self, flow_run: str) -> None:
        """Wait until the server has heard of a run, a moment after its start: before that it misses nothing."""
        wanted = {
            "event": {"name": ["prefect.flow-run.heartbeat"]},
            "resource": {"id": [f"prefect.flow-run.{flow_run}"]},
        }
        self.wait(lambda: self.server.call("/events/filter", {"filter": wanted})["events"])

    def message(self, subject: str) -> str:
        """Return the body of the one message received with this subject, as soon as it comes."""

        def received() -> list[str]:
            return [
                payload["message"]
                for payload in self.receiver.payloads
                if payload["title"] == f"{self.project.slug}: {subject}"
            ]

        (body,) = self.wait(received)
        self.receiver.payloads.clear()
        return body

    def assert_untouched(self, models: dict[str, bytes]) -> None:
        """Production is what it was, and the registry whole."""
        assert files(self.project.path / "models") == models
        assert self.runner.command(self.project, "registry", "verify", "--json") == []

    def assert_secret_is_kept(self) -> None:
        """The webhook's URL is in no log, no artifact and no file of the project."""
        known = [self.log.read_bytes(), *files(self.project.path).values()]
        for what in ("logs", "artifacts", "flow_runs", "task_runs"):
            known.append(json.dumps(self.server.call(f"/{what}/filter", {})).encode())
        assert not [text for text in known if SECRET.encode() in text]


@pytest.fixture
def unattended(own_copy: Bake, runner: Runner, receiver: Receiver, tmp_path: Path) -> Any:
    """Return a function that renders a project with answers and sets its messages up."""

    def make(name: str, **answers: str) -> Unattended:
        project = own_copy(project_slug=name, package_name=name, slack_block=f"{name}-block", **answers)
        return Unattended(project, runner, receiver, tmp_path / "process.log")

    return make


def triggers(server: Server, deployment: dict[str, Any]) -> list[Any]:
    """Return what starts a deployment beside its schedule: the events, of what, and what is done."""
    related = server.call(f"/automations/related-to/prefect.deployment.{deployment['id']}")
    return [
        (
            automation["trigger"]["expect"],
            automation["trigger"]["match"],
            [action["type"] for action in automation["actions"]],
            automation["enabled"],
        )
        for automation in related
    ]


def drift_triggers(project: str) -> list[Any]:
    """Return what `triggers` must find for retrain, however it was deployed."""
    return [(["retraining.drift"], {"prefect.resource.id": f"retraining.{project}"}, ["run-deployment"], True)]


def assert_scheduled(deployment: dict[str, Any], *, cron: str, timezone: str) -> None:
    """One run at a time, and this cron among its schedules, active."""
    spelt = [
        (schedule["schedule"]["cron"], schedule["schedule"]["timezone"], schedule["active"])
        for schedule in deployment["schedules"]
        if "cron" in schedule["schedule"]
    ]
    assert spelt == [(cron, timezone, True)]
    assert not deployment["paused"]
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"


def test_deploy_py_keeps_its_schedule_never_overlaps_and_says_what_it_cuts_short(unattended: Any) -> None:
    life = unattended("served")
    life.hold()
    command, settings = ("python", "deploy.py"), {"SCHEDULE__CRON": "", "SCHEDULE__INTERVAL": "5"}
    with life.process(*command, by_script=True, **settings) as process:
        life.held()
        (first,) = life.runs(state={"type": {"any_": ["RUNNING"]}})
        second = life.end(run_of(life.server, life.deployment()))
        life.server.call(f"/deployments/{life.deployment()['id']}/pause_deployment", {})
        life.release()

        assert first["auto_scheduled"]
        assert (second["state_type"], second["state"]["message"]) == (
            "CANCELLED",
            "Deployment concurrency limit reached.",
        )
        collision = "served: retrain cancelled, another run is in progress"
        life.wait(lambda: collision in [payload["title"] for payload in life.receiver.payloads])
        assert life.end(first["id"])["state_type"] == "COMPLETED", life.log.read_text()
        version = champion(life.project)["version"]
        assert f"In production: {version}" in life.message(f"{version} promoted")
        assert triggers(life.server, life.deployment()) == drift_triggers("served")

        models = files(life.project.path / "models")
        life.hold()
        third = run_of(life.server, life.deployment())
        life.held()
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=60)

    assert life.end(third)["state_type"] == "CANCELLED"
    assert f"In production: {version}" in life.message("retrain cancelled")
    life.assert_untouched(models)
    assert code == 0
    assert "Traceback" not in life.log.read_text(), life.log.read_text()
    life.assert_secret_is_kept()


def test_prefect_yaml_keeps_its_schedule_and_the_team_hears_of_what_was_killed(unattended: Any) -> None:
    life = unattended("pooled", work_pool="some-pool", schedule="15 4 * * 2", timezone="Asia/Tokyo")
    life.runner.prefect(life.project, "work-pool", "create", "--type", "process", "some-pool")
    life.runner.prefect(life.project, "deploy", "--all")
    assert_scheduled(life.deployment(), cron="15 4 * * 2", timezone="Asia/Tokyo")
    config = life.project.source / "config.toml"
    config.write_text(config.read_text().replace("15 4 * * 2", "45 4 * * 2"))
    life.runner.prefect(life.project, "deploy", "--all")
    assert_scheduled(life.deployment(), cron="45 4 * * 2", timezone="Asia/Tokyo")
    life.runner.prefect(life.project, "deploy", "--all", SCHEDULE__CRON="")
    assert life.deployment()["schedules"] == []
    wrong = life.faults(SCHEDULE__CRON="", SCHEDULE__INTERVAL="5")
    assert wrong == {"schedule": "prefect deploy --all", "worker": "prefect worker start --pool some-pool"}
    life.runner.prefect(life.project, "deploy", "--all", SCHEDULE__CRON="", SCHEDULE__INTERVAL="5")
    deployment = life.deployment()
    worker = shlex.split(wrong["worker"])

    with life.process(*worker) as process:
        life.wait(lambda: not life.faults(SCHEDULE__CRON="", SCHEDULE__INTERVAL="5"))
        first = life.wait(lambda: life.runs(state={"type": {"any_": ["COMPLETED"]}}))[0]
        life.server.call(f"/deployments/{deployment['id']}/pause_deployment", {})
        assert first["auto_scheduled"]
        assert triggers(life.server, deployment) == drift_triggers("pooled")
        version = champion(life.project)["version"]
        models = files(life.project.path / "models")

        life.hold()
        killed = run_of(life.server, deployment)
        os.kill(life.held(), signal.SIGKILL)
        assert life.end(killed)["state_type"] == "CRASHED"
        said = life.message("retrain crashed")
        assert "SIGKILL" in said
        assert f"In production: {version}" in said
        life.assert_untouched(models)

        life.become_impatient("crash detection", after=3 * 180)
        life.become_impatient("unreported failures", after=120)
        life.hold()
        left = run_of(life.server, deployment)
        life.held()
        life.heartbeat(left)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        assert life.end(left)["state"]["message"].startswith("No heartbeat for 9 minutes")
        assert "No heartbeat for 9 minutes" in life.message("retrain crashed")
        life.assert_untouched(models)

    with life.process(*worker) as process:
        life.hold()
        orphan = run_of(life.server, deployment)
        life.held()
        process.kill()
        process.wait()
        life.release()
        assert life.end(orphan)["state_type"] == "CRASHED"
        assert f"In production: {version}" in life.message("retrain crashed")
    life.assert_untouched(models)
    life.assert_secret_is_kept()


def test_a_run_that_hangs_is_ended_and_the_server_tells_of_one_whose_code_cannot_be_imported(
    unattended: Any,
) -> None:
    life = unattended("unimportable")
    with life.process("python", "deploy.py", SCHEDULE__CRON="", SCHEDULE__TIME_LIMIT="10"):
        deployment = life.deployment()
        life.hold()
        hanging = run_of(life.server, deployment)
        life.held()
        assert life.end(hanging)["state_type"] == "CANCELLED"
        assert "It ran for longer than 0:00:10 (schedule.time_limit)." in life.message("retrain cancelled")
        assert life.runner.command(life.project, "registry", "list", "--json") == []
        life.release()

        life.become_impatient("unreported failures", after=120)
        (life.project.source / "tasks.py").write_text("def fetch(\n")

        assert life.end(run_of(life.server, deployment))["state_type"] == "CRASHED"

        assert "exited with" in life.message("retrain crashed")


def test_a_run_cancelled_while_the_server_is_away_records_nothing_and_frees_its_slot(
    own_copy: Bake, environment: Path, receiver: Receiver, tmp_path: Path
) -> None:
    project = own_copy(project_slug="outage", package_name="outage", slack_block="outage-block")
    home, port, log = tmp_path / "prefect", free_port(), tmp_path / "process.log"
    home.mkdir()
    with serving(environment, home, port=port) as server:
        life = Unattended(project, Runner(environment, server), receiver, log)
        with life.process("python", "deploy.py", SCHEDULE__CRON="") as process:
            life.hold()
            run = run_of(server, life.deployment())
            life.held()
            process.send_signal(signal.SIGSTOP)  # what is said to it now, it hears when the server is gone
            cancel(server, run)
            server.process.kill()
            process.send_signal(signal.SIGCONT)
            life.release()  # the run goes on to its end, where it would record what it trained
            life.wait(lambda: "websocket failed" in log.read_text())

            with serving(environment, home, port=port):
                back = time.monotonic()
                assert life.end(run)["state_type"] == "CANCELLED"
                life.message("retrain cancelled")
                life.hold()
                second = run_of(server, life.deployment())
                life.held()
                assert time.monotonic() - back < 60, "the slot was not free"

                cancel(server, second)
                life.release()  # a process that lost sight of the server ends no run: the run itself does
                assert life.end(second)["state_type"] == "CANCELLED"
                life.message("retrain cancelled")
                assert life.runner.command(project, "registry", "list", "--json") == []
                assert files(project.path / "models").keys() <= {".lock"}
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=60) == 0


def test_ctrl_c_ends_a_run_with_a_server_of_its_own_at_once(own_copy: Bake, runner: Runner, tmp_path: Path) -> None:
    project, log = own_copy(), tmp_path / "retrain.log"
    (project.source / "features.py").write_text(WAITING)
    (project.path / "hold").touch()
    variables = runner.variables(project, {}) | {"PREFECT_HOME": str(tmp_path / "home")}
    del variables["PREFECT_API_URL"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [runner.environment / "python", "-m", project.package, "retrain"],
            cwd=project.path,
            env=clean_environment() | variables,
            stdout=output,
            stderr=output,
            start_new_session=True,
            # A shell starts what it runs in the background deaf to Ctrl-C, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    try:
        wait_for((project.path / "held").exists, trouble=log.read_text)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the command and its server
        wait_for(lambda: process.poll() is not None, trouble=log.read_text, seconds=40)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    said = log.read_text()
    assert process.returncode == 130
    assert "aborted by an interrupt signal" in said
    assert "Traceback" not in said
    assert not (project.path / "models" / "decisions").exists()


def cancel(server: Server, flow_run: str) -> None:
    """Cancel a run as Prefect's UI does."""
    server.call(f"/flow_runs/{flow_run}/set_state", {"state": {"type": "CANCELLING"}})


class Outdated(http.server.BaseHTTPRequestHandler):
    """A server of an older Prefect without deployments, as far as doctor asks it."""

    def do_GET(self) -> None:
        self.answer(200 if self.path.endswith("/admin/version") else 404, "2.0.0")

    def do_POST(self) -> None:
        self.answer(200, [])

    def answer(self, status: int, content: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


def test_what_doctor_prints_for_make_cures_and_a_run_that_nobody_starts_is_told_of(
    unattended: Any, environment: Path, tmp_path: Path
) -> None:
    life = unattended("doctored")
    (life.project.path / ".venv").symlink_to(environment.parent)
    (environment.parent / ".requirements.lock").touch()  # it is set up

    assert life.faults() == {"deployment": "make deploy", "automations": "make deploy"}
    life.runner.python(life.project, "-c", APPLY, SCHEDULE__CRON="5 5 5 5 *")
    wrong = life.faults()
    assert wrong == dict.fromkeys(("worker", "schedule", "automations"), "make deploy")
    with life.process(*shlex.split(wrong["worker"])) as process:
        life.wait(lambda: not life.faults())
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)
    block = life.server.call("/block_types/slug/slack-webhook/block_documents/name/doctored-block")
    life.server.call(f"/block_documents/{block['id']}", method="DELETE")
    life.runner.python(life.project, "setup_slack.py", variables={"SLACK_WEBHOOK_URL": life.receiver.url})
    stale = life.faults()["automations"]
    assert stale == "make deploy"
    with life.process(*shlex.split(stale)) as process:
        life.wait(lambda: not life.faults())
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)
    run_of(life.server, life.deployment())

    port = str(free_port())
    nowhere = {"PREFECT_API_URL": "", "PREFECT_HOME": str(tmp_path / "home")}
    there = nowhere | {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    assert life.faults(variables=nowhere) == {"API": "make server"}
    with http.server.HTTPServer(("127.0.0.1", int(port)), Outdated) as outdated:
        threading.Thread(target=outdated.serve_forever).start()
        assert life.faults(variables=there)["server version"] == f"make server PORT={port}"
        outdated.shutdown()
    wrong = life.faults(variables=there)
    assert wrong == {"API": f"make server PORT={port}"}
    with life.process(*shlex.split(wrong["API"]), variables=nowhere):
        life.wait(lambda: not {"API", "server version"} & life.faults(variables=there).keys())

    assert "no process has started it" in life.message("retrain is late")


def shifted(row: int) -> float:
    """Return a value that training has never seen."""
    return 500 + row % 50


def test_drift_that_stays_retrains_by_itself(unattended: Any) -> None:
    life = unattended("drifting", data_source="table.csv", target_column="left")
    table = life.project.path / "table.csv"
    write_table(table)
    first = life.runner.command(life.project, "retrain", "--json")["version"]
    life.message(f"{first} promoted")

    with life.process("python", "deploy.py", SCHEDULE__CRON=""):
        retrain, monitor = life.deployment("retrain"), life.deployment("monitor")
        assert retrain["schedules"] == []
        write_table(table, rows=410)
        assert not life.runner.command(life.project, "monitor", "--json")["retrain"]
        write_table(table, rows=420, usage=shifted, left=lambda row: "no" if row % 7 > 3 else "yes")
        assert not life.runner.command(life.project, "monitor", "--json")["retrain"]
        assert life.receiver.payloads == []

        write_table(table, rows=430, usage=shifted, left=lambda row: "no" if row % 7 > 3 else "yes")
        assert life.end(run_of(life.server, monitor))["state_type"] == "COMPLETED", life.log.read_text()
        assert "usage" in life.message("the data drifted, a retrain is triggered")
        (triggered,) = life.wait(life.runs)
        assert life.end(triggered["id"])["state_type"] == "COMPLETED", life.log.read_text()

    second = champion(life.project)["version"]
    assert second != first
    assert f"In production: {second}" in life.message(f"{second} promoted, 3 alarms")
    assert [run["id"] for run in life.runs()] == [triggered["id"]]


def test_schedules_of_every_kind_are_registered_and_paused_ones_paused(
    own_copy: Bake, runner: Runner, server: Server
) -> None:
    project = own_copy(project_slug="paused", package_name="paused", schedule="15 4 * * 2", timezone="Asia/Tokyo")
    (project.path / "register.py").write_text(REGISTER)
    kinds = [
        {},
        {"CRON": "", "RRULE": "FREQ=WEEKLY;BYDAY=SA"},
        {"CRON": "", "INTERVAL": "3600", "ACTIVE": "false"},
        {"CRON": ""},
    ]

    done = runner.python(project, "register.py", json.dumps(kinds))

    by_cron, by_rule, by_interval, by_hand = (json.loads(line) for line in done.stdout.splitlines())
    assert by_hand["schedules"] == []
    assert_scheduled(by_cron, cron="15 4 * * 2", timezone="Asia/Tokyo")
    ((rule, active), (interval, paused)) = (
        (schedule["schedule"], schedule["active"])
        for deployment in (by_rule, by_interval)
        for schedule in deployment["schedules"]
    )
    assert (active, paused) == (True, False)
    assert rule["rrule"].endswith("FREQ=WEEKLY;BYDAY=SA")
    assert rule["timezone"] == "Asia/Tokyo"
    assert (interval["interval"], interval["timezone"]) == (3600, "Asia/Tokyo")
