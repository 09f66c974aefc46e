"""Counts which lines at the edges of texts many texts have: those are boilerplate."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from ingest.boilerplate import Span, boilerplate_spans, edge_lines
from storage.corpus import CorpusWriter
from storage.records import DocumentId, Outline


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgedText:
    """A text with lines at its edges."""

    text: str
    outline: Outline
    document_id: DocumentId | None
    """Under which it is stored, if it is."""
    is_original: bool
    """Copies of a text repeat its lines without making them boilerplate."""

    @property
    def keys(self) -> tuple[int, ...]:
        """Of its lines, each once."""
        lines = edge_lines(self.text, self.outline.page_starts)
        return tuple(dict.fromkeys(line.key for line in lines))

    def omitted(self, common: Set[int]) -> tuple[Span, ...]:
        """What of it is not embedded, if the lines with `common` keys are boilerplate."""
        return tuple(boilerplate_spans(self.text, self.outline.page_starts, common_keys=common))


@dataclass(frozen=True, slots=True)
class Repeated:
    """The lines that so many texts have, a batch counted in."""

    common: frozenset[int]
    newly_in: tuple[DocumentId, ...]
    """Stored texts, none of the batch, with a line that was not boilerplate before it."""


NOTHING_REPEATED = Repeated(frozenset(), ())


def repeated(
    texts: Mapping[str, EdgedText], *, after: int, writer: CorpusWriter, leaving: Set[DocumentId]
) -> Repeated:
    """Which of the lines of `texts` stand in `after` texts or more; none if `after` is 0.

    A line stays what it is when texts with it go: what was embedded without it does no harm.
    """
    if not after:
        return NOTHING_REPEATED
    owners = _owners(texts)
    in_batch = {text.document_id for text in texts.values()}
    holders = writer.holders_of("edge", [*owners], limit=after)
    common: set[int] = set()
    newly: set[DocumentId] = set()
    for key, contents in owners.items():
        stored = holders.get(key, [])
        staying = [held for held in stored if held not in leaving and held not in in_batch]
        if len(stored) >= after or len(staying) + len(contents) >= after:
            common.add(key)
            newly.update(staying if len(stored) < after else ())
    return Repeated(frozenset(common), tuple(sorted(newly)))


def _owners(texts: Mapping[str, EdgedText]) -> dict[int, Sequence[str]]:
    """For each line the originals that have it; for one that none has, nothing."""
    owners: dict[int, list[str]] = {}
    for content, text in texts.items():
        for key in text.keys:
            owners.setdefault(key, [])
            if text.is_original:
                owners[key].append(content)
    return {**owners}
