"""Pages by their URLs, or as a sitemap lists them; what has not changed is not sent again."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from lxml import etree

from ingest.errors import RefusedError, SkippedError
from ingest.feed import Item, ReadThrough, Resource, Unmodified
from ingest.feeds.allowlist import canonical, is_allowed, origin
from ingest.feeds.errors import FeedError
from ingest.feeds.fetching import UNMODIFIED, Fetched, Fetcher
from ingest.feeds.masking import without_secrets
from ingest.feeds.reading import Opened, documents
from ingest.parse.formats import FORMATS
from ingest.records import Refusal

MAX_PAGE_BYTES = 64 * 1024 * 1024
_MAX_SITEMAPS = 500
_MAX_PAGES = 1_000_000
_SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "text/markdown": ".md",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "application/json": ".json",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
}
_VALIDATORS = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFeed:
    """The pages of one source, while its fetcher is open."""

    fetcher: Fetcher
    urls: tuple[str, ...] = ()
    sitemap: str | None = None

    def resources(self) -> Iterator[Resource | Refusal]:
        """The pages in the order of the declaration, then of the sitemap.

        Raises `FeedError` if none of the hosts, or a sitemap, can be reached.
        """
        self._check_hosts()
        seen: set[str] = set()
        for given in self._pages():
            item = self._resource(given)
            place = item.uri if isinstance(item, Resource) else item.source
            if place not in seen:
                seen.add(place)
                yield item

    def covers(self, uri: str) -> bool:
        """Whether it is under the allow-list: that is what says which pages are this source's."""
        try:
            return is_allowed(canonical(uri), self.fetcher.rules)
        except RefusedError:
            return False

    def _check_hosts(self) -> None:
        """A source whose hosts are all away has failed; of several, one may be."""
        allowed = [canonical(given) for given in self.urls if self.covers(given)]
        hosts = {origin(url): url for url in allowed}
        failures: list[FeedError] = []
        for url in hosts.values():
            try:
                self.fetcher.check_host(url)
            except FeedError as error:
                failures.append(error)
        if failures and len(failures) == len(hosts):
            raise failures[0]

    def _pages(self) -> Iterator[str]:
        yield from self.urls
        if self.sitemap is not None:
            yield from _listed(self.fetcher, self.sitemap)

    def _resource(self, given: str) -> Resource | Refusal:
        try:
            url = canonical(given)
        except RefusedError as error:
            return _not_fetched(given, str(error))
        if not is_allowed(url, self.fetcher.rules):
            return _not_fetched(str(url), "it is not on the list of what is allowed")
        read = partial(self._read, str(url))
        return Resource(uri=without_secrets(str(url)), stamp=None, read=read)

    def _read(self, url: str, known: str | None) -> Iterator[Item]:
        uri = without_secrets(url)
        try:
            fetched = self.fetcher.get(url, _conditions(known))
            if fetched.status == UNMODIFIED:
                yield Unmodified()
                return
            yield from documents(_opened(fetched, url, uri))
            yield ReadThrough(_stamp(fetched))
        except SkippedError as error:
            yield Refusal(source=uri, reason=str(error), outcome="skipped")
        except RefusedError as error:
            yield Refusal(source=uri, reason=str(error), outcome="refused")


def _not_fetched(given: str, reason: str) -> Refusal:
    return Refusal(source=without_secrets(given), reason=reason, outcome="skipped")


def _conditions(known: str | None) -> dict[str, str]:
    """The headers that ask only for what changed since `known`."""
    said = {} if known is None else json.loads(known)
    return {_VALIDATORS[name]: value for name, value in said.items() if name in _VALIDATORS}


def _stamp(fetched: Fetched) -> str | None:
    said = {name: fetched.headers[name] for name in _VALIDATORS if name in fetched.headers}
    return json.dumps(said, sort_keys=True) if said else None


def _opened(fetched: Fetched, url: str, uri: str) -> Opened:
    return Opened(
        file=io.BytesIO(fetched.body),
        uri=uri,
        external_id=uri,
        name=_name(fetched.headers.get("content-type", ""), PurePosixPath(canonical(url).path)),
    )


def _name(content_type: str, path: PurePosixPath) -> str:
    """What tells the format: the server's word if it is definite, else a known extension.

    A page called `index.php` is none of PHP: its bytes tell.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if suffix := _SUFFIXES.get(kind):
        return f"page{suffix}"
    return f"page{path.suffix}" if path.suffix.lower() in FORMATS else "page"


def _listed(fetcher: Fetcher, first: str) -> Iterator[str]:
    """The pages of a sitemap and of those that it lists."""
    pending, seen, pages = [first], {first}, 0
    while pending:
        sitemap = pending.pop(0)
        inner, found = _sitemap(fetcher, sitemap)
        pending += [url for url in inner if url not in seen]
        seen.update(inner)
        pages += len(found)
        if len(seen) > _MAX_SITEMAPS or pages > _MAX_PAGES:
            raise FeedError(f"the sitemap {first} lists too much: name its parts")
        yield from found


def _sitemap(fetcher: Fetcher, url: str) -> tuple[list[str], list[str]]:
    """The sitemaps and the pages that one sitemap lists. Raises `FeedError`."""
    try:
        body = _unpacked(fetcher.get(url, {}).body)
        root = etree.fromstring(body, _parser())
    except (RefusedError, SkippedError) as error:
        raise FeedError(f"the sitemap {without_secrets(url)} can't be read: {error}") from error
    except (etree.XMLSyntaxError, ValueError) as error:
        raise FeedError(f"the sitemap {without_secrets(url)} is no XML: {error}") from error
    if etree.QName(root).localname not in ("urlset", "sitemapindex"):
        raise FeedError(f"the sitemap {without_secrets(url)} is none: it begins with <{root.tag}>")
    entries = [(etree.QName(entry).localname, entry) for entry in root if _is_element(entry)]
    inner = [loc for kind, entry in entries if kind == "sitemap" for loc in _locations(entry)]
    return inner, [loc for kind, entry in entries if kind == "url" for loc in _locations(entry)]


def _parser() -> etree.XMLParser:
    """Nothing outside the document is looked at, and no entity grows."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


def _is_element(node: etree._Element) -> bool:
    return isinstance(node.tag, str)


def _locations(entry: etree._Element) -> Iterator[str]:
    for node in entry:
        if _is_element(node) and etree.QName(node).localname == "loc" and node.text:
            yield node.text.strip()


def _unpacked(body: bytes) -> bytes:
    """A sitemap may come gzipped; it is not unpacked past the limit."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    try:
        with gzip.open(io.BytesIO(body)) as packed:
            data = packed.read(MAX_PAGE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise RefusedError(f"its gzip is damaged: {error}") from error
    if len(data) > MAX_PAGE_BYTES:
        raise RefusedError(f"it is larger than {MAX_PAGE_BYTES:,} bytes")
    return data
