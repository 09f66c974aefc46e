"""What an index is given, made of plain mappings; and what it should make of them."""

from collections import Counter
from collections.abc import Mapping
from math import log

import numpy as np

from storage.keyword_index.analysis import analyse
from storage.keyword_index.bm25 import K1, TITLE_WEIGHT, B
from storage.records import Entries, Ids, Vectors


def ids(*keys: int) -> Ids:
    return np.array(sorted(keys), np.int64)


def vector_entries(vectors: Mapping[int, Vectors], dimension: int) -> Entries:
    keys = sorted(vectors)
    rows = np.array([vectors[key] for key in keys], np.float32).reshape(len(keys), dimension)
    blank = [""] * len(keys)
    return Entries(
        ids=ids(*keys),
        titles=blank,
        headings=[()] * len(keys),
        texts=blank,
        languages=[None] * len(keys),
        vectors=rows,
    )


def text_entries(texts: Mapping[int, tuple[str, str]]) -> Entries:
    """Entries of (title, text) pairs."""
    keys = sorted(texts)
    return Entries(
        ids=ids(*keys),
        titles=[texts[key][0] for key in keys],
        headings=[()] * len(keys),
        texts=[texts[key][1] for key in keys],
        languages=[None] * len(keys),
        vectors=np.empty((len(keys), 1), np.float32),
    )


def reference_bm25(texts: Mapping[int, tuple[str, str]], query: str) -> list[tuple[int, float]]:
    """The whole ranking by the formula, in plain Python."""
    bags = {
        key: Counter(analyse(title) * TITLE_WEIGHT + analyse(text))
        for key, (title, text) in texts.items()
    }
    average = sum(bag.total() for bag in bags.values()) / max(len(bags), 1)
    scores: dict[int, float] = {}
    for term in sorted(set(analyse(query))):
        having = {key: bag for key, bag in bags.items() if bag[term]}
        idf = log(1 + (len(bags) - len(having) + 0.5) / (len(having) + 0.5))
        for key, bag in having.items():
            norm = K1 * (1 - B + B * (bag.total() / average))
            scores[key] = scores.get(key, 0.0) + idf * (bag[term] / (bag[term] + norm))
    return sorted(
        ((key, round(score, 6)) for key, score in scores.items()), key=lambda hit: (-hit[1], hit[0])
    )
