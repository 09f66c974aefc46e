"""A conversation on the page, in a real browser."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import service_of
from support.cli import Program, finished
from support.page_library import (
    BY_DREDGING,
    BY_MASTER,
    HARBOUR,
    MASTER,
    Served,
    ask,
    highlighted,
    newest,
)
from support.pipelines import word_pipeline

API_KEY = "a key of many letters"


def test_a_question_is_answered_with_a_mark_that_opens_the_exact_words(
    library: Served, page: Page
) -> None:
    page.goto(library.url)
    ask(page, BY_MASTER)
    answer = page.locator(".answer")
    expect(answer.get_by_text("Grounded")).to_be_visible()
    expect(answer.locator(".prose")).to_contain_text(MASTER)
    mark = answer.locator(".cite")
    mark.click()
    assert highlighted(page) == MASTER
    assert page.evaluate("document.activeElement.textContent") == MASTER
    page.keyboard.press("Escape")
    expect(page.locator("aside.beside")).to_be_hidden()
    expect(mark).to_be_focused()
    assert newest(library).question == BY_MASTER


def test_the_documents_alone_can_answer_without_a_model(library: Served, page: Page) -> None:
    page.goto(library.url)
    page.get_by_label("Answer with").select_option("extractive")
    ask(page, BY_MASTER)
    page.locator(".cite").first.click()
    assert newest(library).model == "extractive"
    (citation, *_) = library.rag.history.show(newest(library).prompt_id).citations
    assert citation.start > HARBOUR.index("🚢")
    assert highlighted(page) == citation.quote


def test_a_follow_up_belongs_to_the_conversation_which_a_reload_brings_back(
    library: Served, page: Page
) -> None:
    page.goto(library.url)
    ask(page, BY_DREDGING)
    expect(page.locator(".cite")).to_have_count(1)
    first = newest(library)
    ask(page, BY_MASTER)
    expect(page.locator(".turn:last-child .cite")).to_have_count(1)
    second = newest(library)
    assert (second.session, second.parent_id) == (first.session, first.prompt_id)
    page.set_viewport_size({"width": 1280, "height": 500})
    mark = page.locator(".turn:last-child .cite")
    mark.click()
    assert highlighted(page) == MASTER
    expect(mark).to_be_in_viewport()
    page.set_viewport_size({"width": 1280, "height": 800})
    page.reload()
    expect(page.locator(".question")).to_have_text([BY_DREDGING, BY_MASTER])
    page.get_by_role("link", name="New conversation").click()
    expect(page.locator(".question")).to_have_count(0)


def test_an_answer_under_way_can_be_stopped_and_is_on_record_as_cancelled(
    library: Served, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library.model, "pause_s", 0.3)
    page.goto(library.url)
    ask(page, BY_MASTER)
    expect(page.locator(".steps [aria-current]")).to_contain_text("Writing")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".answer .badge")).to_contain_text("Stopped")
    deadline = time.monotonic() + 10
    while newest(library).status == "started" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert newest(library).status == "cancelled"


def test_nothing_moves_while_an_answer_comes(
    library: Served, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        library.model, "pause_s", 0.15
    )  # longer than shifts after a key are forgiven
    page.goto(library.url)
    ask(page, BY_MASTER)
    page.wait_for_timeout(550)
    page.evaluate(
        "window.moved = 0; new PerformanceObserver((list) => list.getEntries().forEach("
        "(entry) => { window.moved += entry.value; })).observe({ type: 'layout-shift' });"
    )
    page.locator(".cite").wait_for()
    page.wait_for_timeout(100)
    assert page.evaluate("window.moved") < 0.02


def test_an_answer_is_copied_with_its_sources(library: Served, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(library.url)
    ask(page, BY_MASTER)
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines()[0] == f"{MASTER} [1]"
    assert copied.splitlines()[1].endswith(f"harbour.txt: “{MASTER}”")


def test_feedback_and_a_correction_are_kept(library: Served, page: Page) -> None:
    page.goto(library.url)
    ask(page, BY_MASTER)
    page.get_by_role("button", name="Not helpful").click()
    page.get_by_label("What should it have said?").fill("It was her sister <b>Ada</b>.")
    page.get_by_role("button", name="Send correction").click()
    expect(page.locator(".outcome", has_text="Your correction is on record")).to_be_visible()
    scores = library.rag.history.show(newest(library).prompt_id).scores
    assert scores[-1].value == 0
    assert scores[-1].correction == "It was her sister <b>Ada</b>."
    page.goto(f"{library.url}/#/history/{newest(library).prompt_id}")
    expect(page.get_by_text("It was her sister <b>Ada</b>.")).to_be_visible()


def test_a_key_is_asked_for_and_kept_for_the_tab_alone(
    library: Served, browser: Browser, tmp_path: Path
) -> None:
    with (
        word_pipeline(tmp_path / "home", service={"api_key": API_KEY}) as rag,
        service_of(rag) as url,
    ):
        page = browser.new_page()
        page.goto(f"{url}/#/documents")
        for key in ("wrong", API_KEY):
            page.get_by_label("Key", exact=True).fill(key)
            page.get_by_role("button", name="Use this key").click()
        expect(page.get_by_text("Nothing is in the collection")).to_be_visible()
        assert page.evaluate("Object.values(sessionStorage)") == [API_KEY]
        assert API_KEY not in str(page.evaluate("Object.values(localStorage)"))
        assert page.context.cookies() == []
        page.close()


def test_a_service_that_is_gone_is_said_in_words_and_can_be_tried_again(
    library: Served, page: Page
) -> None:
    page.goto(f"{library.url}/#/runs")
    page.context.set_offline(True)
    page.keyboard.press("4")
    alert = page.get_by_role("alert").last
    expect(alert).to_contain_text("can't be reached")
    page.context.set_offline(False)
    alert.get_by_role("button", name="Try again").click()
    expect(page.locator(".entry").first).to_be_visible()


@pytest.mark.slow
@pytest.mark.models
def test_the_program_serves_the_page_and_answers_on_it(page: Page, tmp_path: Path) -> None:
    (tmp_path / "harbour.txt").write_text(HARBOUR, "utf-8")
    program = Program(cwd=tmp_path, home=tmp_path / "home")
    assert program("ingest", "harbour.txt").status == 0
    serving = program.started("--home", program.home, "serve", "--port", "0")
    try:
        assert serving.stderr is not None
        told = next(line for line in serving.stderr if "http://" in line)
        page.goto(re.findall(r"http://[\w.:]+", told)[0])
        ask(page, BY_MASTER)
        page.locator(".cite").first.click()
        assert highlighted(page) == MASTER
    finally:
        serving.terminate()
        finished(serving)
