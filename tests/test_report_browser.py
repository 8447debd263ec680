"""The reports of real runs in a real browser: light and dark, on a phone, at a desk and on paper."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver

from .conftest import Bake, Project, Runner, Server, lacks, project_in
from .test_execution import write_table

pytestmark = pytest.mark.long

PHONE, DESK = 390, 1280
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
HOSTILE = "<img src=x onerror=alert(1)>"
NAMES = ("first", "pair", "rejected", "regression", "history", "drift")

# What stands across the edge of the page, where no scroll bar of its own reaches it.
OVERFLOWING = """
const width = document.documentElement.clientWidth;
return [...document.querySelectorAll('body *')]
    .filter(one => !one.closest('.scroll > *, pre > *'))
    .filter(one => { const box = one.getBoundingClientRect(); return box.right > width + 1 || box.left < -1; })
    .map(one => one.outerHTML.slice(0, 120));
"""
EMPTY_PICTURES = """
return [...document.querySelectorAll('svg')]
    .filter(one => !(one.getBoundingClientRect().width > 100 && one.getBoundingClientRect().height > 50
        && one.querySelectorAll('path, line, circle').length > 1))
    .map(one => one.getAttribute('aria-label'));
"""
OVERLAPPING = """
const labels = [...document.querySelectorAll('.gauge text')];
return labels.flatMap((one, at) => labels.slice(at + 1).map(other => [one, other])).filter(([one, other]) => {
    const [a, b] = [one, other].map(text => text.getBoundingClientRect());
    return a.left < b.right && b.left < a.right && a.top + 3 < b.bottom && b.top + 3 < a.bottom;
}).map(both => both.map(text => text.textContent));
"""
HIDDEN = """
return [...document.querySelectorAll('header > :not(nav), main *')]
    .filter(one => !one.checkVisibility({opacityProperty: true, visibilityProperty: true}))
    .map(one => one.outerHTML.slice(0, 120));
"""


@dataclass(frozen=True)
class Report:
    """A page, and what the registry says that it must tell."""

    path: Path
    headline: str
    words: tuple[str, ...]
    sections: tuple[str, ...]


@pytest.fixture(scope="module")
def reports(
    bake: Bake, environment: Path, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Report]:
    """Retrain and monitor until every kind of report is there: six runs of two projects."""
    runner = Runner(environment, server)

    def copy(**answers: str) -> Project:
        project = bake(**answers)
        path = tmp_path_factory.mktemp("reports") / project.slug
        shutil.copytree(project.path, path)
        return project_in(path)

    def retrain(project: Project, verdict: str, *sections: str, **settings: str) -> Report:
        facts = runner.command(project, "retrain", "--json", **settings)
        assert facts["verdict"] == verdict, facts["reason"]
        headlines = {"promoted": "Promoted to production", "kept": "Not promoted, the champion stays"}
        words = (facts["reason"].partition(": ")[2][1:], facts["version"], str(facts["champion"]))
        common = ("Criteria", "Metrics", "Feature importance", "Data", "Lineage", "How to roll back")
        return Report(Path(facts["report"]), headlines.get(verdict, "Rejected"), words, (*common, *sections))

    classes = ("Errors by class", "Probabilities")
    boosting = {"ESTIMATORS": '["hist_gradient_boosting"]'}
    people = copy(data_source="table.csv", target_column="left", estimator="linear")
    hostile = {HOSTILE: lambda row: row % 5}
    left = {"left": lambda row: "yes" if row % 7 in (2, 4, 5, 6) else "no"}
    write_table(people.path / "table.csv", rows=1200, **left, **hostile)
    found = {
        "first": retrain(people, "promoted", *classes),
        "pair": retrain(people, "promoted", *classes, "Slices", **boosting),
        "rejected": retrain(people, "rejected", *classes, GATE__FLOOR="0.99", GATE__STAGING_FLOOR="0.98"),
    }
    runner.command(people, "registry", "rollback", "--reason", "A test.")
    page = people.path / "life of the model.html"
    runner.command(people, "registry", "report", "--output", str(page))
    told = ("promoted", "rejected", "rolled back", found["pair"].words[1])
    found["history"] = Report(page, "Model history", told, ("weighted F1 over time", "Decisions"))

    numbers = copy(problem_type="regression", data_source="table.csv", target_column="spent")
    write_table(
        numbers.path / "table.csv",
        rows=1200,
        left=None,
        spent=lambda row: round(row % 7 * 12.5 + 40 * (row % 7 > 4) + row * 37 % 11, 2),
    )
    retrain(numbers, "promoted", ESTIMATORS='["linear"]')
    found["regression"] = retrain(numbers, "promoted", "Errors", "Slices", **boosting)
    write_table(numbers.path / "new.csv", rows=1200, left=None, calls=lambda row: row % 7 + 5, spent=lambda row: row)
    window = runner.command(numbers, "monitor", "--source", "new.csv", "--json")
    words = ("upper bar in training", *window["drifted_columns"])
    drawn = ("Drifted columns", "Columns", "Windows")
    found["drift"] = Report(Path(window["report"]), "The new data have drifted", words, drawn)
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """Start Debian's Chromium once, without a window."""
    if not (BROWSER and DRIVER):
        lacks("reports in a browser", "chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in (
        "--headless=new",
        "--no-sandbox",  # root, as containers are
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--hide-scrollbars",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def open_page(
    browser: webdriver.Chrome, path: Path, *, width: int, scheme: str = "light", media: str = "screen"
) -> None:
    """Open a page, the logs being empty before."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(path.as_uri())


def text_of(browser: webdriver.Chrome, selector: str) -> str:
    """Return what can be seen of the elements, a line each."""
    return "\n".join(element.text for element in browser.find_elements("css selector", selector))


def requests(browser: webdriver.Chrome) -> list[str]:
    """Return the address of everything the page asked for."""
    entries: list[Mapping[str, Any]] = [
        json.loads(line["message"])["message"] for line in browser.get_log("performance")
    ]
    return [entry["params"]["request"]["url"] for entry in entries if entry["method"] == "Network.requestWillBeSent"]


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "light"), (DESK, "dark")], ids=["phone", "desk"])
@pytest.mark.parametrize("name", NAMES)
def test_a_report_is_drawn_whole_and_without_network(
    browser: webdriver.Chrome, reports: dict[str, Report], name: str, width: int, scheme: str
) -> None:
    report = reports[name]
    open_page(browser, report.path, width=width, scheme=scheme)

    assert {address.partition(":")[0] for address in requests(browser)} <= {"file", "data"}
    assert browser.get_log("browser") == []
    assert report.headline in text_of(browser, "h1")
    seen = text_of(browser, "body")
    assert [word for word in report.words if word not in seen] == []
    assert set(report.sections) <= set(text_of(browser, "h2").splitlines())
    assert len(browser.find_elements("tag name", "svg")) >= {"history": 2, "drift": 1}.get(name, 3)
    assert browser.execute_script(EMPTY_PICTURES) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(OVERFLOWING) == []
    assert browser.execute_script(OVERLAPPING) == []
    violations = Axe().run(browser)["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in violations] == []


@pytest.mark.parametrize("name", NAMES)
def test_paper_says_it_too(browser: webdriver.Chrome, reports: dict[str, Report], name: str) -> None:
    report = reports[name]
    open_page(browser, report.path, width=794, scheme="dark", media="print")  # A4; paper is white

    assert report.headline in text_of(browser, "h1")
    assert [word for word in report.words if word not in text_of(browser, "body")] == []
    assert browser.execute_script(HIDDEN) == []
    assert browser.execute_script(EMPTY_PICTURES) == []
    paper = browser.find_element("tag name", "body").value_of_css_property("background-color")
    assert paper in ("rgb(255, 255, 255)", "rgba(255, 255, 255, 1)")


def test_a_name_of_the_table_is_never_markup(browser: webdriver.Chrome, reports: dict[str, Report]) -> None:
    open_page(browser, reports["pair"].path, width=DESK)

    assert HOSTILE in text_of(browser, "#data tbody th")
    assert browser.find_elements("tag name", "img") == []
