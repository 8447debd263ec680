"""Render the template with any answers, once each, and run a Prefect server for what is rendered."""

import fcntl
import functools
import hashlib
import http.server
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from cookiecutter.main import cookiecutter

TEMPLATE = Path(__file__).resolve().parents[1]
RENDERED = "<<cookiecutter.project_slug>>"
CONTEXT: dict[str, Any] = json.loads((TEMPLATE / "cookiecutter.json").read_text())
PROMPTS = {name: value for name, value in CONTEXT.items() if not name.startswith("_")}
CHOICES: dict[str, list[str]] = {name: value for name, value in PROMPTS.items() if isinstance(value, list)}

BINARY = (".joblib", ".npy")  # the models that later releases must load

# The settings of whoever runs the tests must not reach the projects under test.
FOREIGN = (
    "PREFECT_",
    "ML_RETRAINING_",
    "SLACK_",
    "PYTHON",
    "PYTEST_",
    "VIRTUAL_ENV",
    "GIT_",
    "MAKE",
    "MFLAGS",
)

# Files of tests run side by side, those that take longest first and in this order: none begins late and ends alone.
LONGEST_FILES = (
    "test_projects",
    "test_unattended",
    "test_week",
    "test_render",
    "test_update",
    "test_image",
    "test_object_store",
    "test_execution",
)

NOT_TESTED = "not tested here: "


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    places = {name: place for place, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Name at the very end what this machine could not test, and the command that installs what it takes."""
    yield
    skipped = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", [])]
    missing = [reason.partition(NOT_TESTED)[2] for reason in skipped if NOT_TESTED in reason]
    if missing:
        terminalreporter.section("not tested on this machine", yellow=True)
        for reason in sorted(set(missing)):
            terminalreporter.write_line(f"{reason} ({missing.count(reason)} tests)")


def lacks(what: str, packages: str) -> NoReturn:
    """End a test that needs packages of Debian which this machine does not have; CI has them, or fails."""
    reason = f"{NOT_TESTED}{what}. Install: apt-get install -y {packages}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@dataclass(frozen=True)
class Project:
    """A rendered project."""

    path: Path
    slug: str
    package: str

    @property
    def source(self) -> Path:
        """The folder of the package."""
        return self.path / "src" / self.package

    def files(self) -> set[str]:
        """Return every file, as paths from the project's folder."""
        return {str(path.relative_to(self.path)) for path in self.path.rglob("*") if path.is_file()}

    def texts(self) -> dict[str, str]:
        """Return the content of every file; all are text, but for the models that releases must load."""
        texts = [name for name in sorted(self.files()) if not name.endswith(BINARY)]
        return {name: (self.path / name).read_text(encoding="utf-8") for name in texts}


Bake = Callable[..., Project]
Once = Callable[[str, Callable[[Path], object]], Path]


def one_choice_each() -> list[Any]:
    """Return pytest parameters, the defaults and every other choice alone, with readable ids."""
    others = [(name, value) for name, (_, *values) in CHOICES.items() for value in values]
    alone = [pytest.param({name: value}, id=f"{name}={value}") for name, value in others]
    return [pytest.param({}, id="defaults"), *alone]


def run(
    *command: str | Path,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    code: int = 0,
    timeout: float = 900,
) -> subprocess.CompletedProcess[str]:
    """Run a command, which must end with `code`; show its output if it does not."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=clean_environment() | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != code:
        words = " ".join(map(str, command))
        pytest.fail(
            f"{words}\nended with {done.returncode} instead of {code}\n{done.stdout}\n{done.stderr}",
            pytrace=False,
        )
    return done


def clean_environment() -> dict[str, str]:
    """Return the environment without what could change how a rendered project behaves."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


AUTHOR = {
    **{f"GIT_{who}_{what}": f"{who}@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def git(folder: Path, *words: str) -> str:
    """Run git as nobody in particular, whatever the machine's configuration."""
    return run("git", *words, cwd=folder, environment=AUTHOR).stdout


def commit_all(folder: Path, message: str) -> None:
    """Commit what is in the folder."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def create(source: Path, cookiecutter_config: Path, **answers: str) -> Project:
    """Create a project beside a template with cruft, and commit it."""
    quiet = ("--no-input", "--config-file", cookiecutter_config, "--extra-context", json.dumps(answers))
    run("cruft", "create", source, *quiet, cwd=source.parent, environment=AUTHOR)
    project = Project(source.with_name("ml-retraining"), "ml-retraining", "ml_retraining")
    git(project.path, "init", "--quiet", "--initial-branch", "main")
    commit_all(project.path, "Begin")
    return project


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Fill folders that every process of this test run uses: the first one makes it, the others wait for it."""
    temporary = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        temporary = temporary.parent
    shared = temporary / "shared"

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder, made = shared / name, shared / f"{name}.made"
        shared.mkdir(exist_ok=True)
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                made.touch()
        return folder

    return once


@pytest.fixture(scope="session")
def template(once: Once) -> Path:
    """Copy what git would clone, changes not yet committed included, caches and the like left out."""

    def copy(folder: Path) -> None:
        listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=TEMPLATE).stdout
        for name in filter(None, listed.split("\0")):
            source, target = TEMPLATE / name, folder / TEMPLATE.name / name
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)

    return once("template", copy) / TEMPLATE.name


@pytest.fixture(scope="session")
def cookiecutter_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep cookiecutter from reading and writing the home folder."""
    home = tmp_path_factory.mktemp("cookiecutter")
    config = home / "config.yaml"
    config.write_text(f"cookiecutters_dir: '{home}/cloned'\nreplay_dir: '{home}/replay'\n")
    return config


@pytest.fixture(scope="session")
def bake(template: Path, cookiecutter_config: Path, once: Once) -> Bake:
    """Render with answers; the same answers give the same folder, so a test must not write into it."""

    def bake(**answers: str) -> Project:
        if unknown := answers.keys() - PROMPTS.keys():
            raise KeyError(f"no such prompts: {sorted(unknown)}")
        digest = hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()[:16]
        folder = once(f"render-{digest}", lambda folder: render(template, folder, cookiecutter_config, answers))
        (path,) = folder.iterdir()
        return project_in(path)

    return bake


def render(template: Path, folder: Path, config: Path, answers: Mapping[str, str]) -> Project:
    """Render the template below `folder`."""
    path = cookiecutter(
        str(template),
        no_input=True,
        extra_context=dict(answers),
        output_dir=str(folder),
        config_file=str(config),
    )
    return project_in(Path(path))


def project_in(path: Path) -> Project:
    """Return the rendered project of a folder."""
    (source,) = (child for child in (path / "src").iterdir() if child.is_dir())
    return Project(path, path.name, source.name)


@pytest.fixture
def own_copy(tmp_path: Path, bake: Bake) -> Bake:
    """Render with answers, for a test that writes into the project."""

    def own_copy(**answers: str) -> Project:
        project = bake(**answers)
        path = tmp_path / project.slug
        shutil.copytree(project.path, path)
        return project_in(path)

    return own_copy


@pytest.fixture(scope="session")
def environment(bake: Bake, once: Once) -> Path:
    """Install the render's lock once; return the environment's folder of commands.

    No render is installed: `PYTHONPATH` says which one is meant.
    """
    return once("environment", lambda folder: install(bake().path / "requirements.lock", folder)) / "bin"


@pytest.fixture(scope="session")
def extras(bake: Bake, once: Once) -> Path:
    """Install the render's lock with every extra once; return the environment's Python."""
    lock = bake().path / "requirements-extras.lock"
    return once("extras", lambda folder: install(lock, folder)) / "bin" / "python"


def install(lock: Path, folder: Path) -> None:
    """Make an environment of what the lock names."""
    run("uv", "venv", "--quiet", "--clear", "--python", sys.executable, folder, cwd=lock.parent)
    command = ("uv", "pip", "install", "--quiet", "--python", folder / "bin" / "python", "--require-hashes")
    run(*command, "-r", lock, cwd=lock.parent, timeout=600)


@pytest.fixture(scope="session")
def check(once: Once) -> Callable[[Project, Path], None]:
    """Return what `make check` of a project runs, with the commands of an environment."""

    def check(project: Project, commands: Path) -> None:
        # What mypy has read of the packages is the same for every project.
        cache = {"MYPY_CACHE_DIR": str(once("mypy", lambda folder: None))}
        run(commands / "ruff", "check", "--no-cache", ".", cwd=project.path)
        run(commands / "ruff", "format", "--no-cache", "--check", ".", cwd=project.path)
        run(commands / "mypy", cwd=project.path, environment=cache)
        run(commands / "deptry", ".", cwd=project.path)

    return check


@dataclass(frozen=True)
class Server:
    """A Prefect server, and the environment of its clients."""

    api: str
    home: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that point Prefect at this server."""
        return {
            "PREFECT_API_URL": self.api,
            "PREFECT_HOME": str(self.home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }

    def call(self, path: str, payload: Mapping[str, Any] | None = None, *, method: str | None = None) -> Any:
        """Post the payload, or get if there is none; return the JSON answer, None if there is none."""
        body = None if payload is None else json.dumps(payload).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.api + path, body, headers, method=method)
        for patience in (1, 2, 4, 8, 0):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.loads(answer.read() or "null")
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    return None
                if error.code != 503 or not patience:  # 503: its database is busy, as Prefect's own client knows
                    raise
                time.sleep(patience)
        return None


def wait_for(what: Callable[[], Any], *, seconds: float = 300, trouble: Callable[[], str]) -> Any:
    """Return what `what` returns as soon as that is true; fail with `trouble` if it takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.1)
    pytest.fail(f"waited {seconds:g} s in vain\n{trouble()}", pytrace=False)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run one Prefect server for all tests of this process."""
    with serving(environment, tmp_path_factory.mktemp("prefect")) as server:
        yield server


@contextmanager
def serving(environment: Path, home: Path, *, port: int | None = None, **variables: str) -> Iterator[Server]:
    """Run a Prefect server on a free port, or this one, with more variables in its environment."""
    port = port or free_port()
    server = Server(f"http://127.0.0.1:{port}/api", home)
    log = home / "server.log"
    command = [environment / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("a") as output:
        process = subprocess.Popen(
            command, env=clean_environment() | server.environment | variables, stdout=output, stderr=output
        )
    server = replace(server, process=process)

    def healthy() -> bool:
        if process.poll() is not None:
            pytest.fail(f"The Prefect server ended with {process.returncode}:\n{log.read_text()}", pytrace=False)
        try:
            return bool(server.call("/health"))
        except OSError:
            return False

    try:
        wait_for(healthy, trouble=log.read_text)
        yield server
    finally:
        process.terminate()
        process.wait()


class Runner:
    """Runs the commands of a project that is not installed, and fails if one ends otherwise than expected."""

    def __init__(self, environment: Path, server: Server) -> None:
        self.environment = environment
        self.server = server

    def variables(self, project: Project, settings: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the project's commands, with settings such as `DATA__SOURCE`."""
        own = {f"{project.package.upper()}_{name}": value for name, value in settings.items()}
        return self.server.environment | {"PYTHONPATH": str(project.path / "src")} | own

    def command(self, project: Project, *words: str, code: int = 0, **settings: str) -> Any:
        """Run the console command; return what it prints, parsed if it is asked for JSON."""
        done = self.python(project, "-m", project.package, *words, code=code, **settings)
        assert "Traceback" not in done.stdout + done.stderr
        if code:
            return done.stderr
        return json.loads(done.stdout) if "--json" in words else done.stdout

    def python(
        self,
        project: Project,
        *words: str | Path,
        code: int = 0,
        variables: Mapping[str, str] | None = None,
        **settings: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run the environment's Python in the project's folder."""
        values = self.variables(project, settings) | dict(variables or {})
        return run(self.environment / "python", *words, cwd=project.path, environment=values, code=code)

    def prefect(self, project: Project, *words: str, **settings: str) -> None:
        """Run Prefect's command in the project's folder."""
        values = self.variables(project, settings)
        run(self.environment / "prefect", "--no-prompt", *words, cwd=project.path, environment=values)


@pytest.fixture
def runner(environment: Path, server: Server) -> Runner:
    """Run commands of projects against the server."""
    return Runner(environment, server)


def run_of(server: Server, deployment: Mapping[str, Any]) -> str:
    """Ask for a run of a deployment; return its id."""
    return server.call(f"/deployments/{deployment['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"]


def ended(server: Server, flow_run: str) -> dict[str, Any] | None:
    """Return a flow run once it has ended."""
    found = server.call(f"/flow_runs/{flow_run}")
    return found if found["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None


SECRET = "hunter2"


@dataclass(frozen=True)
class PostgreSQL:
    """A PostgreSQL server on loopback, with the user `ml`, whose password is `SECRET`."""

    port: int
    folder: Path
    commands: Path

    def execute(self, sql: str) -> None:
        """Run statements in the database `postgres`."""
        command = [self.commands / "psql", "-q", "-v", "ON_ERROR_STOP=1"]
        command += ["-h", "127.0.0.1", "-p", str(self.port), "-U", "ml", "postgres"]
        environment = clean_environment() | {"PGPASSWORD": SECRET}
        subprocess.run(command, input=sql, text=True, check=True, env=environment, cwd=self.folder)


def postgresql_commands() -> Path | None:
    """Return the folder of PostgreSQL's commands, which Debian keeps off the path."""
    found = [Path(path).resolve().parent for path in [shutil.which("initdb")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """Run a PostgreSQL server on a free port."""
    commands = postgresql_commands()
    if commands is None:
        lacks("tables and a Prefect server in PostgreSQL", "postgresql")
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if user:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    (folder / "password").write_text(SECRET)
    server = PostgreSQL(free_port(), folder, commands)
    cluster = str(folder / "data")
    login = ["-U", "ml", "-A", "scram-sha-256", f"--pwfile={folder}/password"]
    options = f"-p {server.port} -k {folder} -h 127.0.0.1 -F"  # durability is of no use here
    call = functools.partial(
        subprocess.run,
        user=user,
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        call([commands / "initdb", "-D", cluster, *login])
        call([commands / "pg_ctl", "-D", cluster, "-w", "-l", folder / "log", "-o", options, "start"])
        yield server
        call([commands / "pg_ctl", "-D", cluster, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Receiver(http.server.ThreadingHTTPServer):
    """An HTTP server that keeps the JSON payloads posted to it."""

    def __init__(self) -> None:
        self.payloads: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """The address, in the words of the library that Prefect sends messages with."""
        return f"json://127.0.0.1:{self.server_port}/a-secret"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.payloads.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Receive messages on a free port."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def answers(port: int) -> bool:
    """Return whether somebody listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class S3:
    """An S3 store on loopback with the bucket `bucket`, and the variables with which clients find it."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What a user sets."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def put(self, key: str, content: bytes) -> None:
        """Put an object into the bucket, or make the bucket if the key is empty."""
        # Whoever is anonymous may not replace what is there; the body of a form would not be kept.
        headers = {"Authorization": "AWS key:signature", "Content-Type": "text/csv"}
        url = f"{self.url}/bucket/{key}".rstrip("/")
        request = urllib.request.Request(url, content, headers, method="PUT")
        with urllib.request.urlopen(request, timeout=30):
            pass

    def get(self, key: str) -> bytes:
        """Return an object of the bucket."""
        request = urllib.request.Request(f"{self.url}/bucket/{key}", headers={"Authorization": "AWS key:signature"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            content: bytes = answer.read()
        return content


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """Run moto's S3 server on a free port."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port), trouble=lambda: "moto's server does not answer")
        store = S3(f"http://127.0.0.1:{port}")
        store.put("", b"")
        yield store
    finally:
        process.terminate()
        process.wait()
