"""How diverse synthetic texts are, and what of them is copied.

BLEU (Papineni et al., ACL 2002): the geometric mean of the precisions of runs of one to four words,
by a penalty for brevity; with the sums of sacreBLEU (Post, WMT 2018), and its smoothing of runs
that never occur. self-BLEU (Zhu et al., SIGIR 2018): each text by all others; the higher, the less
is there. distinct-n (Li et al., NAACL 2016): different runs of n words, by all.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

LONGEST = 4
"""Words of the longest run that counts."""
COPIED = 13
"""Words in a row that make a copy."""

# A letter of a script without spaces is a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+|[^\w\s]")

Run = tuple[str, ...]


def words(text: str) -> list[str]:
    """Words and signs, without regard to case."""
    return _WORD.findall(text.casefold())


def runs(said: Sequence[str], length: int) -> Iterator[Run]:
    """All runs of that many words, in order."""
    return (tuple(said[at : at + length]) for at in range(len(said) - length + 1))


@dataclass(frozen=True, slots=True)
class _Counts:
    """Of one text, or of many: runs by their length, 1 to 4."""

    matched: tuple[int, ...]
    all: tuple[int, ...]
    length: int
    reference_length: int


def bleu(texts: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """From 0 to 1, of all texts together; `references` has those of each text, one or more."""
    counts = [
        _counted(words(text), [words(one) for one in of_text])
        for text, of_text in zip(texts, references, strict=True)
    ]
    together = _Counts(
        matched=tuple(sum(one.matched[n] for one in counts) for n in range(LONGEST)),
        all=tuple(sum(one.all[n] for one in counts) for n in range(LONGEST)),
        length=sum(one.length for one in counts),
        reference_length=sum(one.reference_length for one in counts),
    )
    return _score(together, orders=LONGEST)


def _counted(text: Sequence[str], references: Sequence[Sequence[str]]) -> _Counts:
    most: Counter[Run] = Counter()
    for reference in references:
        for run, count in _all_runs(reference).items():
            most[run] = max(most[run], count)
    lengths = sorted(len(reference) for reference in references)
    return _matched(text, most, _closest(lengths, len(text)))


def _all_runs(said: Sequence[str]) -> Counter[Run]:
    return Counter(run for length in range(1, LONGEST + 1) for run in runs(said, length))


def _matched(text: Sequence[str], most: Mapping[Run, int], reference_length: int) -> _Counts:
    matched, found = [0] * LONGEST, [0] * LONGEST
    for run, count in _all_runs(text).items():
        matched[len(run) - 1] += min(count, most.get(run, 0))
        found[len(run) - 1] += count
    return _Counts(tuple(matched), tuple(found), len(text), reference_length)


def _closest(lengths: Sequence[int], length: int) -> int:
    """The nearest of ascending lengths; the lower one of two."""
    at = bisect_left(lengths, length)
    around = lengths[max(at - 1, 0) : at + 1]
    return min(around, key=lambda one: (abs(one - length), one), default=0)


def _score(counts: _Counts, *, orders: int) -> float:
    if not counts.length or not counts.matched[0]:
        return 0.0
    logs, halving = 0.0, 1.0
    for matched, found in zip(counts.matched[:orders], counts.all[:orders], strict=True):
        if not found:
            return 0.0
        if not matched:
            halving *= 2
        logs += log((matched or 1 / halving) / found)
    short = counts.length < counts.reference_length
    penalty = exp(1 - counts.reference_length / counts.length) if short else 1.0
    return penalty * exp(logs / orders)


def sentence_bleu(text: str, references: Sequence[str]) -> float:
    """Of one text; runs longer than the text don't count."""
    return _of_one(_counted(words(text), [words(one) for one in references]))


def _of_one(counts: _Counts) -> float:
    return _score(counts, orders=sum(found > 0 for found in counts.all))


def self_bleu(texts: Sequence[str]) -> float:
    """The mean of each text by all others, from 0 to 1; 0 for fewer than two.

    The costs grow with the words, not with the pairs of texts: of each run the two texts that have
    it most often are known, of which one is another.
    """
    said = [words(text) for text in texts]
    if len(said) < 2:
        return 0.0
    most = _two_most(said)
    lengths = sorted(map(len, said))
    scores = []
    for place, text in enumerate(said):
        of_others = {
            run: second if owner == place else first
            for run in _all_runs(text)
            for first, owner, second in (most[run],)
        }
        others = _without(lengths, len(text))
        scores.append(_of_one(_matched(text, of_others, _closest(others, len(text)))))
    return sum(scores) / len(scores)


def _without(lengths: Sequence[int], length: int) -> list[int]:
    """The lengths around that one, once taken out; enough to find the closest."""
    at = bisect_left(lengths, length)
    return [*lengths[max(at - 1, 0) : at], *lengths[at + 1 : at + 2]]


def _two_most(said: Sequence[Sequence[str]]) -> dict[Run, tuple[int, int, int]]:
    """By run: how often the text that has it most often does, which one that is, and how often the
    next one."""
    most: dict[Run, tuple[int, int, int]] = {}
    for place, text in enumerate(said):
        for run, count in _all_runs(text).items():
            first, owner, second = most.get(run, (0, -1, 0))
            if count > first:
                most[run] = (count, place, first)
            elif count > second:
                most[run] = (first, owner, count)
    return most


def distinct(texts: Iterable[str], length: int) -> float:
    """Different runs of that many words, by all of them; 0 where there are none."""
    found = Counter(run for text in texts for run in runs(words(text), length))
    return len(found) / found.total() if found else 0.0


def copied(texts: Sequence[str], sources: Iterable[str], *, length: int = COPIED) -> list[int]:
    """The places of texts that have so many words in a row from one of the sources."""
    known = {run for source in sources for run in runs(words(source), length)}
    return [
        place
        for place, text in enumerate(texts)
        if any(run in known for run in runs(words(text), length))
    ]


def text_measures(
    texts: Sequence[str], *, references: Sequence[Sequence[str]] = (), kept_from: Iterable[str] = ()
) -> dict[str, float]:
    """Figures by name. `references`: what each text should be like; `kept_from`: texts that must
    not be copied."""
    found = {
        "self_bleu": self_bleu(texts),
        "distinct_1": distinct(texts, 1),
        "distinct_2": distinct(texts, 2),
        "copied_spans": len(copied(texts, kept_from)) / max(len(texts), 1),
    }
    return found | {"bleu": bleu(texts, references)} if references else found
