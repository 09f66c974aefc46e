"""What people ask about, and how that moved between two periods.

Terms: the log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi and Quinn,
"Fightin' Words", Political Analysis 16:4, 2008, eqs. 15, 16, 20 and 22). The prior is what both
periods say together, so that a rare term needs more than chance to stand out.

Vectors: the distance of the periods' mean question vectors, and how often as much would come of
dividing the same questions between the periods at random (a permutation test: Good, 2005; the
p-value counts the division that was observed, as Phipson and Smyth, 2010, ask for).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from storage.keyword_index.analysis import is_pair, term_of, tokens
from storage.keyword_index.languages import DEFAULT
from storage.records import Vectors

PRIOR_WORDS = 500.0
"""How many words the prior counts for."""
SURE = 1.96
"""Standard deviations: a term that did not move is beyond them in 5 % of cases."""
PERMUTATIONS = 999
_ROUNDING = 1e-6
_ASKING = re.compile(
    "am|are|can|could|did|do|does|had|has|have|he|her|his|how|i|many|me|much|my|our|she|should|us"
    "|was|we|were|what|when|where|which|who|whom|whose|why|would|you|your"
)
"""How one asks in English, which is no topic; of other words without meaning there are lists."""


@dataclass(frozen=True, slots=True)
class Term:
    """A term of questions, as it is mostly written."""

    term: str
    now: int
    """In how many questions of the period."""
    before: int
    """In how many of the period before."""
    z: float
    """Above 0: it rose. In standard deviations of the log-odds ratio."""


@dataclass(frozen=True, slots=True)
class Words:
    """Terms of questions, each counted once for a question."""

    counts: Counter[str]
    spellings: Mapping[str, Counter[str]]


def words_of(questions: Iterable[str]) -> Words:
    """The stems of content words in `questions`."""
    counts: Counter[str] = Counter()
    spellings: dict[str, Counter[str]] = {}
    for question in questions:
        for term, token in _topical(question).items():
            counts[term] += 1
            spellings.setdefault(term, Counter())[token] += 1
    return Words(counts, spellings)


def _topical(question: str) -> dict[str, str]:
    """The terms of a question that may be its topic, each with how it is written."""
    return {
        term: token
        for token in tokens(question)
        if (term := term_of(token, DEFAULT))
        and not _ASKING.fullmatch(token)
        and not token.isdecimal()
        and not is_pair(term)
        and (len(term) > 1 or not term.isascii())
    }


def moved(now: Words, before: Words) -> list[Term]:
    """The terms that moved beyond chance, those that rose most first, those that fell most last."""
    both = now.counts + before.counts
    found = [
        Term(_spelling(term, now, before), now.counts[term], before.counts[term], z)
        for term in both
        if abs(z := log_odds_z(term, now.counts, before.counts, both)) > SURE
    ]
    return sorted(found, key=lambda term: (-term.z, term.term))


def log_odds_z(
    term: str, now: Counter[str], before: Counter[str], background: Counter[str]
) -> float:
    """The z-score of a term's log-odds ratio; 0 where a period has no words."""
    if not now or not before:
        return 0.0
    scale = PRIOR_WORDS / background.total()
    prior = scale * background[term]
    odds = [
        math.log((period[term] + prior) / (period.total() + PRIOR_WORDS - period[term] - prior))
        for period in (now, before)
    ]
    variance = 1 / (now[term] + prior) + 1 / (before[term] + prior)
    return (odds[0] - odds[1]) / math.sqrt(variance)


def _spelling(term: str, now: Words, before: Words) -> str:
    written = now.spellings.get(term, Counter()) + before.spellings.get(term, Counter())
    return min(written, key=lambda token: (-written[token], token))


@dataclass(frozen=True, slots=True)
class Drift:
    """How far the mean question moved."""

    distance: float
    """1 less the cosine of the two means."""
    p_value: float


def drift(now: Vectors, before: Vectors, *, seed: int = 0) -> Drift | None:
    """How far the means of `now` and `before` (questions, dimension) lie apart; None without two
    questions in each."""
    if min(len(now), len(before)) < 2:
        return None
    together = np.concatenate([now, before])
    is_now = np.zeros((PERMUTATIONS + 1, len(together)), np.float32)
    is_now[:, : len(now)] = 1
    is_now[1:] = np.random.default_rng(seed).permuted(is_now[1:], axis=1)
    some = is_now @ together
    distances = _distances(some, together.sum(axis=0) - some)
    as_far = int((distances >= distances[0] - _ROUNDING).sum())
    return Drift(float(distances[0]), as_far / len(distances))


def _distances(some: Vectors, others: Vectors) -> Vectors:
    """Of the means of what each row is the sum of: a mean has the direction of its sum."""
    norms = np.linalg.norm(some, axis=1) * np.linalg.norm(others, axis=1)
    cosines = (some * others).sum(axis=1) / np.maximum(norms, np.finfo(np.float32).tiny)
    distances: Vectors = (1 - cosines).astype(np.float32)
    return distances
