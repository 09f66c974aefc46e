"""One search in one state of the index: what is sought, where it stands, which chunks are best."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from storage.keyword_index.interpretation import Sought, interpreted
from storage.keyword_index.matching import AnyOf, Form, Matches, matches
from storage.keyword_index.postings import FIELDS, Postings
from storage.keyword_index.ranking import contenders
from storage.keyword_index.scoring import Doubles, Scorer, Weighed, idf, meeting
from storage.keyword_index.spelling import near_terms
from storage.keyword_index.statistics import Statistics, statistics_of
from storage.ranking import DECIMALS, NOTHING, Listing, best
from storage.records import ChunkId, Ids, KeywordClause, TermMatch
from storage.segments import Mask, Part, State

MOST_MISSPELT = 8
"""So many words of a query at most are replaced by what they are like."""
MOST_SPELLINGS = 3
"""So many terms at most stand for one that is misspelt."""
_A_LOOK_UP = 16
"""Postings that are scored in a row in the time that one is looked up."""


@dataclass(frozen=True, slots=True, eq=False)
class _Located:
    """What is sought, and where it stands."""

    sought: Sought
    found: tuple[Matches, ...]
    """In each part of the state."""
    frequency: int
    """How many live rows match."""
    factor: float
    """The most that it adds to a score."""


_Query = str | Sequence[KeywordClause]
_THREADS = 16
"""About as many searches are under way at once, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Searcher:
    """Answers queries from one state."""

    state: State[Postings]
    statistics: Statistics
    _latest: deque[tuple[_Query, Sequence[_Located]]] = field(
        default_factory=lambda: deque(maxlen=_THREADS), repr=False
    )
    """Queries that were located a moment ago: a hybrid search asks for each twice."""

    @classmethod
    def of(cls, state: State[Postings]) -> Self:
        """The searcher of a state."""
        return cls(state, statistics_of(state.parts))

    def search(self, query: _Query, limit: int, allowed: Ids | None) -> Listing:
        """The best `limit` chunks of those that are allowed, highest score first."""
        asked = self._located(query)
        if limit < 1 or all(one.sought.occurrence == "must_not" for one in asked):
            return NOTHING
        found = [
            self._best_of(number, asked, limit, allowed) for number in range(len(self.state.parts))
        ]
        ids = np.concatenate([np.empty(0, np.int64), *(ids for ids, _ in found)])
        return best(ids, np.concatenate([np.empty(0), *(scores for _, scores in found)]), limit)

    def scores(self, query: _Query, ids: Ids) -> Doubles:
        """What a search gives each of `ids` (ascending): 0 for what it does not find."""
        asked, scores = self._located(query), np.zeros(ids.size)
        if all(one.sought.occurrence == "must_not" for one in asked):
            return scores
        for number, part in enumerate(self.state.parts):
            rows, is_held = part.rows_of(ids)
            found = self._scorer(part).exact(self._weighed(number, asked), rows)
            mask = _narrowed(None, part, self._here(number, asked))
            scores[is_held] = found if mask is None else found * mask[rows]
        return np.round(scores, DECIMALS)

    def explain(self, query: _Query, ids: Ids) -> dict[ChunkId, list[TermMatch]]:
        """What each term adds to the score of each of `ids` that is held, the most first."""
        asked = [one for one in self._located(query) if one.sought.occurrence != "must_not"]
        explained: dict[ChunkId, list[TermMatch]] = {}
        for number, part in enumerate(self.state.parts):
            _, rows = meeting(np.unique(ids), part.segment.ids)
            rows = rows[part.live[rows]]
            explained |= {ChunkId(key): [] for key in part.segment.ids[rows].tolist()}
            for one in asked:
                for key, match in self._matches(one, number, rows):
                    explained[key].append(match)
        for terms in explained.values():
            terms.sort(key=lambda match: -match.score)
        return explained

    def document_frequency(self, word: str) -> int:
        """How many chunks a search for `word` alone would find, all parts of it being required."""
        clause = KeywordClause(text=word, occurrence="must")
        sought = interpreted([clause], self.statistics.languages)
        return self._where(sought[0]).frequency if sought else 0

    def _best_of(
        self, number: int, asked: Sequence[_Located], limit: int, allowed: Ids | None
    ) -> tuple[Ids, Doubles]:
        """Every row of a part that may be among the best, with its score."""
        part = self.state.parts[number]
        here, terms = self._here(number, asked), self._weighed(number, asked)
        scorer = self._scorer(part)
        postings = sum(term.found.rows.size for term in terms)
        if allowed is not None and allowed.size * len(terms) * _A_LOOK_UP <= postings:
            rows, _ = part.rows_of(allowed)
            mask = _narrowed(None, part, here)
            rows = rows if mask is None else rows[mask[rows]]
            scores = scorer.exact(terms, rows)
            return part.segment.ids[rows[scores > 0]], scores[scores > 0]
        mask = _narrowed(part.rows_allowed(allowed), part, here)
        rows = contenders(scorer, terms, limit, mask)
        return part.segment.ids[rows], scorer.exact(terms, rows)

    def _here(self, number: int, asked: Sequence[_Located]) -> list[tuple[Sought, Matches]]:
        """Where in a part what is sought stands."""
        return [(one.sought, one.found[number]) for one in asked]

    def _weighed(self, number: int, asked: Sequence[_Located]) -> list[Weighed]:
        """What adds to the score of a row of a part."""
        return [
            Weighed(one.found[number], one.factor)
            for one in asked
            if one.sought.occurrence != "must_not"
        ]

    def _matches(
        self, one: _Located, number: int, rows: Ids
    ) -> Iterator[tuple[ChunkId, TermMatch]]:
        """What one term adds to those of `rows` that have it."""
        part, found = self.state.parts[number], one.found[number]
        here, there = meeting(rows, found.rows)
        counts = found.counts(there)
        scores = one.factor * self._scorer(part).saturation(rows[here], counts)
        keys = part.segment.ids[rows[here]].tolist()
        for key, count, score in zip(keys, counts.T.tolist(), scores.tolist(), strict=True):
            of_field = dict(zip(FIELDS, count, strict=True))
            yield ChunkId(key), TermMatch(term=one.sought.text, counts=of_field, score=score)

    def _scorer(self, part: Part[Postings]) -> Scorer:
        return Scorer(part.segment.lengths, self.statistics.average_lengths)

    def _located(self, query: _Query) -> Sequence[_Located]:
        """What the query looks for and there is, in the order in which scores are summed."""
        for other, located in tuple(self._latest):
            if other is query or other == query:
                return located
        located = self._newly_located(query)
        self._latest.append((query, located))
        return located

    def _newly_located(self, query: _Query) -> list[_Located]:
        everything = _distinct(interpreted(query, self.statistics.languages))
        located = [self._where(one) for one in everything]
        misspelt = [one for one in located if _may_be_misspelt(one)][:MOST_MISSPELT]
        if misspelt:
            respelt = [better for one in misspelt if (better := self._respelt(one.sought))]
            there = [one.sought for one in located if one not in misspelt]
            located = [self._where(one) for one in _distinct([*there, *respelt])]
        needed = [one for one in located if one.frequency or one.sought.occurrence == "must"]
        return sorted(needed, key=lambda one: one.sought.form.order)

    def _where(self, sought: Sought) -> _Located:
        found = tuple(matches(part.segment, sought.form) for part in self.state.parts)
        frequency = sum(
            int(np.count_nonzero(part.live[some.rows])) if part.dead else some.rows.size
            for part, some in zip(self.state.parts, found, strict=True)
        )
        factor = sought.weight * idf(frequency, self.statistics.count)
        return _Located(sought, found, frequency, factor)

    def _respelt(self, sought: Sought) -> Sought | None:
        """The live terms nearest to a word that no chunk has, the most frequent of them."""
        near: dict[int, set[bytes]] = {}
        for term in sought.form.terms if isinstance(sought.form, AnyOf) else ():
            for part in self.state.parts:
                for other, edits in near_terms(part.segment.vocabulary, term.decode()):
                    near.setdefault(edits, set()).add(other)
        for edits in sorted(near):
            frequencies = {term: self._where(_one(term)).frequency for term in near[edits]}
            live = sorted((-number, term) for term, number in frequencies.items() if number)
            if live:
                terms = tuple(sorted(term for _, term in live[:MOST_SPELLINGS]))
                weight = sought.weight * (1 - edits / len(sought.text))
                return replace(sought, form=AnyOf(terms), weight=weight)
        return None


def _one(term: bytes) -> Sought:
    return Sought(text=term.decode(), form=AnyOf((term,)))


def _may_be_misspelt(one: _Located) -> bool:
    """A word that must stand, or must not, is taken to be meant as it is."""
    form = one.sought.form
    is_word = isinstance(form, AnyOf) and not form.prefix
    return is_word and not one.frequency and one.sought.occurrence == "should"


def _distinct(everything: Iterable[Sought]) -> list[Sought]:
    """Each form once, with its greatest weight; once more if it must not stand."""
    distinct: dict[tuple[Form, bool], Sought] = {}
    for one in everything:
        key = (one.form, one.occurrence == "must_not")
        other = distinct.setdefault(key, one)
        if one is not other:
            required = one if one.occurrence == "must" else other
            distinct[key] = replace(required, weight=max(one.weight, other.weight))
    return list(distinct.values())


def _narrowed(
    mask: Mask | None, part: Part[Postings], here: Iterable[tuple[Sought, Matches]]
) -> Mask | None:
    """The rows of `mask` that have all that must stand there, and nothing that must not."""
    for sought, found in here:
        if sought.occurrence == "should":
            continue
        has = np.zeros(part.live.size, np.bool_)
        has[found.rows] = True
        wanted = has if sought.occurrence == "must" else ~has
        mask = wanted if mask is None else mask & wanted
    return mask
