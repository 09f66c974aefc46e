"""Documents, runs and the history on the page, in a real browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import service_of
from support.embedding import WordEmbedder
from support.page_library import BARGE, BY_MASTER, HARBOUR, MASTER, Served, ask, highlighted, newest
from support.pipelines import word_pipeline

PARROT = "The secret of Muckle Flugga was a green parrot called Ossian."


@pytest.mark.parametrize(
    "address",
    ["/#/documents/1?start={0}&end={1}", "/documents/1?start={0}&end={1}", "/documents/1#{0}-{1}"],
)
def test_a_link_to_a_span_highlights_it(library: Served, page: Page, address: str) -> None:
    start = HARBOUR.index(MASTER)
    page.goto(library.url + address.format(start, start + len(MASTER)))
    assert highlighted(page) == MASTER


def test_markup_in_a_document_a_question_and_an_answer_is_text(library: Served, page: Page) -> None:
    page.goto(library.url)
    ask(page, "When was the lamp of Skerryvore lit <img src=x onerror=window.hacked=1>?")
    page.locator(".cite").first.click()
    expect(page.locator(".text")).to_contain_text("<script>window.hacked=1</script>")
    for place in ("#/documents", "#/documents/2", f"#/history/{newest(library).prompt_id}"):
        page.goto(f"{library.url}/{place}")
        expect(page.locator("main")).to_contain_text("<img src=x onerror=window.hacked=1>")
        assert page.locator("main :is(script, img, b)").count() == 0
    assert page.evaluate("window.hacked") is None


def test_a_span_in_a_document_of_a_megabyte_is_found_and_seen(
    browser: Browser, tmp_path: Path
) -> None:
    # Few words, so that little of the time goes into cutting and embedding them.
    lines = "".join(f"{'-log' * 40}-{n} 🚢\n\n" for n in range(3_000))
    log = tmp_path / "log.txt"
    log.write_text(f"{lines}{PARROT}\n\n{lines}", "utf-8")
    embedder = WordEmbedder(max_tokens=400)
    with word_pipeline(tmp_path / "home", embedder=embedder) as rag, service_of(rag) as url:
        rag.ingest(log)
        start = log.read_text("utf-8").index(PARROT)
        page = browser.new_page()
        page.goto(f"{url}/#/documents/1?start={start}&end={start + len(PARROT)}")
        assert highlighted(page) == PARROT
        expect(page.locator("mark.cited")).to_be_in_viewport()
        # Only what is near was laid out: the page still answers to a key.
        page.keyboard.press("4")
        expect(page.get_by_role("heading", name="History")).to_be_visible()
        page.close()


def test_the_history_is_filtered_drawn_and_shown_with_evidence_and_chain(
    library: Served, page: Page
) -> None:
    first = library.rag.ask(BY_MASTER, session="chain", user="grace")
    for question in ("And when?", "And how deep?"):
        library.rag.ask(question, session="chain", user="grace", parent_id=first.prompt_id)
    page.goto(f"{library.url}/#/history?session=chain")
    entries = page.locator(".entry .name")
    expect(entries).to_have_text(["And how deep?", "And when?", BY_MASTER])
    expect(page.locator("svg.drawing rect.bar").first).to_be_visible()
    page.get_by_label("Words").fill("deep")
    page.keyboard.press("Enter")
    expect(entries).to_have_text(["And how deep?"])
    page.locator(".entry").click()
    expect(page.locator(".tree > li > a")).to_contain_text([BY_MASTER])
    expect(page.locator(".tree ul a")).to_have_count(2)
    page.locator(".tree a").first.click()
    expect(page.get_by_role("table").first).to_contain_text("cited")
    page.get_by_role("link", name="Go on with this conversation").click()
    expect(page.locator(".question")).to_have_count(3)


def test_runs_tell_what_was_not_taken_and_why(library: Served, page: Page) -> None:
    page.goto(f"{library.url}/#/runs")
    page.locator(".entry", has_text="not taken").first.click()
    expect(page.locator(".failures")).to_contain_text("broken.pdf")
    expect(page.locator(".failures")).to_contain_text("damaged or cut short")


def test_documents_are_found_by_name_and_by_what_they_say(library: Served, page: Page) -> None:
    page.goto(f"{library.url}/#/documents")
    entries = page.locator(".entry")
    expect(entries).to_have_count(3)
    page.get_by_label("Words").fill("harbour.txt")
    page.keyboard.press("Enter")
    expect(entries).to_have_count(1)
    page.get_by_label("Words").fill("Ballachulish slate")
    page.get_by_label("Look in").select_option("text")
    expect(entries.first).to_contain_text("A barge of oak")
    entries.first.click()
    assert highlighted(page).strip() == BARGE.strip()


def test_what_is_pasted_or_uploaded_can_be_asked_about(browser: Browser, tmp_path: Path) -> None:
    with word_pipeline(tmp_path / "home") as rag, service_of(rag) as url:
        page = browser.new_page()
        page.goto(url)
        expect(page.get_by_text("rag ingest FOLDER")).to_be_visible()
        page.get_by_role("link", name="Add documents here").click()
        page.get_by_label("Title").fill("Bees")
        page.get_by_label("Text", exact=True).fill("A hive of bees holds forty thousand workers.")
        page.get_by_role("button", name="Add this text").click()
        expect(page.get_by_text("1 new")).to_be_visible()
        (tmp_path / "rye bread.md").write_text("# Rye\n\nRye is baked for two hours.\n", "utf-8")
        page.get_by_label("Text, Markdown").set_input_files(tmp_path / "rye bread.md")
        page.get_by_role("button", name="Upload").click()
        expect(page.locator(".figures")).to_contain_text("1 new")
        page.get_by_role("link", name="Ask about them").click()
        ask(page, "How many workers does a hive of bees hold?")
        expect(page.locator(".prose")).to_contain_text("forty thousand workers")
        page.goto(f"{url}/#/documents")
        expect(page.locator(".entry .name")).to_have_text(["Rye", "Bees"])
        page.close()
