"""Who may read a text, and whether all of them may read another text as well.

A text that is kept out of search is found only through its original: so it may be kept out only
as long as each of its readers may read the original too, in each search that would find the text.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from storage.corpus import CorpusWriter
from storage.records import DocumentId, Origin, SourceId, Titling

Audience: TypeAlias = Mapping[Origin, frozenset[str] | None]
"""For each origin of the sources, the labels of which a reader has one; None: anybody reads it."""


def audience(sources: Iterable[Titling]) -> Audience:
    """Who may read what all of `sources` have; empty without sources."""
    found: dict[Origin, frozenset[str] | None] = {}
    for source in sources:
        before = found.get(source.origin, frozenset())
        if before is None or not source.read_labels:
            found[source.origin] = None
        else:
            found[source.origin] = before | source.read_labels
    return found


def includes(wider: Audience, narrower: Audience) -> bool:
    """Whether whoever is in `narrower` is in `wider` too, by a source of the same origin."""
    return all(
        origin in wider and _includes(wider[origin], labels) for origin, labels in narrower.items()
    )


def _includes(wider: frozenset[str] | None, narrower: frozenset[str] | None) -> bool:
    return wider is None or (narrower is not None and narrower <= wider)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readership:
    """Who may read each text once a batch is committed."""

    writer: CorpusWriter
    closed: Sequence[SourceId] = ()
    """Sources that go with the batch."""
    gained: Mapping[str, Sequence[Titling]] = field(default_factory=dict)
    """Sources that come with it, by the content that they have."""

    def of(self, texts: Mapping[str, DocumentId | None]) -> dict[str, Audience]:
        """The audience of each of `texts`, which are contents with what they are stored under."""
        stored = [document for document in texts.values() if document is not None]
        kept = self.writer.titlings_of(stored, without=self.closed)
        return {
            content: audience([*([] if key is None else kept[key]), *self.gained.get(content, ())])
            for content, key in texts.items()
        }
