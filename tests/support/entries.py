"""What an index is given, made of plain mappings; and what it should make of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import log

import numpy as np

from storage.keyword_index.analysis import analyse
from storage.keyword_index.languages import read_as
from storage.keyword_index.scoring import K1, LENGTH_SHARES, WEIGHTS
from storage.records import Entries, Ids, Vectors


def ids(*keys: int) -> Ids:
    return np.array(sorted(keys), np.int64)


def vector_entries(vectors: Mapping[int, Vectors], dimension: int) -> Entries:
    keys = sorted(vectors)
    rows = np.array([vectors[key] for key in keys], np.float32).reshape(len(keys), dimension)
    blank = [""] * len(keys)
    return Entries(
        ids=ids(*keys),
        documents=ids(*keys) // 2,
        titles=blank,
        headings=[()] * len(keys),
        texts=blank,
        languages=[None] * len(keys),
        vectors=rows,
    )


@dataclass(frozen=True)
class Passage:
    """The words of one chunk."""

    text: str
    title: str = ""
    headings: tuple[str, ...] = ()
    language: str | None = None

    @property
    def fields(self) -> tuple[list[str], ...]:
        """The terms of title, headings and text."""
        whole = [[self.title], self.headings, [self.text]]
        language = read_as(self.language)
        return tuple(
            [term for piece in field for term in analyse(piece, language)] for field in whole
        )


def text_entries(texts: Mapping[int, Passage | tuple[str, str]]) -> Entries:
    """Entries of passages, or of (title, text) pairs."""
    passages = passages_of(texts)
    return Entries(
        ids=ids(*passages),
        documents=ids(*passages),
        titles=[passage.title for passage in passages.values()],
        headings=[passage.headings for passage in passages.values()],
        texts=[passage.text for passage in passages.values()],
        languages=[passage.language for passage in passages.values()],
        vectors=np.empty((len(passages), 1), np.float32),
    )


def passages_of(texts: Mapping[int, Passage | tuple[str, str]]) -> dict[int, Passage]:
    """By ascending key."""
    return {
        key: what if isinstance(what, Passage) else Passage(title=what[0], text=what[1])
        for key, what in sorted(texts.items())
    }


def reference_bm25(
    texts: Mapping[int, Passage | tuple[str, str]], query: str
) -> list[tuple[int, float]]:
    """The whole ranking by the formula of BM25F, in plain Python; all in one language.

    Without what else a query is given: no word of it may be misspelt.
    """
    passages = passages_of(texts)
    fields = {key: passage.fields for key, passage in passages.items()}
    average = [_average([len(of[number]) for of in fields.values()]) for number in range(3)]
    bags = {key: [Counter(field) for field in of] for key, of in fields.items()}
    languages = {read_as(passage.language) for passage in passages.values()} or {"en"}
    scores: dict[int, float] = {}
    for term in sorted({term for language in languages for term in analyse(query, language)}):
        having = {key: of for key, of in bags.items() if any(bag[term] for bag in of)}
        idf = log(1 + (len(bags) - len(having) + 0.5) / (len(having) + 0.5))
        for key, of in having.items():
            frequency = sum(
                WEIGHTS[number] * bag[term] / (1 - share + share * bag.total() / average[number])
                for number, (bag, share) in enumerate(zip(of, LENGTH_SHARES, strict=True))
            )
            scores[key] = scores.get(key, 0.0) + idf * (frequency / (frequency + K1))
    return sorted(
        ((key, round(score, 6)) for key, score in scores.items()), key=lambda hit: (-hit[1], hit[0])
    )


def _average(lengths: list[int]) -> float:
    """Of the fields that are not empty."""
    filled = [length for length in lengths if length]
    return sum(filled) / len(filled) if filled else 1.0
