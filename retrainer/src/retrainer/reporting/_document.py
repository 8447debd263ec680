"""A document in parts, made into one HTML page that needs no network, or into Markdown: tables, pictures, text."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: The text of the cell.
        style: Any of the words `number`, `good`, `bad`, `wait`, `whole` (on one line) and `long`.
        bar: The length of a bar that is drawn instead of the text, from 0 to 1.
        heat: The strength of the background colour, from 0 to 1.
    """

    text: str
    style: str = ""
    bar: float | None = None
    heat: float | None = None


class Number(str):
    """The name of a column of numbers."""

    __slots__ = ()


@dataclass(frozen=True)
class Table:
    """A table; its first column names the rows, and a column named by a `Number` is aligned to the right."""

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str | Cell]]

    @property
    def header(self) -> list[Cell]:
        """The names of the columns."""
        return [Cell(str(name), "number" if isinstance(name, Number) else "") for name in self.columns]

    @property
    def cells(self) -> list[list[Cell]]:
        """The rows, numbers under a column of numbers."""
        styles = [cell.style for cell in self.header]
        return [
            [value if isinstance(value, Cell) else Cell(value, style) for value, style in zip(row, styles, strict=True)]
            for row in self.rows
        ]


@dataclass(frozen=True)
class Picture:
    """An SVG element and its title."""

    title: str
    svg: str


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    name: str
    title: str
    texts: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    about_pictures: Sequence[str] = ()
    code: str = ""
    notes: Sequence[str] = ()
    wide: bool = False


@dataclass(frozen=True)
class Tile:
    """A figure to be seen first."""

    label: str
    value: str
    style: str = ""


@dataclass(frozen=True)
class Mark:
    """A labelled mark on the gauge, `at` in percent of its width."""

    at: float
    label: str
    colour: str = "champion"
    dashed: bool = False
    above: bool = True

    @property
    def anchor(self) -> str:
        """The SVG text anchor that keeps the label on the page."""
        if self.at < 34:
            return "start"
        return "end" if self.at > 66 else "middle"


@dataclass(frozen=True)
class Gauge:
    """A scale with the challenger, and with the champion and the margin, or a floor."""

    alt: str
    caption: str
    dot: Mark
    lines: Sequence[Mark] = ()
    interval: tuple[float, float] | None = None
    zone: tuple[float, float] | None = None


def moment(time: str) -> str:
    try:
        return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M %Z}".strip()
    except ValueError:
        return time


# The last two are those of decisions that earlier releases recorded.
_VERDICT = re.compile("^(Promoted|Not promoted|In staging, not promoted|Rejected|Kept|Staging): ")


def sentence(reason: str) -> str:
    """Return a reason without the verdict at its beginning."""
    rest = _VERDICT.sub("", reason)
    return reason if rest == reason else rest[:1].upper() + rest[1:]


def render(name: str, **content: Any) -> str:
    return _templates().get_template(name).render(**content)


@functools.cache
def _templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("pages")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["with_code"] = _with_code
    return environment


def _with_code(html: str) -> str:
    """Return text, escaped already, with what stands between backticks, such as a command, as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", str(html))


def markdown_table(table: Table) -> str:
    drawn = {number for row in table.cells for number, cell in enumerate(row) if cell.bar is not None}
    kept = [number for number in range(len(table.columns)) if number not in drawn]
    header = [table.header[number] for number in kept]
    lines = [
        f"**{escaped(table.caption)}**",
        "",
        "| " + " | ".join(escaped(cell.text) for cell in header) + " |",
        "| " + " | ".join("---:" if cell.style == "number" else "---" for cell in header) + " |",
        *("| " + " | ".join(escaped(row[number].text) for number in kept) + " |" for row in table.cells),
    ]
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Return the text on one line of Markdown, with its markup escaped: a column may have any name.

    Examples:
        >>> print(escaped("a_b | <c>"))
        a\\_b \\| &lt;c&gt;
    """
    text = " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
    text = re.sub(r"[\\`*_|\[\]~$]", r"\\\g<0>", text)
    # At the beginning of a line these make a heading, a list or a line across.
    return re.sub(r"^(\d*)([#+=.)-]+)(?=\s|$)", r"\1\\\2", text)


def fenced(code: str) -> str:
    """Return a block of code in Markdown, whatever its lines contain."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
    return f"{fence}\n{code}\n{fence}"
