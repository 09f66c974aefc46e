"""One page at a time, politely: within the allow-list, robots.txt, and limits of size and time."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx
from protego import Protego

from ingest.errors import IngestError, RefusedError, SkippedError
from ingest.feeds.allowlist import Rule, canonical, is_allowed, origin
from ingest.feeds.errors import FeedError
from ingest.feeds.pinned import PinnedTransport, Resolve, resolve

USER_AGENT = "rag-pipeline-service"
_ROBOTS_BYTES = 512 * 1024
_OK = 200
UNMODIFIED = 304
_MOVED = frozenset({301, 302, 303, 307, 308})
_MAX_HOPS = 5
_GONE = frozenset({404, 410})
_SAID = {
    401: "it wants a password (401)",
    403: "it is forbidden (403)",
    429: "the server wants fewer requests (429)",
}


class _UnreachableError(RefusedError):
    """A host that did not answer, or may not be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLimits:
    """What one page may take."""

    timeout_s: float
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A page as it came; its body is empty where the server says that it is unmodified."""

    status: int
    headers: httpx.Headers
    body: bytes


@dataclass(slots=True)
class Fetcher:
    """Fetches pages of one source; what robots.txt says of a host is asked once."""

    rules: tuple[Rule, ...]
    limits: PageLimits
    client: httpx.Client
    _robots: dict[str, Protego | RefusedError] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        rules: tuple[Rule, ...],
        limits: PageLimits,
        *,
        allow_private: bool,
        resolve: Resolve = resolve,
    ) -> Self:
        transport = PinnedTransport(allow_private=allow_private, resolve=resolve)
        agent = {"User-Agent": USER_AGENT, "Accept": "text/html,*/*;q=0.8"}
        return cls(rules, limits, httpx.Client(transport=transport, headers=agent))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()

    def check_host(self, url: httpx.URL) -> None:
        """Raise `FeedError` if the host of `url` can't be asked at all."""
        if isinstance(rules := self._robots_of(url), _UnreachableError):
            raise FeedError(f"{origin(url)} can't be reached: {rules}")

    def get(self, given: str, headers: Mapping[str, str]) -> Fetched:
        """The page, through redirects that stay within the allow-list.

        Raises SkippedError for one that is gone for good, RefusedError for any other trouble.
        """
        deadline = time.monotonic() + self.limits.timeout_s
        url = canonical(given)
        try:
            for _ in range(_MAX_HOPS):
                self._check(url)
                fetched = self._request(url, headers, deadline, self.limits.max_bytes)
                if fetched.status not in _MOVED:
                    return _checked(fetched)
                url = _target(url, fetched)
        except httpx.HTTPError as error:
            raise RefusedError(f"it can't be fetched: {_said(error)}") from error
        raise RefusedError(f"it is redirected more than {_MAX_HOPS} times")

    def _check(self, url: httpx.URL) -> None:
        if not is_allowed(url, self.rules):
            raise RefusedError(f"{origin(url)}{url.path} is not on the list of what is allowed")
        rules = self._robots_of(url)
        if isinstance(rules, RefusedError):
            raise RefusedError(str(rules))
        if not rules.can_fetch(str(url), USER_AGENT):
            raise RefusedError("robots.txt of its host forbids it")

    def _robots_of(self, url: httpx.URL) -> Protego | RefusedError:
        """As RFC 9309 has it: without robots.txt all is open, with a broken one nothing is.

        A host that is away is asked once, not for each of its pages.
        """
        key = origin(url)
        if key not in self._robots:
            self._robots[key] = self._fetched_robots(url.copy_with(path="/robots.txt", query=None))
        return self._robots[key]

    def _fetched_robots(self, url: httpx.URL) -> Protego | RefusedError:
        deadline = time.monotonic() + self.limits.timeout_s
        try:
            for _ in range(_MAX_HOPS):
                fetched = self._request(url, {}, deadline, _ROBOTS_BYTES)
                if fetched.status >= 500:
                    return RefusedError(f"robots.txt of its host can't be read ({fetched.status})")
                if fetched.status not in _MOVED:
                    return Protego.parse(fetched.body.decode("utf-8", "replace"))
                url = _target(url, fetched)
                if not self._may_hold_robots(url):
                    break
        except httpx.HTTPError as error:
            return _UnreachableError(_said(error))
        except IngestError as error:
            return _UnreachableError(str(error))
        return Protego.parse("")

    def _may_hold_robots(self, url: httpx.URL) -> bool:
        """A host's robots.txt may be read even where only a part of the host is allowed."""
        if is_allowed(url, self.rules):
            return True
        return url.path == "/robots.txt" and any(rule.is_for(url) for rule in self.rules)

    def _request(
        self, url: httpx.URL, headers: Mapping[str, str], deadline: float, max_bytes: int
    ) -> Fetched:
        left = max(deadline - time.monotonic(), 0.001)
        with self.client.stream("GET", url, headers=dict(headers), timeout=left) as response:
            body = bytearray()
            if response.status_code == _OK:
                for part in response.iter_bytes():
                    body += part
                    _check_progress(len(body), deadline, max_bytes)
            return Fetched(status=response.status_code, headers=response.headers, body=bytes(body))


def _check_progress(size: int, deadline: float, max_bytes: int) -> None:
    if size > max_bytes:
        raise RefusedError(f"it is larger than {max_bytes:,} bytes")
    if time.monotonic() > deadline:
        raise RefusedError("it takes too long: raise timeout_s")


def _checked(fetched: Fetched) -> Fetched:
    if fetched.status in _GONE:
        raise SkippedError(f"it is not there any more ({fetched.status})")
    if fetched.status in (_OK, UNMODIFIED):
        return fetched
    what = "the server failed" if fetched.status >= 500 else "the server refused it"
    raise RefusedError(_SAID.get(fetched.status, f"{what} ({fetched.status})"))


def _target(url: httpx.URL, fetched: Fetched) -> httpx.URL:
    try:
        return canonical(str(url.join(fetched.headers.get("location", ""))))
    except (httpx.InvalidURL, ValueError) as error:
        raise RefusedError("it is redirected to what is no URL") from error


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or {"ConnectTimeout": "no answer in time"}.get(
        type(error).__name__, type(error).__name__
    )
