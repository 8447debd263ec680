"""The pictures of the README, from a real run: `make pictures`.

Renders the project, retrains it twice with a Prefect server on a free loopback port, first with a linear model and then
with the default one, and writes to docs/pictures what a person sees: the terminal (SVG), the report and Prefect's UI
(PNG, by Debian's Chromium).
"""

import io
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from retrain import TEMPLATE, Workspace
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

OUTPUT = TEMPLATE / "docs" / "pictures"
ROWS = 20_000
COLUMNS = 90
COLOURS = 64  # enough for a page of text
REPORT, RUN = (640, 900), (900, 860)  # windows so small that text is readable in half of a README's width


def main() -> None:
    """Make the pictures."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="pictures-") as folder:
        workspace = Workspace(Path(folder))
        workspace.set_up()
        server = workspace.start_server()
        try:
            picture(workspace)
        finally:
            server.terminate()
            server.wait()
    for path in sorted(OUTPUT.iterdir()):
        print(f"{path.relative_to(TEMPLATE)}: {path.stat().st_size / 1000:.0f} kB")


def picture(workspace: Workspace) -> None:
    """Run, and picture what comes of it."""
    table = workspace.generate(ROWS).rename(workspace.project / "customers.parquet")
    variables = {
        "ML_RETRAINING_DATA__SOURCE": table.name,
        "ML_RETRAINING_NOTIFICATIONS__BLOCK": "",
        "COLUMNS": str(COLUMNS),
        "FORCE_COLOR": "1",
    }

    def run(*words: str, **more: str) -> str:
        command = [workspace.project / ".venv" / "bin" / "ml-retraining", *words]
        environment = workspace.environment | variables | more
        done = subprocess.run(
            command,
            cwd=workspace.project,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode:
            sys.exit(done.stdout)
        return done.stdout

    run("retrain", ML_RETRAINING_ESTIMATORS='["linear"]')
    text = "$ make retrain\n" + run("retrain") + "\n$ ml-retraining registry list\n" + run("registry", "list")
    terminal(text.replace(str(workspace.folder), "~"), OUTPUT / "terminal.svg")

    plain = Text.from_ansi(text).plain
    (report,) = [
        workspace.project / "models" / "versions" / line.split()[-1] / "report.html"
        for line in plain.splitlines()
        if line.startswith("in production")
    ]
    run_url = next(word for word in plain.split() if "/runs/flow-run/" in word)
    browser = chromium()
    try:
        shot(browser, REPORT, report.as_uri(), "//h1", OUTPUT / "report.png")
        shot(browser, RUN, run_url, "//*[contains(text(), 'compare_with_production')]", OUTPUT / "prefect.png")
    finally:
        browser.quit()


def terminal(text: str, path: Path) -> None:
    """Write what a terminal showed as SVG, in the reader's own fixed-width font: the usual one comes from a network."""
    console = Console(record=True, file=io.StringIO(), width=COLUMNS + 12)
    console.print(Text.from_ansi(text))
    start, end = CONSOLE_SVG_FORMAT.index("@font-face"), CONSOLE_SVG_FORMAT.index(".{unique_id}-matrix")
    style = (CONSOLE_SVG_FORMAT[:start] + CONSOLE_SVG_FORMAT[end:]).replace("Fira Code, monospace", "monospace")
    path.write_text(console.export_svg(title="", code_format=style, unique_id="terminal"))


def chromium() -> webdriver.Chrome:
    """Start Debian's Chromium without a window."""
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.add_argument("--force-device-scale-factor=2")
    return webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))


def shot(browser: webdriver.Chrome, size: tuple[int, int], url: str, until: str, path: Path) -> None:
    """Write a picture of the page once the element `until` (XPath) is there."""
    browser.set_window_size(*size)
    browser.get(url)
    WebDriverWait(browser, 60).until(lambda one: one.find_elements("xpath", until))
    image = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    image.quantize(COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    main()
