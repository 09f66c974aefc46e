"""A real browser, and a service with real documents for it to look at."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from support.browser import chromium
from support.page_library import Served, library_in


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Not for longer than a module: it keeps an event loop running in this thread.
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with library_in(tmp_path_factory.mktemp("page")) as served:
        yield served


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1280, "height": 800})
    opened.set_default_timeout(15_000)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab; whatever the browser complains of, or asks of another host, fails the test."""
    tab = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    yield tab
    # That the service refused is for the page to say; the browser notes it, too.
    assert [said for said in complaints if "Failed to load resource" not in said] == []
    assert asked
    assert [url for url in asked if not url.startswith("http://127.0.0.1:")] == []
