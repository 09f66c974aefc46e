"""Questions made of documents, where nobody has asked any yet.

Three kinds, each with the passage that it was taken from as its answer: a document's title; a
sentence, with the passage it was taken out of (the inverse cloze task, Lee et al., ACL 2019,
arXiv:1906.00300, which leaves the sentence in one time in ten); and a passage's most telling words,
by tf·idf, in their order. They are no questions that a person would word so: what they gain is
measured on others before anything is activated.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["title", "sentence", "terms"]
KINDS: tuple[Kind, ...] = ("title", "sentence", "terms")

_LEFT_IN = 0.1
"""How often the sentence stays in its passage."""
_WORDS = re.compile(r"[^\W\d_][\w'-]*")
_ENDS = re.compile(r"(?<=[.!?])\s+")
"""A sentence that is cut wrongly is a worse question, and no worse than that."""
_LEAST_WORDS = 4
_MOST_WORDS = 40
_TERMS = 6
_COMMON = 0.2
"""A word that this share of all documents has tells nothing of any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceText:
    """A passage as the embedder reads it, its title apart."""

    document: str
    """The same for all passages of one document, and of documents that are nearly the same."""
    title: str
    text: str

    @property
    def whole(self) -> str:
        """As it is embedded."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudoQuery:
    """A question that was made, and what answers it."""

    kind: Kind
    question: str
    positive: str
    """The passage without the question, but for a sentence that was left in."""
    document: str


def pseudo_queries(
    texts: Sequence[SourceText], *, kinds: Sequence[Kind] = KINDS, seed: int
) -> Iterator[PseudoQuery]:
    """Up to one question of each kind for each passage; only the first has a title to ask for.

    What is drawn for a passage depends on it and the seed, not on the others.
    """
    rarity = _rarity(texts)
    titled: set[str] = set()
    for one in texts:
        drawn = _generator(one, seed)
        for kind in kinds:
            match kind:
                case "title" if one.document not in titled:
                    titled.add(one.document)
                    yield from _of_title(one)
                case "sentence":
                    yield from _of_sentence(one, drawn)
                case "terms":
                    yield from _of_terms(one, rarity)


def _generator(one: SourceText, seed: int) -> np.random.Generator:
    digest = hashlib.sha256(one.whole.encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])


def _of_title(one: SourceText) -> Iterator[PseudoQuery]:
    if len(_WORDS.findall(one.title)) >= _LEAST_WORDS and one.text:
        yield _made("title", one.title, one.text, one)


def _of_sentence(one: SourceText, drawn: np.random.Generator) -> Iterator[PseudoQuery]:
    found = _ENDS.split(one.text)
    fitting = [
        at
        for at, sentence in enumerate(found)
        if _LEAST_WORDS <= len(_WORDS.findall(sentence)) <= _MOST_WORDS
    ]
    if len(found) < 2 or not fitting:  # of one sentence nothing would be left
        return
    at = fitting[drawn.integers(len(fitting))]
    stays = drawn.random() < _LEFT_IN
    rest = one.text if stays else " ".join(found[:at] + found[at + 1 :])
    yield _made("sentence", found[at], f"{one.title}\n{rest}" if one.title else rest, one)


def _of_terms(one: SourceText, rarity: Mapping[str, float]) -> Iterator[PseudoQuery]:
    counts = Counter(_words(one.text))
    weights = {
        word: count * rarity[word] for word, count in counts.items() if rarity.get(word, 0) > 0
    }
    if len(weights) < _TERMS:
        return
    best = {*sorted(weights, key=lambda word: (-weights[word], word))[:_TERMS]}
    yield _made("terms", " ".join(word for word in counts if word in best), one.whole, one)


def _made(kind: Kind, question: str, positive: str, one: SourceText) -> PseudoQuery:
    return PseudoQuery(
        kind=kind, question=question.strip(), positive=positive.strip(), document=one.document
    )


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(text)]


def _rarity(texts: Sequence[SourceText]) -> dict[str, float]:
    """The idf of each word, 0 for one that too many passages have."""
    found = Counter(word for one in texts for word in set(_words(one.text)))
    most = max(_COMMON * len(texts), 1)
    return {
        word: math.log((1 + len(texts)) / (1 + count)) if count <= most else 0.0
        for word, count in found.items()
    }
