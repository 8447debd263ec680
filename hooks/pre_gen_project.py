"""Check every answer before a file is written; print all that is wrong at once."""

import json
import keyword
import re
import sys
import zoneinfo
from collections.abc import Callable, Iterator, Mapping

ANSWERS = r"""<< cookiecutter | jsonify >>"""
GIVEN = r"""<< _cookiecutter | default({}) | jsonify >>"""  # as they came, where cookiecutter says

LONGEST_NAME = 40
LONGEST_PREFECT_NAME = 100

# What the project's own environment, folder and shell already have. A command of the project would hide the shell's.
OWN = """
activate awk bash cat cookiecutter cp deactivate deploy docker docs echo env false git kill ls make mkdir mv
pip pip3 pydoc python python3 rm setup_slack sh src ssh sudo test tests time touch true type which
"""
# Modules of Python 3.11 that later ones lost: the hook may run on a later one.
LOST = """
aifc asynchat asyncore audioop cgi cgitb chunk crypt distutils imghdr imp lib2to3 mailcap msilib nis nntplib
ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib uu xdrlib
"""
# The packages of the locks, what each is imported as, and the commands it installs: written by `make lock`.
TAKEN = """
adlfs aiobotocore aiohappyeyeballs aiohttp aioitertools aiosignal aiosqlite alembic amplitude
amplitude_analytics annotated_doc annotated_types anyio apprise asgi_lifespan ast_serialize async_timeout
asyncpg attr attrs azure azure_core azure_identity azure_storage_blob beartype blinker botocore burner_redis
c787785866c7b801238d_mypyc cachetools certifi cffi cffi_gen_src cfgv charset_normalizer click cloudpickle
colorama colorlog contourpy coolname cronsim cryptography cycler cyclopts dask databricks databricks_sdk
dateparser dateparser_cli dateparser_data dateparser_download dateparser_scripts dateutil decorator deptry
distlib distributed dmypy docker docket docstring_parser dotenv editables exceptiongroup execnet f2py fastapi
filelock flask flask_cors fonttools frozenlist fsspec gcsfs git gitdb gitpython google google_api_core
google_auth google_auth_oauthlib google_cloud_core google_cloud_storage google_cloud_storage_control
google_crc32c google_oauthlib_tool google_resumable_media googleapis_common_protos graphene graphql
graphql_core graphql_relay graphviz greenlet griffe griffecli griffelib grimp grpc grpc_google_iam_v1
grpc_status grpcio grpcio_status h11 h2 hatchling hpack httpcore httpx humanize hyperframe hypothesis identify
identify_cli idna images import_linter importlib_metadata importlinter iniconfig iso8601 isodate itsdangerous
jinja2 jinja2_humanize_extension jmespath joblib jp_py jsondiff jsonpatch jsonpatch_cli jsonpatch_stubs
jsonpointer jsonpointer_stubs jsonschema jsonschema_specifications jwt key_value kiwisolver kopf
kubernetes_asyncio librt lint_imports locket mako mako_render markdown markdown_it markdown_it_py markdown_py
markupsafe matplotlib mdurl mlflow mlflow_skinny mpl_toolkits msal msal_extensions msgpack multidict mypy
mypy_extensions mypyc narwhals nodeenv normalizer numpy numpy_config oauthlib obstore openssl opentelemetry
opentelemetry_api opentelemetry_proto opentelemetry_sdk opentelemetry_semantic_conventions optuna orjson
packaging pandas pandas_stubs partd pathspec pendulum pil pillow platformdirs pluggy pre_commit prefect
prefect_dask prefect_docker prefect_kubernetes prometheus_client propcache proto proto_plus protobuf psutil
psycopg psycopg_binary py py_key_value_aio py_test pyarrow pyasn1 pyasn1_modules pycparser pydantic
pydantic_core pydantic_extra_types pydantic_settings pydocket pydot pyftmerge pyftsubset pygmentize pygments
pyjwt pylab pyopenssl pyparsing pysemver pytest pytest_xdist python_dateutil python_discovery python_dotenv
python_json_logger python_on_whales python_slugify pythonjsonlogger pytz pywin32 pyyaml readchar redis
referencing regex requests requests_oauthlib requirements requirements_parser rfc3339_validator rich rich_rst
rpds rpds_py ruamel ruamel_yaml ruamel_yaml_clib ruff s3fs scikit_learn scipy semver shellingham six sklearn
skrub slugify smmap sniffio sortedcontainers sqlalchemy sqlformat sqlparse starlette stubgen stubtest tblib
tenacity text_unidecode threadpoolctl tlz toml tomli tomlkit toolz tornado tqdm trove_classifiers ttx typer
typing_extensions typing_inspection tzdata tzlocal uncalled_for urllib3 uv uvicorn uvx virtualenv websockets
werkzeug whenever wrapt wrapt_stubs xdist yaml yarl zict zipp
"""
WINDOWS = r"con|prn|aux|nul|(com|lpt)[0-9]"

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
CRON_FIELDS = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of the month", 1, 31, []),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 7, DAYS),
)
LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def errors(answers: Mapping[str, object]) -> Iterator[str]:
    """Yield one sentence for each answer that would break the project: what, and what would do."""
    for name, value in answers.items():
        text = "" if value is None else str(value)
        if name.startswith("_"):
            continue
        if not text.strip():
            yield f"{name} is empty."
        elif not text.isprintable():
            yield f"{name} holds a line break or another invisible character: {text!r}."
        elif name in CHECKS:
            yield from (f"{name} {what}" for what in CHECKS[name](text))


def mark_errors(given: Mapping[str, object]) -> Iterator[str]:
    """Yield one sentence for each answer that cookiecutter filled in as a template: part of it would be gone."""
    for name, value in given.items():
        marked = isinstance(value, str) and re.search(r"<[#%<]", value)
        if marked and "cookiecutter." not in str(value):  # which a default may refer to
            yield f"{name} is {value!r}: {marked[0]} marks what the template fills in."


def slug_errors(slug: str) -> Iterator[str]:
    """Check the name of folder, distribution and console command."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", slug) or len(slug) > LONGEST_NAME:
        yield (
            f"is {slug!r}: lower-case letters, digits and single dashes, a letter first,"
            f" at most {LONGEST_NAME} characters."
        )
    else:
        yield from taken_errors(slug)


def package_errors(package: str) -> Iterator[str]:
    """Check the name of the package."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", package) or len(package) > LONGEST_NAME:
        yield (
            f"is {package!r}: lower-case letters, digits and single underscores, a letter first,"
            f" at most {LONGEST_NAME} characters."
        )
    elif keyword.iskeyword(package) or package in {*keyword.softkwlist, "type"}:  # a keyword since 3.12
        yield f"is {package!r}, a word of Python's own."
    else:
        yield from taken_errors(package)


def taken_errors(name: str) -> Iterator[str]:
    """Check that installing, importing or calling the project does not replace something that it needs."""
    if name.replace("-", "_") in {*OWN.split(), *LOST.split(), *TAKEN.split(), *sys.stdlib_module_names}:
        yield f"is {name!r}, the name of a package, module or command that the project uses."
    elif re.fullmatch(WINDOWS, name):
        yield f"is {name!r}, which Windows keeps for a device."


def source_errors(source: str) -> Iterator[str]:
    """Check that no password is about to be written into a file that is committed."""
    password = re.match(r"[\w+.-]+://[^:/?#@]*:(?!\d+(/|$))(?!\$\{[\w.:-]+\}@).+@", source)
    token = re.match(r"([\w+.-]+\+)?https?://(?!\$\{[\w.:-]+\}@)[^:/?#@]+@", source)
    if password or token:
        yield (
            "holds a password or a token, and config.toml is committed: write ${DB_PASSWORD} in its place, which is"
            " filled in from the environment."
        )


def improvement_errors(text: str) -> Iterator[str]:
    """Check the smallest improvement that the gate accepts: a decimal number as TOML wants it."""
    if not re.fullmatch(r"0(\.[0-9]+)?", text):
        yield f"is {text!r}: a number such as 0.005, zero or more and less than 1, with a point and one leading zero."


def timezone_errors(name: str) -> Iterator[str]:
    """Check the time zone; whether it exists, where this machine has a list of them."""
    known = zoneinfo.available_timezones()
    if not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", name) or (known and name not in known):
        yield f"is {name!r}, which is not a valid IANA time zone; one is Europe/Berlin."


def block_errors(name: str) -> Iterator[str]:
    """Check a name that Prefect gives out."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or len(name) > LONGEST_PREFECT_NAME:
        yield (
            f"is {name!r}: lower-case letters, digits and single dashes only,"
            f" at most {LONGEST_PREFECT_NAME} characters."
        )


def pool_errors(name: str) -> Iterator[str]:
    """Check the name of a work pool."""
    yield from block_errors(name)
    if name.startswith("prefect"):
        yield f"is {name!r}: Prefect keeps names that start with its own for itself."


def cron_errors(expression: str) -> Iterator[str]:
    """Check a cron expression of five fields: what settings.py and Prefect's server both read, and comes due."""
    fields = expression.split()
    if len(fields) != len(CRON_FIELDS):
        yield f"is {expression!r}: five fields are needed, such as 0 6 * * 1 for Mondays at six."
        return
    values: list[set[int]] = []
    for text, (field, low, high, names) in zip(fields, CRON_FIELDS, strict=True):
        parts = {part: _cron_values(part, low, high, names) for part in text.split(",")}
        for part in (part for part, found in parts.items() if not found):
            yield f"is {expression!r}: {part!r} is no {field}, which is {low} to {high}."
        values.append(set().union(*parts.values()))
    _, _, days, months, _ = values
    # Prefect's parser wants such a day to exist even where a day of the week is given too.
    if days and months and min(days) > max(LONGEST_MONTHS[month - 1] for month in months):
        yield f"is {expression!r}, which never comes: no such month has {min(days)} days."


def _cron_values(part: str, low: int, high: int, names: list[str]) -> set[int]:
    """Return the numbers that a part of a field stands for, none if it stands for nothing."""
    span, slash, step = part.partition("/")
    stride = _cron_number(step, []) if slash else 1
    ends = [low, high] if span == "*" else [_cron_number(end, names, low) for end in span.split("-")]
    if not stride or len(ends) > 2 or None in ends or ends != sorted(ends):
        return set()
    if ends[0] < low or ends[-1] > high:
        return set()
    last = high if slash and ends[0] == ends[-1] else ends[-1]  # 5/10 is 5-59/10
    return set(range(ends[0], last + 1, stride))


def _cron_number(text: str, names: list[str], low: int = 0) -> "int | None":
    if text.lower() in names:
        return names.index(text.lower()) + low
    return int(text) if re.fullmatch(r"[0-9]{1,2}", text) else None


CHECKS: Mapping[str, Callable[[str], Iterator[str]]] = {
    "project_slug": slug_errors,
    "package_name": package_errors,
    "data_source": source_errors,
    "min_improvement": improvement_errors,
    "schedule": cron_errors,
    "timezone": timezone_errors,
    "slack_block": block_errors,
    "work_pool": pool_errors,
}


def main() -> int:
    """Print every error and return 1, or return 0."""
    found = [*mark_errors(json.loads(GIVEN)), *errors(json.loads(ANSWERS))]
    for error in found:
        print(f"error: {error}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
