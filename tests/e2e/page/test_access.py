"""The page for everyone: by keyboard, in the dark, on a phone, with a screen reader."""

from collections.abc import Sequence
from importlib.resources import files

import pytest
from playwright.sync_api import Browser, Page, expect
from support.page_library import (
    BY_MASTER,
    LONG_NAME,
    MASTER,
    Served,
    ask,
    highlighted,
    newest,
    turn_to,
)

VIEWS = (
    "#/ask",
    "#/documents",
    "#/documents/1?start=5&end=9",
    "#/add",
    "#/runs",
    "#/history",
    "#/conversations",
    "#/statistics",
)


def test_everything_can_be_done_with_the_keyboard(library: Served, page: Page) -> None:
    page.goto(f"{library.url}/#/documents")
    expect(page.locator(".entry")).to_have_count(3)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator(".entry").first).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Words")).to_be_focused()
    page.keyboard.type("?j harbour")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Keyboard shortcuts")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("1")
    expect(page.get_by_label("Question", exact=True)).to_be_focused()
    page.keyboard.type(BY_MASTER)
    page.keyboard.press("Enter")
    page.locator(".cite").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator(".cite")).to_be_focused()
    page.keyboard.press("Enter")
    assert highlighted(page) == MASTER


def ground(page: Page) -> str:
    """The colour behind everything."""
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_the_theme_follows_the_system_until_it_is_chosen(library: Served, browser: Browser) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(library.url)
    dark = ground(page)
    page.get_by_role("button", name="Theme: system").click()
    page.reload()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert ground(page) != dark
    page.close()


def test_no_view_is_wider_than_a_small_phone(library: Served, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(library.url)
    named = "#/documents?q=goes-on"
    for view in (*VIEWS, named, f"#/history/{newest(library).prompt_id}"):
        turn_to(page, view)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, view
    turn_to(page, named)
    page.locator(".entry").click()
    expect(page.locator(".places")).to_contain_text(LONG_NAME)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def serious(page: Page, *, only: Sequence[str] = ()) -> list[str]:
    """What axe finds that keeps people out, with the element that does."""
    options = {"runOnly": list(only)} if only else {}
    found = page.evaluate("(options) => axe.run(document, options)", options)
    assert found["passes"]
    return [
        f"{rule['id']}: {node['html']}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def assert_accessible(page: Page, view: str) -> None:
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    light = ground(page)
    assert serious(page) == [], view
    page.emulate_media(color_scheme="dark")
    assert ground(page) != light
    assert serious(page, only=["color-contrast"]) == [], view


def with_axe(page: Page, url: str) -> None:
    page.goto(url)
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text("utf-8"))


def test_axe_finds_nothing_serious_about_an_answer_and_its_document(
    library: Served, page: Page
) -> None:
    with_axe(page, library.url)
    ask(page, BY_MASTER)
    page.locator(".cite").click()
    assert highlighted(page) == MASTER
    assert_accessible(page, "an answer and its document")
    page.keyboard.press("Escape")
    turn_to(page, "#/history")
    assert_accessible(page, "#/history")


@pytest.mark.slow
def test_axe_finds_nothing_serious_in_any_view_light_or_dark(library: Served, page: Page) -> None:
    with_axe(page, library.url)
    assert_accessible(page, "the beginning")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    assert_accessible(page, "the help")
    page.keyboard.press("Escape")
    recorded = newest(library).prompt_id
    for view in (*VIEWS, "#/documents/999", f"#/history/{recorded}"):
        turn_to(page, view)
        assert_accessible(page, view)
    turn_to(page, "#/runs")
    page.locator(".entry").first.click()
    expect(page.locator(".failures")).to_be_visible()
    assert_accessible(page, "a run")


def test_axe_would_notice(library: Served, page: Page) -> None:
    with_axe(page, library.url)
    page.locator("#question").evaluate("(box) => { box.id = box.placeholder = ''; }")
    page.locator(".send").evaluate("(button) => { button.style.color = '#3a8a82'; }")
    assert {found.partition(":")[0] for found in serious(page)} == {"color-contrast", "label"}
