"""Which URLs may be fetched: compared in one canonical form, so that no spelling slips through."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from ingest.errors import RefusedError

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Everything below `path` of one host; None: of either scheme, at its usual port."""

    host: str
    scheme: str | None
    port: int | None
    path: str

    @classmethod
    def parse(cls, given: str) -> "Rule":
        """A host, `host:port`, or the beginning of a URL. Raises RefusedError if it is neither."""
        if "://" in given:
            url = canonical(given)
            return cls(host=url.host, scheme=url.scheme, port=_port(url), path=url.path)
        url = canonical(f"https://{given}")
        return cls(host=url.host, scheme=None, port=url.port, path=url.path)

    def allows(self, url: httpx.URL) -> bool:
        """Whether a canonical URL is one of these."""
        below = f"{self.path.rstrip('/')}/"
        return self.is_for(url) and (self.path == url.path or url.path.startswith(below))

    def is_for(self, url: httpx.URL) -> bool:
        """Whether it speaks of the host of a canonical URL, at its port."""
        is_host = self.host == url.host and self.scheme in (None, url.scheme)
        return is_host and _port(url) == (self.port or _PORTS[url.scheme])

    def overlaps(self, other: "Rule") -> bool:
        """Whether some URL may be allowed by both."""
        if self.host != other.host:
            return False
        paths = (self.path.rstrip("/") + "/", other.path.rstrip("/") + "/")
        return paths[0].startswith(paths[1]) or paths[1].startswith(paths[0])


def canonical(given: str) -> httpx.URL:
    """`given` with its host in lower-case ASCII without a last dot, and without a fragment.

    Raises RefusedError for what is no plain URL: another scheme, a user, a path that climbs.
    """
    try:
        url = httpx.URL(given.strip())
        host = url.raw_host.decode("ascii").lower().rstrip(".")
    except (httpx.InvalidURL, UnicodeError, ValueError, TypeError) as error:
        raise RefusedError(f"it is no URL: {error}") from error
    if url.scheme not in _PORTS or not _HOST.fullmatch(host):
        raise RefusedError("it is no http or https URL")
    if url.userinfo:
        raise RefusedError("it names a user or password, which is never sent: leave them out")
    parts = url.path.replace("\\", "/").split("/")
    if ".." in parts or "." in parts or not url.path.isprintable():
        raise RefusedError("its path climbs out of where it begins")
    return url.copy_with(host=host, fragment=None)


def is_allowed(url: httpx.URL, rules: Sequence[Rule]) -> bool:
    return any(rule.allows(url) for rule in rules)


def origin(url: httpx.URL) -> str:
    """Scheme, host and port: what robots.txt and a default rule are for."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{url.scheme}://{host}:{_port(url)}"


def _port(url: httpx.URL) -> int:
    return url.port or _PORTS[url.scheme]
