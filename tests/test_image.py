"""The image: built by buildah without a daemon or a registry, and run as it is meant to be in production.

Its root file system is read-only, its user is not root, and one folder is writable.
"""

import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import NOT_TESTED, Bake, Once, Project, free_port, lacks, run, wait_for

pytestmark = pytest.mark.long

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BASE_PACKAGES = "python3,python3-venv,ca-certificates"

# Binds the image's files read-only, the volume and the devices into them, and becomes the image's user there.
CONTAINER = """
set -e
mount --bind "$1" "$1"
mount --bind "$2" "$1/project"
mount --bind /proc "$1/proc"
mount --bind /dev "$1/dev"
mount --bind /etc/resolv.conf "$1/etc/resolv.conf"
mount -o remount,ro,bind "$1"
root=$1 user=$3
shift 3
exec chroot --userspec="$user:$user" "$root" "$@"
"""


@dataclass(frozen=True)
class Image:
    """An image, its files on this machine, and its volume.

    Attributes:
        files: The root of its file system.
        volume: What is mounted at /project.
        config: `Env`, `User` and `WorkingDir`, as the image has them.
    """

    files: Path
    volume: Path
    config: Mapping[str, Any]

    def command(self, *words: str, **settings: str) -> list[str]:
        """Return the command that runs words in the image's working folder."""
        variables = [
            *self.config["Env"],
            *(f"ML_RETRAINING_{name}={value}" for name, value in settings.items()),
        ]
        script = 'cd "$0" && exec "$@"'
        inside = ("env", "-i", *variables, "sh", "-c", script, self.config["WorkingDir"], *words)
        where = (str(self.files), str(self.volume), self.config["User"])
        return ["unshare", "--mount", "sh", "-c", CONTAINER, "container", *where, *inside]

    def run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run words in the image, which must end with `code`."""
        return run(*self.command(*words), cwd=self.volume, code=code)


@pytest.fixture(scope="module")
def image(bake: Bake, once: Once, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Build the image of a project with everything it may serve, on a Debian that is made here."""
    if os.geteuid() != 0:
        pytest.skip(f"{NOT_TESTED}the image, which only root can build without a daemon. Run as root: make test")
    if not all(map(shutil.which, ("buildah", "mmdebstrap", "unshare"))):
        lacks("the image", "buildah mmdebstrap")
    project = bake(serving="http")
    base = once("base", debian) / "base.tar"
    folder = tmp_path_factory.mktemp("image")
    with buildah(folder) as build:
        made = build("from", "scratch")
        build("add", "--quiet", made, str(base), "/")
        build("add", "--quiet", made, str(CERTIFICATES), str(CERTIFICATES.parent))
        for name in ("PIP_CERT", "SSL_CERT_FILE"):
            build("config", "--env", f"{name}={CERTIFICATES}", made)
        build("commit", "--quiet", made, "base")
        context = folder / project.slug
        shutil.copytree(project.path, context)
        (context / ".env").write_text("A_SECRET=hunter2\n")
        build("bud", "--quiet", "--tag", project.slug, "--build-arg", "BASE=localhost/base", str(context))
        container = build("from", project.slug)
        config = json.loads(build("inspect", container))["OCIv1"]["config"]
        volume = folder / "volume"
        volume.mkdir()
        os.chown(volume, int(config["User"]), int(config["User"]))
        yield Image(Path(build("mount", container)), volume, config)


@contextmanager
def buildah(folder: Path) -> Iterator[Any]:
    """Yield a function that runs a command of buildah, whose store is below the folder and removed in the end."""
    store = ("--root", str(folder / "store"), "--runroot", str(folder / "runroot"))
    variables = {"BUILDAH_ISOLATION": "chroot"}

    def build(*words: str) -> str:
        done = run("buildah", *store, *words, cwd=folder, environment=variables, timeout=900)
        return done.stdout.strip()

    try:
        yield build
    finally:
        build("rm", "--all")
        build("rmi", "--all", "--force")


def debian(folder: Path) -> None:
    """Make a small Debian with Python, as a stand-in for the base image that a registry would give."""
    suite = next(
        line.partition("=")[2] for line in Path("/etc/os-release").read_text().splitlines() if "CODENAME" in line
    )
    options = ("--variant=minbase", f"--include={BASE_PACKAGES}", "--quiet")
    run("mmdebstrap", *options, suite.strip('"'), str(folder / "base.tar"), cwd=folder, timeout=900)


def megabytes(folder: Path) -> float:
    """Return the size of the files below a folder, compiled modules left out."""
    files = (
        Path(parent, name)
        for parent, folders, names in os.walk(folder)
        if not parent.endswith("__pycache__")
        for name in names
    )
    return sum(file.lstat().st_size for file in files) / 1e6


def test_the_image_retrains_scores_and_serves_read_only_and_without_root(image: Image, bake: Bake) -> None:
    project = bake(serving="http")
    assert image.config["User"] not in ("", "0", "root")
    assert "Read-only file system" in image.run("touch", "/venv/here", code=1).stderr
    image.run("which", "gcc", code=1)
    assert not list(image.files.glob("**/.env"))

    promoted = json.loads(image.run(project.slug, "retrain", "--json").stdout)
    scored = json.loads(image.run(project.slug, "score", "--json").stdout)

    checks = json.loads(image.run(project.slug, "doctor", "--json", code=1).stdout)
    assert [check["name"] for check in checks if check["severity"] != "ok"] == ["API"]  # there is no server here
    assert promoted["verdict"] == "promoted"
    assert scored["version"] == promoted["version"]
    written = image.volume / Path(scored["path"]).relative_to("/project")
    assert written.stat().st_uid == int(image.config["User"])
    assert served(image, project) == promoted["version"]


def served(image: Image, project: Project) -> str:
    """Return the version that the image serves over HTTP."""
    port, log = free_port(), image.volume.parent / "serve.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            image.command(project.slug, "serve", SERVING__PORT=str(port)), stdout=output, stderr=output
        )

    def version() -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
                return str(json.load(answer)["version"])
        except OSError:
            return None

    try:
        found: str = wait_for(version, trouble=log.read_text)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM), log.read_text()
    finally:
        process.kill()
    return found


def test_the_image_is_smaller_than_one_of_pip_install(image: Image, environment: Path) -> None:
    """Compiled modules are left out on both sides; pip would leave its cache in the image too."""
    own = megabytes(image.files)
    naive = own - megabytes(image.files / "venv") + megabytes(environment.parent)
    print(f"the image: {own:.0f} MB; `pip install -r requirements.lock` on the same base: {naive:.0f} MB at least")

    assert own < naive - 50


def test_container_pools_know_the_job_variables_of_the_deployments(bake: Bake, extras: Path) -> None:
    project = bake()
    deployed = yaml.safe_load((project.path / "prefect.yaml").read_text())["deployments"]
    code = """
import json
from prefect_docker.worker import DockerWorker
from prefect_kubernetes.worker import KubernetesWorker

templates = [worker.get_default_base_job_template() for worker in (DockerWorker, KubernetesWorker)]
print(json.dumps([template["variables"]["properties"] for template in templates]))
"""
    known = json.loads(run(extras, "-c", code, cwd=project.path).stdout)

    for variables in known:
        for deployment in deployed:
            given = deployment["work_pool"]["job_variables"]
            assert given.keys() <= variables.keys()
            assert given["image_pull_policy"] in json.dumps(variables["image_pull_policy"])
