"""What is rendered, before any of it runs: the files, their syntax, their values."""

import hashlib
import itertools
import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import BINARY, CHOICES, CONTEXT, PROMPTS, RENDERED, Bake, Project, one_choice_each, run
from .test_hooks import post

LIBRARY = "retrainer/src/retrainer"
ALWAYS = {
    ".dockerignore",
    ".env.example",
    ".gitattributes",
    ".gitignore",
    ".pre-commit-config.yaml",
    "Dockerfile",
    "Makefile",
    "README.md",
    "compose.yaml",
    "deploy.py",
    "notebooks/look.py",
    "prefect.yaml",
    "pyproject.toml",
    "requirements-extras.lock",
    "requirements.lock",
    "setup_slack.py",
}
BY_ANSWER = {
    ("serving", "none"): set(),
    ("serving", "http"): set(),
    ("ci_provider", "github"): {
        ".github/dependabot.yml",
        ".github/workflows/ci.yml",
        ".github/workflows/newest.yml",
    },
    ("ci_provider", "gitlab"): {".gitlab-ci.yml"},
    ("ci_provider", "none"): set(),
    ("license", "MIT"): {"LICENSE"},
    ("license", "Apache-2.0"): {"LICENSE"},
    ("license", "none"): set(),
}
# Another answer for each prompt without choices.
OTHER = {
    "project_name": "Churn of the Shop",
    "project_slug": "shop-churn",
    "package_name": "churn",
    "description": "Says who will leave.",
    "author_name": "Ada Lovelace",
    "data_source": "data/customers.parquet",
    "target_column": "Churn",
    "min_improvement": "0.02",
    "schedule": "30 5 * * 2-4",
    "timezone": "Europe/Berlin",
    "slack_block": "shop-alerts",
    "work_pool": "shop-pool",
}
LONGEST = {"project_slug": "a" * 40, "package_name": "b" * 40}
VARIANTS = [
    *one_choice_each(),
    pytest.param(OTHER, id="every text answered"),
    pytest.param(LONGEST, id="longest names"),
]

every_variant = pytest.mark.parametrize("answers", VARIANTS)


def other_answer(prompt: str) -> str:
    return CHOICES[prompt][1] if prompt in CHOICES else OTHER[prompt]


def load_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def load_toml(path: Path) -> Any:
    return tomllib.loads(path.read_text(encoding="utf-8"))


@every_variant
def test_exactly_the_files_of_the_answers(bake: Bake, template: Path, answers: dict[str, str]) -> None:
    project = bake(**answers)
    given = {name: values[0] for name, values in CHOICES.items()} | answers
    expected = ALWAYS | set().union(*(BY_ANSWER.get(item, set()) for item in given.items()))
    for folder in ("src", "tests"):
        for path in filter(Path.is_file, (template / RENDERED / folder).rglob("*.*")):
            name = str(path.relative_to(template / RENDERED))
            expected.add(name.replace("<<cookiecutter.package_name>>", project.package))
    expected |= {f"src/{project.package}/retrainer/{name}" for name in library_files(template)}
    expected.add(f"src/{project.package}/retrainer/manifest.json")
    for (prompt, answer), names in post.ONLY_WITH.items():
        if given[prompt] != answer:
            left_out = [name.format(package_name=project.package) for name in names]
            expected -= {file for file in expected for name in left_out if f"{file}/".startswith(f"{name}/")}

    assert project.files() == expected


def library_files(template: Path) -> list[str]:
    """Return the files of the library, as paths from its folder."""
    folder = template / LIBRARY
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_every_choice_that_selects_files_is_known_here() -> None:
    assert {name for name, _ in BY_ANSWER} <= CHOICES.keys()
    for name in {name for name, _ in BY_ANSWER}:
        assert {value for known, value in BY_ANSWER if known == name} == set(CHOICES[name])


@every_variant
def test_nothing_unrendered_is_left(bake: Bake, answers: dict[str, str]) -> None:
    texts = bake(**answers).texts()
    for name, text in texts.items():
        if "/retrainer/" not in name:  # which is copied as it is
            assert not re.search(r"<<|>>|<%|%>|<#|#>|cookiecutter\.", name + text), name


def test_marks_stand_in_the_template_only_as_marks(template: Path) -> None:
    """A here-document or a shift would be taken for a mark; modules have no marks at all."""
    mark = re.compile(r"<< ?cookiecutter\.[a-z_]+( ?\| ?[a-z]+)? ?>>|<% (if [^%]*|else|endif) %>")
    for path in sorted((template / RENDERED).rglob("*")):
        if path.is_file() and path.suffix not in BINARY:
            text = path.read_text(encoding="utf-8")
            if not ("src" in path.parts and path.suffix == ".py"):
                text = mark.sub("", text)
            assert not re.search(r"<<|>>|<%|%>|<#|#>", text), path


@every_variant
def test_the_package_is_copied_byte_for_byte(bake: Bake, template: Path, answers: dict[str, str]) -> None:
    project = bake(**answers)
    package = template / RENDERED / "src" / "<<cookiecutter.package_name>>"
    modules = {path.name: path for path in package.glob("*.py")}
    modules |= {f"retrainer/{name}": template / LIBRARY / name for name in library_files(template)}

    assert len(modules) > 50
    for name, path in modules.items():
        if (project.source / name).exists():  # an answer may leave some out
            assert (project.source / name).read_bytes() == path.read_bytes(), name


def test_the_project_is_small_enough_to_be_read_in_an_hour(bake: Bake) -> None:
    project = bake()
    own = [name for name in project.files() if "/retrainer/" not in name and not name.endswith(".lock")]
    lines = {name: len(text.splitlines()) for name, text in project.texts().items() if name in own}
    code = sum(lines[name] for name in own if name.endswith(".py") and not name.startswith(("tests/", "notebooks/")))
    tests = sum(lines[name] for name in own if name.startswith("tests/"))

    print(f"{len(own)} files, {code} lines of Python, {tests} lines of tests")
    assert len(own) <= 60
    assert code <= 1000
    assert tests <= 500


def test_the_manifest_says_whether_the_library_was_patched(own_copy: Bake) -> None:
    project = own_copy()
    library = project.source / "retrainer"
    manifest = json.loads((library / "manifest.json").read_text())

    digests = {
        str(path.relative_to(library)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in library.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert manifest == digests


def test_a_template_whose_link_is_no_link_is_refused_in_a_sentence(
    template: Path, tmp_path: Path, cookiecutter_config: Path
) -> None:
    copy = tmp_path / "template"
    shutil.copytree(template, copy, symlinks=True)
    link = copy / RENDERED / "src" / "<<cookiecutter.package_name>>" / "retrainer"
    target = str(link.readlink())
    link.unlink()
    link.write_text(target)

    done = run(
        "cookiecutter",
        copy,
        "--no-input",
        "--config-file",
        cookiecutter_config,
        "-o",
        tmp_path,
        cwd=tmp_path,
        code=1,
    )

    assert "a zip download keeps no links" in done.stdout + done.stderr
    assert not (tmp_path / "ml-retraining").exists()


@every_variant
def test_every_file_of_data_parses(bake: Bake, answers: dict[str, str]) -> None:
    parsers = {".toml": tomllib.loads, ".yaml": yaml.safe_load, ".yml": yaml.safe_load, ".json": json.loads}
    parsed = 0
    for name, text in bake(**answers).texts().items():
        if parse := parsers.get(Path(name).suffix):
            assert parse(text), name
            parsed += 1
    assert parsed >= 4


@every_variant
def test_lint_and_format_find_nothing(bake: Bake, environment: Path, answers: dict[str, str]) -> None:
    project = bake(**answers)

    run(environment / "ruff", "check", "--no-cache", ".", cwd=project.path)
    run(environment / "ruff", "format", "--no-cache", "--check", ".", cwd=project.path)


def test_what_the_commands_write_is_ignored_by_git(bake: Bake) -> None:
    ignored = (bake().path / ".gitignore").read_text(encoding="utf-8").splitlines()

    assert {"/models/", "/predictions/", "/monitoring/", "/dry-run/", "/history.html"} <= {*ignored}


@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_prompt_has_a_label_and_changes_something(bake: Bake, prompt: str) -> None:
    before, after = bake(), bake(**{prompt: other_answer(prompt)})

    assert CONTEXT["__prompts__"][prompt].strip()
    assert before.slug != after.slug or before.texts() != after.texts()


def test_an_unknown_answer_is_an_error(bake: Bake) -> None:
    with pytest.raises(KeyError, match="no_such_prompt"):
        bake(no_such_prompt="1")


@every_variant
def test_the_answers_are_the_settings(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    given = {name: value[0] if isinstance(value, list) else value for name, value in PROMPTS.items()} | answers
    config = load_toml(project.source / "config.toml")

    assert config["project"] == project.slug
    assert config["problem_type"] == given["problem_type"]
    both = ["hist_gradient_boosting", "linear"]
    assert config["estimators"] == {"boosting_or_linear": both}.get(given["estimator"], [given["estimator"]])
    assert config["data"] == {"source": given["data_source"], "target": given["target_column"]}
    assert config["gate"] == {"min_improvement": float(given["min_improvement"])}
    assert config["schedule"] == {"cron": given["schedule"], "timezone": given["timezone"]}
    assert config["registry"] == {"kind": given["tracking"]}
    assert config["notifications"] == {"block": f"slack-webhook/{given['slack_block']}"}
    assert config.get("scale_out") == ({"runner": "dask"} if given["scale_out"] == "dask" else None)


@every_variant
def test_prefect_yaml_holds_the_answers(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    deployments = load_yaml(project.path / "prefect.yaml")["deployments"]

    assert {deployment["name"] for deployment in deployments} == {project.slug}
    assert {deployment["work_pool"]["name"] for deployment in deployments} == {
        answers.get("work_pool", PROMPTS["work_pool"])
    }
    assert all(deployment["schedules"] == [] for deployment in deployments)  # config.toml's are registered


SERVED = """
import json
from deploy import deployments

print(json.dumps([deployment.model_dump(mode="json") for deployment in deployments()]))
"""


def test_prefect_yaml_deploys_what_deploy_py_serves(bake: Bake, environment: Path) -> None:
    project = bake(**OTHER)
    path = {"PYTHONPATH": f"{project.path / 'src'}:{project.path}", "PYTHONDONTWRITEBYTECODE": "1"}
    deployed = load_yaml(project.path / "prefect.yaml")["deployments"]
    served = json.loads(run(environment / "python", "-c", SERVED, cwd=project.path, environment=path).stdout)

    assert served
    assert list(map(deployment_facts, served)) == list(map(deployment_facts, deployed))


def deployment_facts(deployment: dict[str, Any]) -> dict[str, Any]:
    """Return what prefect.yaml and a served deployment say in different words."""
    limit = deployment.get("concurrency_limit")
    options = deployment.get("concurrency_options") or limit
    return {
        "name": deployment["name"],
        "entrypoint": deployment["entrypoint"],
        "tags": deployment["tags"],
        "limit": limit["limit"] if isinstance(limit, dict) else limit,
        "collision": options["collision_strategy"],
        "triggers": [[item["match"], item["expect"]] for item in deployment.get("triggers", [])],
    }


@every_variant
def test_the_package_metadata_are_the_answers(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)
    metadata = load_toml(project.path / "pyproject.toml")["project"]
    license_answer = answers.get("license", CHOICES["license"][0])

    assert metadata["name"] == project.slug
    assert metadata["scripts"] == {project.slug: f"{project.package}.__main__:main"}
    assert metadata["description"] == answers.get("description", PROMPTS["description"])
    assert metadata["authors"] == [{"name": answers.get("author_name", PROMPTS["author_name"])}]
    assert metadata.get("license", "none") == license_answer


SCHEMAS = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}


@pytest.mark.parametrize(("provider", "schema"), SCHEMAS.items(), ids=SCHEMAS.keys())
def test_the_ci_configuration_is_what_the_provider_reads(bake: Bake, provider: str, schema: str) -> None:
    project = bake(ci_provider=provider, **{name: OTHER[name] for name in ("project_slug", "package_name")})
    workflows = [name for name in sorted(BY_ANSWER["ci_provider", provider]) if "dependabot" not in name]

    run("check-jsonschema", "--builtin-schema", schema, *workflows, cwd=project.path)
    jobs = ci_jobs(project, provider)
    assert set(jobs) == {"test", "smoke", "refresh"}
    assert "make lock UPGRADE=1 setup check test" in jobs["refresh"]["commands"]
    assert jobs["refresh"]["environment"] == jobs["smoke"]["environment"]
    assert {"make setup", "make check", "make test"} <= set(jobs["test"]["commands"])
    assert jobs["test"]["pythons"] == pythons(project)
    assert "make setup retrain" in jobs["smoke"]["commands"]
    assert jobs["smoke"]["environment"] == {
        "CHURN_DATA__SOURCE": "sample",
        "CHURN_DATA__TARGET": "target",
        # What a team sets for its own table would be wrong for the sample; an empty variable unsets it.
        "CHURN_DATA__POSITIVE": "",
        "CHURN_GATE__METRIC": "",
        "CHURN_SPLIT__METHOD": "hash",
        "CHURN_SPLIT__KEY_COLUMNS": "[]",
        "CHURN_SPLIT__GAP": "",
        "CHURN_TRAIN__THRESHOLD": "",
        "CHURN_REGISTRY__KIND": "json",  # whatever the project's own is, CI stays away from it
        "CHURN_REGISTRY__PATH": "models",
    }


def ci_jobs(project: Project, provider: str) -> dict[str, dict[str, Any]]:
    """Return each job's commands, Python versions and environment, whoever the provider."""
    if provider == "github":
        folder = project.path / ".github" / "workflows"
        jobs = {name: job for path in folder.iterdir() for name, job in load_yaml(path)["jobs"].items()}
        return {
            name: {
                "commands": [step["run"] for step in job["steps"] if "run" in step],
                "pythons": job.get("strategy", {}).get("matrix", {}).get("python"),
                "environment": job.get("env"),
            }
            for name, job in jobs.items()
        }
    config = load_yaml(project.path / ".gitlab-ci.yml")
    jobs = {name: job for name, job in config.items() if isinstance(job, dict) and "script" in job}
    return {
        name: {
            "commands": job["script"],
            "pythons": job["parallel"]["matrix"][0]["PYTHON_VERSION"] if "parallel" in job else None,
            "environment": job.get("variables"),
        }
        for name, job in jobs.items()
    }


def pythons(project: Project) -> list[str]:
    """Return the Python versions that pyproject.toml allows."""
    bounds = load_toml(project.path / "pyproject.toml")["project"]["requires-python"]
    low, high = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", bounds).groups())
    return [f"3.{minor}" for minor in range(low, high)]


def test_the_templates_own_ci_is_what_github_reads(template: Path) -> None:
    workflows = [f".github/workflows/{name}.yml" for name in ("ci", "newest", "release")]
    run("check-jsonschema", "--builtin-schema", SCHEMAS["github"], *workflows, cwd=template)
    for folder in (template, template / RENDERED):
        run("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml", cwd=folder)


@pytest.mark.parametrize(
    "answers",
    [{}, {"serving": "http"}, {"tracking": "mlflow", "serving": "http"}, OTHER],
    ids=["defaults", "http", "mlflow", "every text"],
)
def test_the_image_and_its_services_are_what_their_tools_read(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)

    run("hadolint", "Dockerfile", cwd=project.path)
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml", cwd=project.path)
    services = load_yaml(project.path / "compose.yaml")["services"]
    expected = {"database", "server", "deploy", "worker"}
    expected |= {"serving"} if answers.get("serving") == "http" else set()
    expected |= {"mlflow"} if answers.get("tracking") == "mlflow" else set()
    assert services.keys() == expected
    for name in services.keys() - {"deploy"}:
        assert services[name]["healthcheck"], name
    for name in services.keys() - {"database"}:
        assert services[name]["cap_drop"] == ["ALL"], name
    for name in services.keys() - {"database", "server"}:
        assert services[name]["environment"].get("POSTGRES_PASSWORD", "") == "", name
        if name in ("worker", "serving") and "mlflow" in services:
            assert services[name]["environment"]["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
    for name in services.keys() - {"database", "mlflow"}:
        assert services[name]["read_only"], name
        assert services[name]["security_opt"] == ["no-new-privileges:true"], name
    for name in ("server", "deploy", "worker"):  # the links of messages
        assert services[name]["environment"]["PREFECT_UI_URL"] == "http://127.0.0.1:4200", name
    leases = services["server"]["environment"]["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"]
    assert leases in (project.path / "Makefile").read_text()
    assert services["server"]["volumes"] == ["server:/project"]
    assert "tee -a .env > /dev/null" in (project.source / "retrainer/docs/containers.md").read_text()
    deployed = load_yaml(project.path / "prefect.yaml")["deployments"]
    assert {one["work_pool"]["job_variables"]["image"] for one in deployed} == {services["worker"]["image"]}


ACTION = re.compile(r"uses: (\S+)@([0-9a-f]{40})  # (v\d+\.\d+\.\d+)\n")


def test_the_workflows_have_no_security_finding(bake: Bake, template: Path) -> None:
    for folder in (template, bake(ci_provider="github").path):
        done = run("zizmor", "--offline", "--no-progress", "--persona=auditor", folder / ".github", cwd=folder)

        assert "No findings to report" in done.stdout
        assert "workflows/ci.yml" in done.stderr


def test_the_render_pins_the_actions_that_the_template_pins(bake: Bake, template: Path) -> None:
    own, rendered = (
        "".join(path.read_text(encoding="utf-8") for path in (folder / ".github/workflows").iterdir())
        for folder in (template, bake(ci_provider="github").path)
    )

    assert set(ACTION.findall(own)) == set(ACTION.findall(rendered))
    for text in (own, rendered):
        assert len(ACTION.findall(text)) == text.count("uses:") >= 2


@pytest.mark.parametrize("provider", SCHEMAS)
def test_no_job_runs_without_a_time_limit(bake: Bake, provider: str) -> None:
    names = [name for name in BY_ANSWER["ci_provider", provider] if "dependabot" not in name]
    for config in (load_yaml(bake(ci_provider=provider).path / name) for name in names):
        limits = (
            [job["timeout-minutes"] for job in config["jobs"].values()]
            if provider == "github"
            else [config["default"]["timeout"]]
        )
        assert all(limits)


def test_pre_commit_takes_its_configuration(bake: Bake, environment: Path) -> None:
    run(environment / "pre-commit", "validate-config", ".pre-commit-config.yaml", cwd=bake().path)


LOCKS = {
    "template": "requirements.lock",
    "render": f"{RENDERED}/requirements.lock",
    "extras": f"{RENDERED}/requirements-extras.lock",
}


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS.keys())
def test_the_locks_are_pinned_hashed_and_name_no_index(template: Path, lock: str) -> None:
    text = (template / lock).read_text()
    entries = [line for line in text.replace("\\\n", " ").splitlines() if not line.startswith("#")]

    assert len(entries) > 20
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+(\[[a-z0-9,-]+\])?==[^\s;]+", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in text
    assert "--index-url" not in text


@pytest.mark.parametrize("extras", [False, True], ids=["base", "extras"])
def test_the_lock_holds_every_dependency(bake: Bake, extras: bool) -> None:
    project = bake(**{"tracking": "mlflow", "scale_out": "dask"} if extras else {})
    metadata = load_toml(project.path / "pyproject.toml")
    wanted = metadata["project"]["dependencies"] + metadata["build-system"]["requires"]
    wanted += itertools.chain(*metadata["dependency-groups"].values())
    if extras:
        wanted += itertools.chain(*metadata["project"]["optional-dependencies"].values())
    pins = read_pins(project.path / ("requirements-extras.lock" if extras else "requirements.lock"))

    assert wanted
    assert {canonical(requirement) for requirement in wanted} <= pins.keys()


def test_the_extras_change_no_version_of_the_base(bake: Bake) -> None:
    folder = bake().path
    base, extras = read_pins(folder / "requirements.lock"), read_pins(folder / "requirements-extras.lock")

    assert base.items() <= extras.items()


def read_pins(lock: Path) -> dict[str, list[str]]:
    """Return the pins of each package in a lock: one, or one for each range of Python versions."""
    pins: dict[str, list[str]] = {}
    for line in lock.read_text().splitlines():
        if "==" in line and not line.startswith(("#", " ")):
            pins.setdefault(canonical(line), []).append(line.partition("==")[2].strip(" \\"))
    return pins


def canonical(requirement: str) -> str:
    """Return the name of the required package as locks spell it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9_.-]+", requirement)[0]).lower()


def test_the_link_for_cruft_names_the_rendered_folder(template: Path) -> None:
    """Cruft looks for a folder with braces in its name, whatever the delimiters are."""
    assert (template / "{{cookiecutter.project_slug}}").readlink() == Path(RENDERED)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_prompt_is_in_the_readme(template: Path, prompt: str) -> None:
    assert f"\n| `{prompt}` |" in (template / "README.md").read_text(encoding="utf-8")


def test_every_target_of_make_is_in_the_help_and_the_documents(template: Path, bake: Bake) -> None:
    documents = "".join((template / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md"))
    for folder, text in ((template, documents), (bake().path, (bake().path / "README.md").read_text())):
        targets = set(re.findall(r"^([a-z-]+):", (folder / "Makefile").read_text(), flags=re.MULTILINE)) - {"help"}
        shown = run("make", "help", cwd=folder).stdout

        assert targets
        assert targets == set(re.findall(r"^  make ([a-z-]+)", shown, flags=re.MULTILINE)) - {"help"}
        missing = {target for target in targets if not re.search(rf"\bmake ([a-z-]+ )*{target}\b", text)}
        assert missing <= {"setup"}
