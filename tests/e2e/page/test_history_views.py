"""Filters, conversations and statistics on the page, in a real browser."""

from playwright.sync_api import Page, expect
from support.page_library import BY_DREDGING, BY_MASTER, Served, turn_to


def test_a_filter_narrows_the_list_and_the_plots_and_a_wrong_one_is_explained(
    library: Served, page: Page
) -> None:
    odd = library.rag.ask(BY_DREDGING, session="filtered", user="heidi").prompt_id
    library.rag.history.tag(odd, add=["<b>odd</b>"])
    library.rag.history.rate(odd, 0.25, label="too long", user="heidi")
    page.goto(f"{library.url}/#/history?where=rating%20%3C%200.5")
    expect(page.locator(".entry .name")).to_have_text([BY_DREDGING])
    expect(page.get_by_role("figure").first).to_be_visible()
    page.locator(".entry").click()
    expect(page.locator("a.badge.tag")).to_have_text(["<b>odd</b>"])
    expect(page.get_by_role("listitem").filter(has_text="too long")).to_contain_text("25 %")
    page.locator("a.badge.tag").click()
    expect(page.get_by_label("Tag")).to_have_value("<b>odd</b>")
    expect(page.locator(".entry .name")).to_have_text([BY_DREDGING])
    page.get_by_label("Filter", exact=True).fill("colour = 'red'")
    page.keyboard.press("Enter")
    expect(page.locator(".notice").first).to_contain_text("colour")


def test_conversations_lead_to_their_exchanges(library: Served, page: Page) -> None:
    for question in (BY_MASTER, BY_DREDGING):
        library.rag.ask(question, session="two", user="ivan")
    page.goto(f"{library.url}/#/conversations")
    entry = page.locator(".entry", has_text="ivan")
    expect(entry).to_contain_text("2 exchanges")
    entry.click()
    expect(page.locator(".entry .name")).to_have_text([BY_DREDGING, BY_MASTER])


def test_statistics_compare_periods_and_attributes(library: Served, page: Page) -> None:
    library.rag.ask(BY_MASTER, user="<i>judy</i>")
    library.rag.history.score()
    page.goto(f"{library.url}/#/statistics?by=user")
    shown = library.rag.history.stats(by="user").groups
    asked = sum(group.totals.of("prompts") for group in shown)
    expect(page.locator(".tile").first).to_contain_text(str(asked))
    rows = page.get_by_role("region", name="By user").get_by_role("row")
    expect(rows).to_have_count(1 + len(shown))
    expect(page.get_by_role("rowheader", name="<i>judy</i>")).to_be_visible()
    expect(page.locator(".lying rect.bar").first).to_be_visible()
    page.get_by_label("Compare by").select_option("tag")
    expect(page.get_by_role("heading", name="By tag")).to_be_visible()
    page.set_viewport_size({"width": 360, "height": 800})
    turn_to(page, "#/statistics?by=model")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
