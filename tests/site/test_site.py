"""The course in a browser tab: every lesson runs, an exercise is answered and kept, and nothing leaves the machine.

Needs a whole Pyodide (MINITRANSFORMER_PYODIDE names its folder), Chromium with driver, Selenium and JupyterLite;
without them these tests skip, and fail where MINITRANSFORMER_REQUIRE_BROWSER is set.
"""

import base64
import csv
import json
import os
import subprocess
import sys

import pytest

from minitransformer.course.capstone import FROM_REFERENCE
from minitransformer.course.exercises import find

from .browsing import CHECKOUT, build, chromium, hosts, missing, open_lesson, run_lesson, served, wait

LESSONS = sorted(path.stem for path in (CHECKOUT / "notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.xdist_group("site")
if why := missing("jupyterlite_core", "jupyterlite_pyodide_kernel"):
    if os.environ.get("MINITRANSFORMER_REQUIRE_BROWSER"):
        raise RuntimeError(why)
    pytest.skip(why, allow_module_level=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of the site with the students' notebooks."""
    with served(build(tmp_path_factory.mktemp("site") / "student", CHECKOUT / "notebooks")) as address:
        yield address


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """The address of the site with the solved ones."""
    folder = CHECKOUT / "notebooks" / "solved"
    if not folder.is_dir():
        pytest.skip("no solved notebooks: python -m minitransformer.course.build --kind solved")
    with served(build(tmp_path_factory.mktemp("site") / "solved", folder)) as address:
        yield address


@pytest.fixture
def browser():
    with chromium() as driver:
        yield driver


@pytest.mark.parametrize("kind", ["site", "solved"])
@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_runs_to_its_end_without_an_error_and_without_another_host(lesson, kind, browser, request):
    took = run_lesson(browser, request.getfixturevalue(kind), lesson)
    print(f"{lesson}, {kind}: {took}")
    assert took["errors"] == []
    assert took["done"] == took["cells"] > 3
    assert hosts(browser) == {"localhost"}


CELL = """
const content = window.jupyterapp.shell.currentWidget.content;
const given = arguments[0];
const at = content.widgets.findIndex(({model}) => model.type === "code" && model.sharedModel.source.includes(given));
"""
OUTPUT = CELL + "return content.widgets[at].outputArea.node.textContent;"


def run_cell(driver, contains, source=None):
    """Run the first cell that contains a text, after giving it a new source."""
    before = driver.execute_script(CELL + "return content.widgets[at].model.executionCount", contains)
    driver.execute_script(
        CELL
        + "if (arguments[1] !== null) content.widgets[at].model.sharedModel.setSource(arguments[1]);"
        + "content.activeCellIndex = at; window.jupyterapp.commands.execute('notebook:run-cell');",
        contains,
        source,
    )
    where = json.dumps(contains)
    script = CELL.replace("arguments[0]", where) + "const n = content.widgets[at].model.executionCount;"
    wait(driver, f"{script} return n !== null && n !== {json.dumps(before)};", 120)
    return driver.execute_script(OUTPUT, contains)


def save(driver):
    driver.execute_async_script(
        "const end = arguments[0]; window.jupyterapp.shell.currentWidget.context.save().then(() => end(true));"
    )


def content(driver, path):
    """The content of a file that the browser keeps."""
    return driver.execute_async_script(
        "const end = arguments[1];"
        "window.jupyterapp.serviceManager.contents.get(arguments[0], {content: true})"
        ".then((model) => end(model.content), (error) => end(String(error)));",
        path,
    )


def test_an_answer_is_judged_kept_over_a_reload_downloaded_and_graded(site, browser, tmp_path):
    open_lesson(browser, site, "04_self_attention")
    run_cell(browser, "import numpy as np")
    name, stub = "softmax_backward", "def softmax_backward("
    wrong = "def softmax_backward(dy, y):\n    return dy * y\n"
    run_cell(browser, stub, wrong)
    said = run_cell(browser, f'check("{name}"')
    assert "NOT YET" in said
    assert find(name) is not None
    reason = said.split("NOT YET")[1]
    assert len(reason) > 40  # why, in words
    right = find(name).source
    run_cell(browser, stub, right)
    assert "PASS" in run_cell(browser, f'check("{name}"')
    save(browser)
    open_lesson(browser, site, "04_self_attention")
    kept = browser.execute_script(CELL + "return content.widgets[at].model.sharedModel.source", stub)
    assert kept == right
    book = json.dumps(content(browser, "04_self_attention.ipynb"))
    folder = tmp_path / "handed_in" / "student"
    folder.mkdir(parents=True)
    (folder / "04_self_attention.ipynb").write_text(book, encoding="utf-8")
    grade = [sys.executable, "-m", "minitransformer", "grade", str(folder.parent)]
    marks = subprocess.run(grade, check=True, capture_output=True, text=True).stdout
    (row,) = csv.DictReader(marks.splitlines())
    assert row[name] == "1"
    assert row["attention_backward"] == "0"
    assert hosts(browser) == {"localhost"}


def test_the_first_page_lists_all_lessons_and_fits_a_narrow_screen(site):
    with chromium(width=500) as driver:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True},
        )
        driver.get(f"{site}/index.html")
        links = driver.execute_script("return [...document.querySelectorAll('table a')].map((a) => a.href)")
        assert [link.rpartition("path=")[2] for link in links] == [f"{lesson}.ipynb" for lesson in LESSONS]
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 360


def test_the_capstone_collects_an_answer_of_another_lesson_into_a_file_that_is_kept(site, browser):
    open_lesson(browser, site, "04_self_attention")
    run_cell(browser, "import numpy as np")
    run_cell(browser, "def softmax_backward(", find("softmax_backward").source)
    save(browser)
    open_lesson(browser, site, "12_capstone")
    run_cell(browser, "import numpy as np")
    said = run_cell(browser, "collect(fill=FILL)")
    assert "functions and classes of yours" in said
    open_lesson(browser, site, "12_capstone")
    kept = base64.b64decode(content(browser, "my_transformer.py")).decode()
    assert "def softmax_backward(dy, y):" in kept
    assert f"{FROM_REFERENCE}\ndef softmax_backward" not in kept
