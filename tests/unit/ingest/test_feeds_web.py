"""Pages by URL: only what is allowed, only public addresses, only what has changed."""

import gzip
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.website import WebSite, served

from ingest.errors import RefusedError
from ingest.feed import Item, ReadThrough, Resource, Unmodified
from ingest.feeds.allowlist import Rule, canonical, is_allowed
from ingest.feeds.errors import FeedError
from ingest.feeds.fetching import USER_AGENT, Fetcher, PageLimits
from ingest.feeds.pinned import is_public
from ingest.feeds.web import WebFeed
from ingest.records import RawDocument, Refusal

LIMITS = PageLimits(timeout_s=5, max_bytes=100_000)


@pytest.fixture
def site() -> Iterator[WebSite]:
    with served() as site:
        yield site


@contextmanager
def feed(
    *urls: str,
    allow: tuple[str, ...],
    sitemap: str | None = None,
    private: bool = True,
    limits: PageLimits = LIMITS,
    **options: object,
) -> Iterator[WebFeed]:
    rules = tuple(map(Rule.parse, allow))
    with Fetcher.open(rules, limits, allow_private=private, **options) as fetcher:
        yield WebFeed(fetcher=fetcher, urls=urls, sitemap=sitemap)


def read(feed: WebFeed, known: str | None = None) -> list[Item]:
    """All items, of all resources; listed first, as the pipeline may."""
    listed = list(feed.resources())
    items: list[Item] = []
    for found in listed:
        items += [found] if isinstance(found, Refusal) else found.read(known)
    return items


def only_refusal(feed: WebFeed) -> Refusal:
    (item,) = read(feed)
    assert isinstance(item, Refusal)
    return item


def test_a_page_is_a_document_named_by_its_url(site: WebSite) -> None:
    site.put("/a.php", "<html><body>Bees dance.</body></html>", Content_Type="text/html")
    with feed(f"{site.url}/a.php#top", allow=(site.url,)) as pages:
        document, end = read(pages)
    assert isinstance(document, RawDocument)
    assert (document.uri, document.external_id) == (f"{site.url}/a.php",) * 2
    assert (document.format, end) == ("html", ReadThrough(None))
    assert site.asked == ["/robots.txt", "/a.php"]
    assert site.user_agents == {USER_AGENT}


@pytest.mark.parametrize(
    ("path", "content_type", "body", "found"),
    [
        ("/x", "application/octet-stream", b"%PDF-1.7 ...", "pdf"),
        ("/x.txt", "text/html", b"%PDF-1.7 ...", "pdf"),
        ("/x", "text/markdown; charset=utf-8", b"# Title", "markdown"),
        ("/x.md", "", b"# Title", "markdown"),
        ("/x.asp", "", b"<!doctype html><p>x", "html"),
        ("/x", "application/x-ndjson", b'{"_id": "7", "text": "x"}', "jsonl"),
    ],
)
def test_the_format_is_told_by_bytes_then_by_the_server_then_by_the_name(
    site: WebSite, path: str, content_type: str, body: bytes, found: str
) -> None:
    site.put(path, body, Content_Type=content_type)
    with feed(site.url + path, allow=(site.url,)) as pages:
        document = read(pages)[0]
    assert isinstance(document, RawDocument)
    assert document.format == found


def test_what_is_unmodified_is_not_sent_again(site: WebSite) -> None:
    site.put("/a", "Bees dance.", ETag='"1"', Content_Type="text/plain")
    with feed(f"{site.url}/a", allow=(site.url,)) as pages:
        end = read(pages)[-1]
        assert isinstance(end, ReadThrough)
        assert read(pages, end.stamp) == [Unmodified()]
        site.put("/a", "Bees sing.", ETag='"2"', Content_Type="text/plain")
        assert isinstance(read(pages, end.stamp)[0], RawDocument)
    assert [status for status in site.answered if status != 404] == [200, 304, 200]


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_gone_for_good_may_be_pruned(site: WebSite, status: int) -> None:
    site.put("/a", "", status=status)
    with feed(f"{site.url}/a", allow=(site.url,)) as pages:
        refusal = only_refusal(pages)
    assert (refusal.source, refusal.outcome) == (f"{site.url}/a", "skipped")
    assert "not there any more" in refusal.reason


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 418])
def test_what_can_not_be_had_now_is_unread_and_keeps_what_is_stored(
    site: WebSite, status: int
) -> None:
    site.put("/a", "an error page", status=status)
    with feed(f"{site.url}/a", allow=(site.url,)) as pages:
        refusal = only_refusal(pages)
    assert refusal.outcome == "refused"
    assert str(status) in refusal.reason


def test_a_host_that_does_not_answer_fails_the_source_in_one_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    url = f"http://127.0.0.1:{port}/a"
    with feed(url, allow=(url,)) as pages, pytest.raises(FeedError, match="can't be reached"):
        read(pages)


def test_one_host_of_two_that_is_away_takes_only_its_own_pages_with_it(site: WebSite) -> None:
    site.put("/a", "text", Content_Type="text/plain")
    away = "http://127.0.0.1:9"
    with feed(f"{away}/b", f"{site.url}/a", allow=(site.url, away)) as pages:
        refusal, document, _ = read(pages)
    assert isinstance(refusal, Refusal)
    assert (refusal.source, refusal.outcome) == (f"{away}/b", "refused")
    assert isinstance(document, RawDocument)


def test_a_redirect_within_the_list_is_followed_and_the_page_keeps_its_name(
    site: WebSite,
) -> None:
    site.redirect("/old", "/new")
    site.put("/new", "text", Content_Type="text/plain")
    with feed(f"{site.url}/old", allow=(site.url,)) as pages:
        document = read(pages)[0]
    assert isinstance(document, RawDocument)
    assert document.uri == f"{site.url}/old"


@pytest.mark.parametrize("target", ["{other}/secret", "//{bare}/secret", "/private/secret"])
def test_a_redirect_out_of_the_list_is_refused_and_never_asked(site: WebSite, target: str) -> None:
    with served() as other:
        other.put("/secret", "secret", Content_Type="text/plain")
        site.put("/private/secret", "secret", Content_Type="text/plain")
        where = target.format(other=other.url, bare=other.url.removeprefix("http://"))
        site.redirect("/open/a", where)
        with feed(f"{site.url}/open/a", allow=(f"{site.url}/open/",)) as pages:
            refusal = only_refusal(pages)
        assert refusal.outcome == "refused"
        assert "not on the list" in refusal.reason
        assert other.asked == []
        assert site.asked == ["/robots.txt", "/open/a"]


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://x", "http://["]
)
def test_a_redirect_to_what_is_no_page_is_refused(site: WebSite, target: str) -> None:
    site.redirect("/a", target)
    with feed(f"{site.url}/a", allow=(site.url,)) as pages:
        assert only_refusal(pages).outcome == "refused"


def test_redirects_in_a_circle_end(site: WebSite) -> None:
    site.redirect("/a", "/a")
    with feed(f"{site.url}/a", allow=(site.url,)) as pages:
        assert "redirected more than" in only_refusal(pages).reason


def test_a_page_that_is_too_large_is_refused_also_when_it_is_packed(site: WebSite) -> None:
    packed = gzip.compress(b"a" * 10_000_000)
    assert len(packed) < LIMITS.max_bytes
    site.put("/a", packed, Content_Type="text/plain", Content_Encoding="gzip")
    with feed(f"{site.url}/a", allow=(site.url,)) as pages:
        assert "larger than" in only_refusal(pages).reason


def test_robots_txt_is_respected_also_with_wildcards(site: WebSite) -> None:
    site.put("/robots.txt", "User-agent: *\nDisallow: /private/\nDisallow: /*.pdf$\n")
    site.put("/private/a", "text", Content_Type="text/plain")
    site.put("/a", "text", Content_Type="text/plain")
    urls = [f"{site.url}{path}" for path in ("/private/a", "/b.pdf", "/a")]
    with feed(*urls, allow=(site.url,)) as pages:
        first, second, third, _ = read(pages)
    assert isinstance(first, Refusal)
    assert isinstance(second, Refusal)
    assert {first.outcome, second.outcome} == {"refused"}
    assert isinstance(third, RawDocument)
    assert site.asked == ["/robots.txt", "/a"]


def test_a_broken_robots_txt_closes_its_host_for_now(site: WebSite) -> None:
    site.put("/robots.txt", "", status=503)
    site.put("/a", "text")
    with feed(f"{site.url}/a", allow=(site.url,)) as pages:
        assert "robots.txt" in only_refusal(pages).reason
    assert site.asked == ["/robots.txt"]


ALLOWED = ("docs.example.org", "https://wiki.example.org/public")


@pytest.mark.parametrize(
    "url",
    [
        "https://docs.example.org/a",
        "http://docs.example.org/",
        "https://DOCS.Example.ORG/a",
        "https://docs.example.org./a",
        "https://docs.example.org:443/a",
        "https://wiki.example.org/public",
        "https://wiki.example.org/public/a?b=c",
    ],
)
def test_all_spellings_of_an_allowed_page_are_allowed(url: str) -> None:
    assert is_allowed(canonical(url), tuple(map(Rule.parse, ALLOWED)))


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.org/docs.example.org",
        "https://docs.example.org.evil.org/",
        "https://evildocs.example.org/",
        "https://docs.example.org@evil.org/",
        "https://user:password@docs.example.org/",
        "https://docs.example.org:8443/",
        "https://evil.org#docs.example.org/",
        "https://evil.org\\@docs.example.org/",
        "https://docs.example.org\\@evil.org/",
        "https://docs.example.org%00.evil.org/",
        "https://docs.exam\u0440le.org/",
        "https://wiki.example.org/publication",
        "https://wiki.example.org/public/../private",
        "https://wiki.example.org/public/%2e%2e/private",
        "https://wiki.example.org/public%2f..%2fprivate",
        "https://wiki.example.org/public/..%5cprivate",
        "http://wiki.example.org/public",
        "https://wiki.example.org/Public",
        "ftp://docs.example.org/",
        "//docs.example.org/",
        "docs.example.org/a",
        "",
    ],
)
def test_what_only_looks_allowed_is_not(url: str) -> None:
    try:
        allowed = is_allowed(canonical(url), tuple(map(Rule.parse, ALLOWED)))
    except RefusedError:
        return
    assert not allowed


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "2130706433", "0x7f000001", "127.1", "localhost", "[::ffff:127.0.0.1]"],
)
def test_a_private_address_is_never_asked_however_it_is_written(site: WebSite, host: str) -> None:
    url = f"http://{host}:{site.port}/a"
    with feed(url, allow=(url,), private=False) as pages:
        with pytest.raises(FeedError, match="can't be reached"):
            read(pages)
    assert site.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fe80::1%eth0",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "ff02::1",
    ],
)
def test_only_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert not is_public(address)
    assert is_public("93.184.216.34")
    assert is_public("2606:2800:220:1:248:1893:25c8:1946")


def test_a_name_is_looked_up_once_and_that_address_is_asked(site: WebSite) -> None:
    """Rebinding: the first answer is judged and used; a second one is never wanted."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers[0]

    site.put("/a", "text", Content_Type="text/plain")
    url = f"http://rebind.example:{site.port}/a"
    with feed(url, allow=(url.removesuffix("/a"),), resolve=rebinding) as pages:
        assert isinstance(read(pages)[0], RawDocument)
    assert set(asked) == {"rebind.example"}
    assert site.asked == ["/robots.txt", "/a"]


def test_a_name_with_one_private_address_among_public_ones_is_refused(site: WebSite) -> None:
    def mixed(_host: str, _port: int) -> list[str]:
        return ["93.184.216.34", "127.0.0.1"]

    url = f"http://mixed.example:{site.port}/a"
    with feed(url, allow=(url,), private=False, resolve=mixed) as pages:
        with pytest.raises(FeedError, match="private address"):
            read(pages)
    assert site.asked == []


def sitemap(*urls: str) -> str:
    entries = "".join(f"<url><loc>{url}</loc></url>" for url in urls)
    return f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</urlset>'


def test_a_sitemap_of_sitemaps_names_pages_and_none_outside_the_list(site: WebSite) -> None:
    index = f"<sitemapindex><sitemap><loc>{site.url}/1.xml.gz</loc></sitemap></sitemapindex>"
    site.put("/sitemap.xml", index)
    listed = sitemap(f"{site.url}/a", "https://evil.example/b", f"{site.url}/a")
    site.put("/1.xml.gz", gzip.compress(listed.encode()))
    with feed(allow=(site.url,), sitemap=f"{site.url}/sitemap.xml") as pages:
        page, outside = pages.resources()
    assert isinstance(page, Resource)
    assert page.uri == f"{site.url}/a"
    assert isinstance(outside, Refusal)
    assert outside.outcome == "skipped"


def test_a_sitemap_that_names_itself_ends(site: WebSite) -> None:
    own = f"{site.url}/sitemap.xml"
    site.put("/sitemap.xml", f"<sitemapindex><sitemap><loc>{own}</loc></sitemap></sitemapindex>")
    with feed(allow=(site.url,), sitemap=own) as pages:
        assert list(pages.resources()) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 500),
        ("", 404),
        ("<html><p>a page</html>", 200),
        ("no XML", 200),
        ("", 200),
        ("<html/>", 200),
    ],
)
def test_a_sitemap_that_can_not_be_read_fails_the_source(
    site: WebSite, body: str, status: int
) -> None:
    site.put("/sitemap.xml", body, status=status)
    with feed(allow=(site.url,), sitemap=f"{site.url}/sitemap.xml") as pages:
        with pytest.raises(FeedError, match="sitemap"):
            list(pages.resources())


def test_a_sitemap_does_not_read_files_of_this_machine(site: WebSite) -> None:
    body = (
        '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]>'
        f"<urlset><url><loc>{site.url}/&f;</loc></url></urlset>"
    )
    site.put("/sitemap.xml", body)
    with feed(allow=(site.url,), sitemap=f"{site.url}/sitemap.xml") as pages:
        found = [item.uri for item in pages.resources() if isinstance(item, Resource)]
    assert found in ([], [f"{site.url}/"])


def test_what_is_under_the_allow_list_belongs_to_the_source(site: WebSite) -> None:
    with feed(allow=(f"{site.url}/docs",)) as pages:
        assert pages.covers(f"{site.url}/docs/a")
        assert not pages.covers(f"{site.url}/blog/a")
        assert not pages.covers("/srv/docs/a.txt")
