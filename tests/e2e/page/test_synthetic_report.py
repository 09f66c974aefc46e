"""The page of a report on synthetic data, in a real browser: one file, readable by anybody."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from support.synthetic_report import HARM, report

from rag_pipeline.synthetic.judging.page import page as page_of


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page_of(report()), "utf-8")
    return path


@pytest.fixture
def shown(browser: Browser, file: Path) -> Iterator[Page]:
    """The file in a tab of its own; whatever it asks for beside itself fails the test."""
    tab = browser.new_page()
    asked: list[str] = []
    said: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: said.append(message.text))
    tab.goto(file.as_uri())
    yield tab
    assert [url for url in asked if not url.startswith(("data:", file.as_uri()))] == []
    assert said == []
    tab.close()


def serious(page: Page) -> list[str]:
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run(document)")
    assert found["passes"]
    return [
        f"{rule['id']}: {node['html']}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(shown: Page, scheme: str) -> None:
    shown.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    assert serious(shown) == []


def test_it_is_no_wider_than_a_small_phone_nor_than_paper(shown: Page) -> None:
    for width in (320, 360, 794, 1440):
        shown.set_viewport_size({"width": width, "height": 800})
        assert shown.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_and_light_are_told_apart(shown: Page) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        shown.emulate_media(color_scheme=scheme)
        grounds.add(shown.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


def test_a_column_whose_name_is_a_script_is_a_name(shown: Page) -> None:
    assert shown.title() == "Synthetic data: sailors"
    assert shown.get_by_text(HARM).count() >= 3
    plots = shown.get_by_role("img").all()
    assert len(plots) > 20
    assert all(plot.bounding_box() for plot in plots[:40])
