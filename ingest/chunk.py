"""Cuts a text into chunks: whole sentences, up to as many tokens as the embedder reads.

A chunk is a span of the text, so that `chunk.text == text[start:end]` and every quote from it can
be found again in the document.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ingest.sentences import sentences

CHUNKER_VERSION = "2"

Span = tuple[int, int]


class Tokenizer(Protocol):
    """Counts as the embedder does."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without the marks that the model adds."""

    def offsets(self, text: str) -> list[Span]:
        """Where each token of `text` begins and ends, in code points."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    start: int
    end: int
    tokens: int


def chunk_spans(
    text: str, *, tokenizer: Tokenizer, max_tokens: int, overlap_tokens: int
) -> list[Span]:
    """Spans of at most `max_tokens` tokens that cover every sentence of `text`, in order.

    A chunk begins with those last sentences of the one before that fit into `overlap_tokens`. A
    sentence that alone is too long is cut between words, a word that is too long between tokens.
    """
    chunks: list[Span] = []
    current: list[_Sentence] = []
    tokens = 0
    for sentence in _fitting_sentences(text, tokenizer, max_tokens):
        if current and tokens + sentence.tokens > max_tokens:
            chunks.append((current[0].start, current[-1].end))
            current = _overlap(current, min(overlap_tokens, max_tokens - sentence.tokens))
            tokens = sum(kept.tokens for kept in current)
        current.append(sentence)
        tokens += sentence.tokens
    if current:
        chunks.append((current[0].start, current[-1].end))
    return chunks


def _fitting_sentences(text: str, tokenizer: Tokenizer, max_tokens: int) -> list[_Sentence]:
    spans = sentences(text)
    counts = tokenizer.count([text[start:end] for start, end in spans])
    fitting: list[_Sentence] = []
    for (start, end), tokens in zip(spans, counts, strict=True):
        if tokens <= max_tokens:
            fitting.append(_Sentence(start, end, tokens))
        else:
            fitting += _pieces(text, start, end, tokenizer, max_tokens)
    return fitting


def _pieces(
    text: str, start: int, end: int, tokenizer: Tokenizer, max_tokens: int
) -> list[_Sentence]:
    """A sentence that is too long, in pieces that fit."""
    starts = [start + left for left, _ in tokenizer.offsets(text[start:end])]
    pieces: list[_Sentence] = []
    while start < end:
        cut, tokens = _longest_piece(text, start, end, starts, tokenizer, max_tokens)
        span = _trimmed(text, start, cut)
        if span is not None:
            pieces.append(_Sentence(*span, tokens))
        start = cut
    return pieces


def _longest_piece(
    text: str, start: int, end: int, starts: Sequence[int], tokenizer: Tokenizer, max_tokens: int
) -> tuple[int, int]:
    """Where the piece that begins at `start` has to end, and its tokens.

    The pieces of a word that is cut may have more tokens than the word had there, so they are
    counted on their own.
    """
    tokens = 0
    for cut in _cuts(text, start, end, starts, max_tokens):
        (tokens,) = tokenizer.count([text[start:cut]])
        if tokens <= max_tokens:
            return cut, tokens
    return cut, tokens  # one character alone may be too much


def _cuts(text: str, start: int, end: int, starts: Sequence[int], max_tokens: int) -> Iterator[int]:
    """Where a piece may end: after `max_tokens` tokens, between words if they are not too long."""
    first = bisect_right(starts, start)
    last = first + max_tokens - 1
    if last >= len(starts):
        yield end
        last = len(starts) - 1
    between_words = (
        at for at in range(last, first + max_tokens // 2, -1) if _opens(text, starts[at])
    )
    yield from (starts[at] for at in between_words)
    yield from (starts[at] for at in range(last, first - 1, -1))


def _opens(text: str, offset: int) -> bool:
    """Whether a word begins there."""
    return text[offset - 1].isspace()


def _trimmed(text: str, start: int, end: int) -> Span | None:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    right = len(piece.rstrip())
    return (start + left, start + right) if left < right else None


def _overlap(chunk: Sequence[_Sentence], budget: int) -> list[_Sentence]:
    """The last sentences of `chunk` that fit into `budget` tokens; never all of them."""
    kept: list[_Sentence] = []
    for sentence in reversed(chunk[1:]):
        budget -= sentence.tokens
        if budget < 0:
            break
        kept.insert(0, sentence)
    return kept
