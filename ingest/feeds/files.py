"""Local files that match patterns, within what the walk through folders finds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.feed import Feed, Resource
from ingest.feeds.errors import FeedError
from ingest.feeds.patterns import Pattern
from ingest.records import Refusal

FilesIn = Callable[[Sequence[Path]], Feed]
"""The feed of files and folders."""


@dataclass(frozen=True, slots=True)
class SeveralFeeds:
    """Feeds that have nothing in common, one after the other."""

    feeds: tuple[Feed, ...]

    def resources(self) -> Iterator[Resource | Refusal]:
        for feed in self.feeds:
            yield from feed.resources()

    def covers(self, uri: str) -> bool:
        return any(feed.covers(uri) for feed in self.feeds)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingFiles:
    """The files of `paths` and of the patterns: documents below a pattern's first folder are
    named by their path from there, so that what is deleted is still known to belong here."""

    plain: Feed | None
    matched: tuple[tuple[Pattern, Feed], ...]

    @classmethod
    def of(cls, paths: Sequence[str], files_in: FilesIn) -> "MatchingFiles":
        """The files that `paths`, absolute and in POSIX form, name.

        Raises `PathError` where one without wildcards, or the folder before them, is not there.
        """
        patterns = [Pattern(path) for path in paths]
        plain = [Path(pattern.path) for pattern in patterns if not pattern.has_wildcards]
        return cls(
            plain=files_in(plain) if plain else None,
            matched=tuple(
                (_resolved(pattern), files_in([Path(pattern.root)]))
                for pattern in patterns
                if pattern.has_wildcards
            ),
        )

    def resources(self) -> Iterator[Resource | Refusal]:
        """Each file once. Raises `FeedError` for a pattern that nothing matches: nothing is
        pruned for a folder that is empty because its disk is away."""
        seen: set[str] = set()
        for item in self._all():
            if isinstance(item, Refusal) or item.uri not in seen:
                yield item
            if isinstance(item, Resource):
                seen.add(item.uri)

    def covers(self, uri: str) -> bool:
        if self.plain is not None and self.plain.covers(uri):
            return True
        return any(pattern.matches(uri) for pattern, _ in self.matched)

    def _all(self) -> Iterator[Resource | Refusal]:
        if self.plain is not None:
            yield from self.plain.resources()
        for pattern, feed in self.matched:
            yield from _matching(pattern, feed)


def _resolved(pattern: Pattern) -> Pattern:
    """With links on the way to its folder followed, as they are in the names of files."""
    rest = pattern.path.removeprefix(pattern.root).lstrip("/")
    return Pattern(f"{Path(pattern.root).resolve().as_posix().rstrip('/')}/{rest}")


def _matching(pattern: Pattern, feed: Feed) -> Iterator[Resource | Refusal]:
    found = False
    for item in feed.resources():
        if _concerns(item, pattern):
            found = True
            yield item
    if not found:
        raise FeedError(f"nothing matches {pattern.path!r}: correct the pattern, or disable it")


def _concerns(item: Resource | Refusal, pattern: Pattern) -> bool:
    """A folder that can't be opened may hold what is meant."""
    if isinstance(item, Resource):
        return pattern.matches(item.uri)
    return item.outcome == "refused" or pattern.matches(item.source)
