"""Where something is: a path or a URL, which may carry a password.

A `Location` is parsed once and never shows what may be a secret: `str`, `repr` and dumps have `***` in its place, and
only `reveal` gives the whole. When in doubt, a part is a secret: of a URL's query only the parameters in `HARMLESS` are
shown. A secret need not stand anywhere: `${DB_PASSWORD}` is filled in from the environment when the location is used.
"""

import itertools
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, unquote_plus

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from .errors import ConfigurationError

HIDDEN = "***"
# Parameters of a URL's query that hold no secret; the value of any other is hidden.
HARMLESS = frozenset(
    {"date", "day", "end", "from", "month", "since", "start", "to", "until", "week", "year"}
    | {"database", "limit", "offset", "page", "schema", "sheet", "table", "version", "versionid"}
    | {"charset", "driver", "encoding", "encrypt", "format", "mode", "sslmode", "timeout"}
)
PREFECT_SECRET = "prefect.secret:"
_PLACEHOLDER = re.compile(rf"\$\{{((?:{re.escape(PREFECT_SECRET)})?\w[\w-]*)\}}")
_DATE = re.compile(r"\{as_of[^{}]*\}")
_BRACES = re.compile(r"\{[^{}]*\}")
_SHORTEST = 3  # characters of a secret that is looked for in the words of others


class _Span(NamedTuple):
    text: str
    secret: bool = False


class Location:
    """A path or a URL whose secrets are hidden wherever it is shown.

    Examples:
        >>> Location("https://reader:hunter2@example.com/table.csv")
        Location('https://***@example.com/table.csv')
    """

    __slots__ = ("_spans",)

    def __init__(self, text: "str | Location") -> None:
        """Parse `text`, as it is in the settings."""
        self._spans: tuple[_Span, ...] = text._spans if isinstance(text, Location) else tuple(_parse_spans(text))

    @classmethod
    def _from_spans(cls, spans: "Iterator[_Span]") -> "Location":
        made = cls.__new__(cls)
        made._spans = tuple(spans)
        return made

    def __str__(self) -> str:
        return "".join(HIDDEN if span.secret else span.text for span in self._spans)

    def __repr__(self) -> str:
        return f"Location({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Location) and self._spans == other._spans

    def __hash__(self) -> int:
        return hash(self._spans)

    @property
    def is_url(self) -> bool:
        """Whether this is a URL, not a path on this machine."""
        text = self.reveal()
        return "://" in text and not text.startswith("file://")

    @property
    def has_secret(self) -> bool:
        """Whether a part of the location may be a secret; a placeholder is not one."""
        return any(span.secret for span in self._spans)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names in `${}`."""
        return tuple(_PLACEHOLDER.findall("".join(span.text for span in self._spans)))

    def reveal(self) -> str:
        """Return the complete location, with placeholders filled in from the environment, to open it. Never show it.

        Raises:
            ConfigurationError: a variable is not set.
        """
        return self.filled(self._from_environment)._full_text

    def filled(self, value: Callable[[str], str | None]) -> "Location":
        """Return the location with `value(name)` in place of each placeholder, a secret; those of None stay.

        Inside a URL the value is quoted, so that a password may hold any character; alone it is taken as it is.
        """
        text = self._full_text
        if whole := _PLACEHOLDER.fullmatch(text):
            found = value(whole[1])
            return self if found is None else Location(found)

        def spans() -> Iterator[_Span]:
            for span in self._spans:
                for number, part in enumerate(_PLACEHOLDER.split(span.text)):
                    found = value(part) if number % 2 else None
                    if found is not None:
                        yield _Span(quote(found, safe="") if "://" in text else found, True)
                    elif part:
                        yield _Span(f"${{{part}}}" if number % 2 else part, span.secret)

        return Location._from_spans(spans())

    def edited(self, edit: Callable[[str], str]) -> "Location":
        """Return the location with `edit` applied to everything but placeholders; in a secret, only to dates."""

        def spans() -> Iterator[_Span]:
            for text, secret in self._spans:
                if secret:
                    yield _Span(_DATE.sub(lambda match: edit(match[0]), text), True)
                    continue
                for number, part in enumerate(_PLACEHOLDER.split(text)):
                    yield _Span(f"${{{part}}}" if number % 2 else edit(part))

        return Location._from_spans(spans())

    def hide(self, text: str) -> str:
        """Return a text of others, such as a database driver's, without the secrets of this location."""
        try:
            known = self.filled(self._from_environment)
        except ConfigurationError:
            known = self
        if known.has_secret:
            text = text.replace(known._full_text, str(self))
        found = {variant for span in known._spans if span.secret for variant in _secret_variants(span.text)}
        for secret in sorted(found, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text

    @property
    def _full_text(self) -> str:
        return "".join(span.text for span in self._spans)

    def _from_environment(self, name: str) -> str:
        if name.startswith(PREFECT_SECRET):
            raise ConfigurationError(
                f"{self} names a Prefect Secret block, which only the source of a flow run can use. Use an"
                " environment variable, ${NAME}."
            )
        found = os.environ.get(name)
        if not found:
            raise ConfigurationError(
                f"{self} needs the environment variable {name}, which is not set. Run: export {name}=…"
            )
        return found

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let settings hold it: read from text, dumped as text without its secrets."""
        from_text = core_schema.chain_schema(
            [core_schema.str_schema(min_length=1), core_schema.no_info_plain_validator_function(cls)]
        )
        return core_schema.json_or_python_schema(
            json_schema=from_text,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), from_text]),
            serialization=core_schema.to_string_ser_schema(),
        )


def _parse_spans(text: str) -> Iterator[_Span]:
    """Cut a location into spans, each a secret or not; those of fsspec's chained URLs one after the other."""
    # What is in braces is not part of the structure: a date's format, the name of a variable.
    mask = _BRACES.sub(lambda match: "_" * len(match[0]), text)
    starts = [0, *(match.end() for match in re.finditer(r"::(?=[\w+.-]+(?:://|::))", mask)), len(mask)]
    for start, end in itertools.pairwise(starts):
        position = start
        for begin, finish in _secret_places(mask[start:end]):
            yield _Span(text[position : start + begin])
            found = text[start + begin : start + finish]
            filled_in = _PLACEHOLDER.fullmatch(found) or _DATE.fullmatch(found)
            yield _Span(found, secret=bool(found) and not filled_in)
            position = start + finish
        yield _Span(text[position:end])


def _secret_places(url: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of what may be a secret in one URL: a password, a token, values of its query."""
    match = re.match(r"([A-Za-z][\w+.-]+):/{0,2}", url)
    if not match:
        return
    rest = match.end()
    authority = rest + len(re.split(r"[/?#]", url[rest:], maxsplit=1)[0])
    at, colon = url.rfind("@"), url.find(":", rest, authority)
    if rest <= colon < at:  # a password may hold whatever its writer forgot to quote
        yield rest if _is_web(match[1]) else colon + 1, at
        rest = at + 1
    elif rest < (at := url.find("@", rest, authority)) and _is_web(match[1]):
        yield rest, at  # a token
        rest = at + 1
    query = re.search(r"[?#]", url[rest:])
    if not query or (query[0] == "#" and "=" not in url[rest:]):
        return
    for parameter in re.finditer(r"[^&;#?]+", url[rest + query.end() :]):
        name, equals, value = parameter[0].partition("=")
        begin = rest + query.end() + parameter.start() + (len(name + equals) if equals else 0)
        if (value or not equals) and name.lower() not in HARMLESS:
            yield begin, rest + query.end() + parameter.end()


def _is_web(scheme: str) -> bool:
    return scheme.lower().rpartition("+")[2] in ("http", "https")


def _secret_variants(secret: str) -> Iterator[str]:
    """Yield a secret as it may come back: as it stands, decoded, and the values in a connection string."""
    for variant in (secret, unquote(secret), unquote_plus(secret)):
        for part in (variant, *(word.partition("=")[2].strip("{}") for word in re.split(r"[;&]", variant))):
            if len(part) >= _SHORTEST:
                yield part
