"""How the files of the page are sent; what they do is for a browser to tell."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rag_pipeline.service.page import page
from rag_pipeline.service.page.page import read_page

_IMPORT = re.compile(r'from "/page/([^"]+)"')
_LARGEST_MODULE = 300


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    app.include_router(page.router)
    with TestClient(app) as opened:
        yield opened


class References(HTMLParser):
    """What a page loads, and what it would run without loading it."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        if tag == "script" and "src" not in given:
            self.inline.append("script")
        if tag in ("script", "link"):
            self.loaded.append(given.get("src") or given.get("href") or "")


def test_all_that_the_page_loads_is_there_and_nothing_is_inline(client: TestClient) -> None:
    found = References()
    found.feed(client.get("/").text)
    assert found.inline == []
    assert len(found.loaded) > 3
    assert [path for path in found.loaded if client.get(path).status_code != 200] == []


def test_every_module_that_a_module_imports_is_there_and_every_module_is_used() -> None:
    modules = {path: file.body.decode() for path, file in read_page().items() if path[-3:] == ".js"}
    imported = {name for text in modules.values() for name in _IMPORT.findall(text)}
    assert imported <= set(modules)
    assert set(modules) - imported == {"main.js", "theme.js"}
    assert max(text.count("\n") for text in modules.values()) < _LARGEST_MODULE


def test_every_name_that_a_module_imports_is_used_in_it() -> None:
    for path, file in read_page().items():
        text = file.body.decode()
        for names in re.findall(r"^import \{ ([^}]+) \}", text, re.MULTILINE):
            for name in names.split(", "):
                assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{path}: {name}"


def test_no_module_makes_markup_of_text() -> None:
    code = "".join(file.body.decode() for file in read_page().values() if b"<svg" not in file.body)
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "DOMParser",
    ):
        assert way not in code


def test_the_policy_lets_nothing_from_elsewhere_in(client: TestClient) -> None:
    for path in ("/", "/page/main.js", "/documents/12"):
        policy = client.get(path).headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


def test_a_file_that_is_known_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/page/main.js")
    assert first.headers["content-type"].startswith("text/javascript")
    tag = first.headers["ETag"]
    for known in (tag, f'"other", W/{tag}'):
        again = client.get("/page/main.js", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == tag
    assert client.get("/page/main.js", headers={"If-None-Match": '"old"'}).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["page.py", "..%2fpage.py", "../page.py", "%2e%2e/page.py", "", "views", "index.html%00"],
)
def test_nothing_but_the_files_of_the_page_can_be_read(client: TestClient, path: str) -> None:
    assert client.get(f"/page/{path}").status_code == 404


def test_links_from_outside_lead_to_the_page(client: TestClient) -> None:
    whole = client.get("/").content
    for path in ("/documents/12?start=1&end=2", "/prompts/01a2"):
        assert client.get(path).content == whole


def test_the_icon_is_where_browsers_look(client: TestClient) -> None:
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"


def test_the_page_stays_small() -> None:
    folder = Path(page.__file__).parent / "files"
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 150_000
