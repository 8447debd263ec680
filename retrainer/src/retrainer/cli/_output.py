"""What commands print: text as wide as it is, tables, and facts as JSON."""

import json
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from .. import reporting

NARROWEST = 60  # columns of a terminal in which a table still reads well

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print the facts as JSON.")]


def write(content: Any) -> None:
    """Print text or a rich object.

    The terminal wraps long lines of text, so that a path or a command can be copied as a whole. A table is folded on a
    terminal, and has long lines in a file.
    """
    from rich.console import Console

    console = Console(highlight=False, markup=False)  # a column of the user's may be called [red]
    if not isinstance(content, str):
        whole = console.measure(content, options=console.options.update(max_width=1000)).maximum
        console.width = max(console.width, NARROWEST if console.is_terminal else whole)
    console.print(content, soft_wrap=isinstance(content, str))


def write_table(table: "reporting.Table") -> None:
    """Print a table of the report."""
    from rich.table import Table

    shown = Table(*(cell.text for cell in table.header), title=table.caption, title_justify="left")
    for row in table.cells:
        shown.add_row(*(cell.text for cell in row))
    write(shown)


def write_json(facts: Any) -> None:
    """Print facts for a program."""
    print(json.dumps(facts, indent=2, default=str))
