"""Every relative link of the pages leads to a file, and to a heading of it where it names one."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from .conftest import RENDERED, TEMPLATE

LIBRARY_PAGES = TEMPLATE / "retrainer" / "src" / "retrainer" / "docs"
PROJECT_PAGE = TEMPLATE / RENDERED / "README.md"
PAGES = [
    *(TEMPLATE / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((TEMPLATE / "docs").rglob("*.md")),
    *sorted((TEMPLATE / "examples").rglob("*.md")),
    TEMPLATE / "retrainer" / "README.md",
    *sorted(LIBRARY_PAGES.glob("*.md")),
    PROJECT_PAGE,
]
FENCED = re.compile(r"^```.*?^```$|^    [^\n]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?![a-z]+:)([^)#]*)(?:#([^)]*))?\)")


def links(page: Path) -> list[tuple[Path, str]]:
    """Return the file and the heading of each relative link; a project's page names it by the template's folders."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    text = text.replace("<< cookiecutter.package_name >>", "<<cookiecutter.package_name>>")
    found = LINK.findall(text)
    return [((page.parent / unquote(name)).resolve() if name else page, heading) for name, heading in found]


def anchors(page: Path) -> set[str]:
    """Return what links to the headings of a page are called on GitHub."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TEMPLATE)))
def test_every_link_leads_somewhere(page: Path) -> None:
    found = links(page)

    missing = [str(target) for target, _ in found if not target.exists()]
    assert not missing
    lost = [f"{target}#{heading}" for target, heading in found if heading and heading not in anchors(target)]
    assert not lost


def test_links_are_found() -> None:
    assert (LIBRARY_PAGES / "promotion.md", "what-serves-the-newest-rows") in links(PROJECT_PAGE)


@pytest.mark.parametrize("page", sorted(LIBRARY_PAGES.glob("*.md")), ids=lambda page: page.name)
def test_a_page_of_the_library_is_complete_in_a_project(page: Path) -> None:
    """Serving's page is only in a project that serves; of the library, only the copied folder is in one."""
    library = LIBRARY_PAGES.parent
    outside = [target for target, _ in links(page) if not target.is_relative_to(library)]
    optional = [target for target, _ in links(page) if target.name == "serving.md"]

    assert not outside + optional
    assert not re.search(r"<<|<%|<#", page.read_text(encoding="utf-8")), "the library is not rendered"
