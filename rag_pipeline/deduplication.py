"""What is known of a text that came more than once, and of all of them together."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any, TypeAlias

from ingest.boilerplate import Span, boilerplate_spans, edge_lines
from ingest.near_duplicates import MIN_TOKENS, shingled
from ingest.settings import DedupSettings
from rag_pipeline.composition import Composition
from rag_pipeline.settings import CollectionSettings
from storage.duplicates import DuplicateCounts, DuplicatesReader, Group, SharedLine, SourcedText
from storage.records import DocumentId, Outline, Principal, SourceRef

_SHOWN_CHARACTERS = 200
_SHOWN_DIFFERENCES = 5
_SHOWN_COPIES = 20
_CONTEXT_WORDS = 3
_COMPARED_WORDS = 600
"""After the words that both texts begin with: what it costs to compare grows with the square."""

_WORD = re.compile(r"\S+")
_Opcode: TypeAlias = tuple[str, int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where two texts part; either side may be empty. Words, with one space between them."""

    after: str
    """The last words before it, which both have."""
    original: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Another text that is nearly the same."""

    document_id: DocumentId
    sources: tuple[SourceRef, ...]
    similarity: float
    is_held_back: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A line that is not embedded: it is text[start:end]."""

    start: int
    end: int
    text: str
    texts: int
    """How many have it at their edge; 1 for what repeats on the pages of this one alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What deduplication made of one text, and why."""

    document_id: DocumentId
    content_sha256: str
    sources: tuple[SourceRef, ...]
    is_held_back: bool
    reason: str
    original: Near | None
    """What it is nearly the same as; None for an original."""
    differences: tuple[Difference, ...]
    near: tuple[Near, ...]
    """The texts that are nearly the same as this original, most similar first."""
    left_out: tuple[LeftOut, ...]
    """By the settings and texts of now: a line stays left out where texts with it went."""

    def as_json(self) -> Mapping[str, Any]:
        """The interface of `rag dedup explain --json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonLine:
    """A line, as one of the texts has it, and how many have it."""

    text: str
    texts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateReport:
    """How much of a collection came more than once."""

    collection: str
    generation: int
    settings: DedupSettings
    counts: DuplicateCounts
    exact: tuple[Group, ...]
    near: tuple[Group, ...]
    boilerplate_lines: int
    boilerplate: tuple[CommonLine, ...]

    def as_json(self) -> Mapping[str, Any]:
        """The interface of `rag dedup report --json`."""
        return {
            "collection": self.collection,
            "generation": self.generation,
            "settings": self.settings.model_dump(),
            "sources": self.counts.sources,
            "texts": self.counts.texts,
            "exact_duplicates": self.counts.exact_duplicates,
            "near_duplicates": {"linked": self.counts.linked, "held_back": self.counts.held_back},
            "chunks": self.counts.chunks,
            "embeddings_saved": self.counts.embeddings_saved,
            "largest_exact": [asdict(group) for group in self.exact],
            "largest_near": [asdict(group) for group in self.near],
            "boilerplate_lines": self.boilerplate_lines,
            "boilerplate": [asdict(line) for line in self.boilerplate],
        }


def explain(parts: Composition, name: str, *, collection: str, principal: Principal) -> Explanation:
    """What became of the text that `name` means, as far as `principal` may know.

    It is a document id, an external id, a uri, or the end of one. Raises `NotFoundError`.
    """
    reader = _reader(parts, collection, principal)
    settings = _settings(parts, collection)
    text = reader.named(name)
    original = reader.original_of(text)
    return Explanation(
        document_id=text.document_id,
        content_sha256=text.content_sha256,
        sources=text.sources,
        is_held_back=_is_held_back(text),
        reason=_reason(text, original, settings),
        original=None if original is None else _near(original, text),
        differences=() if original is None else tuple(differences(original.text, text.text)),
        near=tuple(_near(copy, copy) for copy in reader.near(text, limit=_SHOWN_COPIES)),
        left_out=tuple(_left_out(text, reader, settings.boilerplate_after)),
    )


def report(
    parts: Composition, *, collection: str, principal: Principal, limit: int = 5
) -> DuplicateReport:
    """How much of `collection` came more than once, as far as `principal` may know, with the
    `limit` largest groups and commonest lines. Raises `NotFoundError`."""
    reader = _reader(parts, collection, principal)
    settings = _settings(parts, collection)
    after = settings.boilerplate_after
    lines = reader.shared_lines(at_least=after, limit=limit) if after else []
    return DuplicateReport(
        collection=collection,
        generation=reader.generation,
        settings=settings,
        counts=reader.counts(),
        exact=tuple(reader.largest_exact(limit=limit)),
        near=tuple(reader.largest_near(limit=limit)),
        boilerplate_lines=reader.count_lines(at_least=after) if after else 0,
        boilerplate=tuple(CommonLine(text=_line(line), texts=line.texts) for line in lines),
    )


def differences(original: str, text: str) -> Iterator[Difference]:
    """Where the words of two texts part, the first few places, in order."""
    first, second = _WORD.findall(original), _WORD.findall(text)
    same = next(
        (at for at, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]),
        min(len(first), len(second)),
    )
    start = max(0, same - _CONTEXT_WORDS)
    first, second = first[start:][:_COMPARED_WORDS], second[start:][:_COMPARED_WORDS]
    changes = [code for code in _opcodes(first, second) if code[0] != "equal"]
    for _, left, left_end, right, right_end in changes[:_SHOWN_DIFFERENCES]:
        yield Difference(
            after=" ".join(first[max(0, left - _CONTEXT_WORDS) : left]),
            original=_short(first[left:left_end]),
            text=_short(second[right:right_end]),
        )


def _opcodes(first: Sequence[str], second: Sequence[str]) -> list[_Opcode]:
    return list(SequenceMatcher(None, first, second, autojunk=False).get_opcodes())


def _short(words: Sequence[str]) -> str:
    line = " ".join(words)
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"


def _reader(parts: Composition, collection: str, principal: Principal) -> DuplicatesReader:
    return DuplicatesReader(
        database=parts.database,
        collection=parts.reader.collection(collection, principal=principal),
        principal=principal,
        generation=parts.reader.served().generation,
    )


def _settings(parts: Composition, collection: str) -> DedupSettings:
    own = parts.settings.collections.get(collection, CollectionSettings())
    return own.dedup or parts.settings.dedup


def _is_held_back(text: SourcedText) -> bool:
    return text.likeness is not None and text.likeness.is_held_back


def _near(shown: SourcedText, copy: SourcedText) -> Near:
    """`shown`, with what is said of its likeness by `copy`."""
    return Near(
        document_id=shown.document_id,
        sources=shown.sources,
        similarity=0.0 if copy.likeness is None else copy.likeness.similarity,
        is_held_back=_is_held_back(shown),
    )


def _reason(text: SourcedText, original: SourcedText | None, settings: DedupSettings) -> str:
    if _is_held_back(text):
        return "near_duplicates was skip: its readers find the original instead"
    if original is None:
        return _reason_of_original(text, settings)
    if settings.near_duplicates != "skip":
        return f"near_duplicates is {settings.near_duplicates}: it is found like any other text"
    if _length(text) > _length(original):
        return "it is longer than its original, so it is found on its own"
    return "some of its readers may not read the original, or it came under another setting"


def _reason_of_original(text: SourcedText, settings: DedupSettings) -> str:
    if _length(text) < MIN_TOKENS:
        return f"it has under {MIN_TOKENS} words, too few to be compared"
    if settings.near_duplicates == "keep":
        return "near_duplicates is keep: it is not compared"
    return "it is nearly the same as no text that was there before"


def _length(text: SourcedText) -> int:
    return len(shingled(text.text).tokens)


def _left_out(text: SourcedText, reader: DuplicatesReader, after: int) -> Iterator[LeftOut]:
    if not after:
        return
    key_of = _keys(text.text, text.outline)
    texts = reader.count_with([*{*key_of.values()}])
    common = {key for key, count in texts.items() if count >= after}
    pages = text.outline.page_starts
    for start, end in boilerplate_spans(text.text, pages, common_keys=common):
        key = key_of.get((start, end))
        yield LeftOut(
            start=start,
            end=end,
            text=text.text[start:end],
            texts=1 if key is None else texts.get(key, 1),
        )


def _keys(text: str, outline: Outline) -> dict[Span, int]:
    return {(line.start, line.end): line.key for line in edge_lines(text, outline.page_starts)}


def _line(shared: SharedLine) -> str:
    keys = _keys(shared.text, shared.outline)
    start, end = next(span for span, key in keys.items() if key == shared.key)
    return _short(shared.text[start:end].split())
