"""Finds texts that say the same thing in nearly the same words.

A text is a copy of another when its words stand there in runs, whatever the order of sentences,
and nothing was *exchanged*: words may be misspelt, left out or added, at the ends or between, but
where both texts have something at the same place it has to be the same. So a misspelt, reordered,
cut or framed copy is a near duplicate, while a form letter to somebody else, another number in the
same record, or another body in the same frame is not, however much of the wording agrees.

Candidates come from a bottom-k sketch (Broder, "On the resemblance and containment of documents",
1997): the keys of a text are its smallest shingle hashes. A shortened copy keeps those of its
keys that it still contains, which rows of MinHash would not give it.
"""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Generic, TypeVar
from zlib import crc32

import numpy as np
import numpy.typing as npt

KEYS = 20
"""Keys of one text, at most. Of k keys, texts with Jaccard similarity J share k·J on average."""
MIN_SHARED_KEYS = 2
"""One key in common is a turn of phrase; two are worth a comparison."""
SHINGLE_TOKENS = 4
MIN_TOKENS = 12
"""Below this a text has no keys: too few words to tell a copy from a coincidence."""
MIN_SIMILARITY = 0.7
MIN_COVERED = 0.4
"""Even where one word in five is misspelt, more than this share stands in unharmed shingles."""
MIN_LENGTH_RATIO = 0.3
"""A shorter part of a text is an excerpt of it rather than a copy."""
TOKENS_A_FACT = 1_000
"""A copy may differ in one word or number in so many tokens; a longer text is edited in places."""
TYPOS_A_FACT = 2
"""Among so many misspelt words, one that can't be recognised, or a digit, is misspelt as well."""
LONGEST_GAP = 24
"""A longer gap is another passage; it is not searched for misspelt words."""
MAX_DOCUMENTS_A_KEY = 100
"""A key that a thousand texts have stands for a phrase of their frame: a few of them will do."""
MAX_CANDIDATES = 8

_Hashes = npt.NDArray[np.uint64]

# Scripts that put no spaces between words: each character is a token of its own. (Ideographs,
# kana, Thai, Lao, Myanmar, Khmer. Korean has spaces.)
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff"
_UNSPACED += "\U00020000-\U0003ffff"
_UNSPACED_CHARACTER = re.compile(rf"(?!\d)[{_UNSPACED}]")

# Odd constants (the first ones of SplitMix64 and MurmurHash3): they make the sum depend on order.
_FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xFF51AFD7ED558CCD], np.uint64
)
_MIX = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(32)


@dataclass(frozen=True, slots=True, eq=False)
class Shingled:
    """A text as it is compared; `hashes[i]` stands for the shingle that begins at `tokens[i]`."""

    spaced: str
    """The tokens with blanks between them."""
    length: int
    """How many there are."""
    hashes: _Hashes
    distinct: _Hashes
    """`hashes` without repetitions, ascending."""
    _tokens: tuple[str, ...] | None = field(default=None, init=False)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Made when they are asked for: most texts are like no other, and compared with none."""
        if self._tokens is None:
            object.__setattr__(self, "_tokens", tuple(self.spaced.split()))
        return self._tokens or ()

    @property
    def keys(self) -> list[int]:
        """At most `KEYS` signed 64-bit keys, ascending as unsigned; none for a short text.

        They are the same on every platform, and part of what is stored: whoever changes them has
        to compute those of every stored text again.
        """
        if self.length < MIN_TOKENS:
            return []
        smallest: list[int] = self.distinct[:KEYS].view(np.int64).tolist()
        return smallest


def shingled(text: str) -> Shingled:
    """`text` without regard to case, white space and punctuation, in overlapping shingles."""
    spaced = _spaced(text)
    # The same pieces as those of the text itself: nothing but blanks stands between them.
    tokens = spaced.encode().split()
    hashes = _shingle_hashes(tokens)
    return Shingled(spaced, len(tokens), hashes, _distinct(hashes))


def band_keys(text: str) -> list[int]:
    """The keys of a text; see `Shingled.keys`."""
    return shingled(text).keys


def jaccard(first: Shingled, second: Shingled) -> float:
    """The share of all their shingles that both have; 0 where neither has any."""
    if not len(first.hashes) or not len(second.hashes):
        return 0.0
    both = int(_stand_in(first.distinct, second).sum())
    return both / (len(first.distinct) + len(second.distinct) - both)


def similarity(first: Shingled, second: Shingled) -> float:
    """Which share of the shorter text, in tokens, stands in the longer one; symmetric, 0 to 1.

    A token stands there if a shingle around it does, or if it is the same or misspelt between two
    shingles that stand there. 0 if the shorter text is less than `MIN_LENGTH_RATIO` of the longer
    one, or if facts were exchanged: more words or numbers between the same words than
    `TOKENS_A_FACT` and `TYPOS_A_FACT` allow. Two names one letter apart count as one misspelt.
    """
    shorter, longer = sorted((first, second), key=lambda text: (text.length, text.tokens))
    length = shorter.length
    if shorter.tokens == longer.tokens:
        return 1.0
    if not len(shorter.hashes) or length < MIN_LENGTH_RATIO * longer.length:
        return 0.0
    there = _runs(shorter, longer)
    if there.covered < MIN_COVERED * length:
        return 0.0
    pairs = _gap_pairs(there, _runs(longer, shorter))
    differences = [_difference(one, other) for one, other in pairs]
    typos = sum(difference.typos for difference in differences)
    facts = sum(difference.facts for difference in differences)
    if facts > length / TOKENS_A_FACT + typos / TYPOS_A_FACT:
        return 0.0
    same = sum(difference.same for difference in differences)
    return min(1.0, (there.covered + same + typos) / length)


Name = TypeVar("Name", bound=Hashable)


def best_candidates(holders: Sequence[Sequence[Name]]) -> list[Name]:
    """The texts that are worth a comparison with a text, the most promising first.

    `holders` are, for each of its keys, the texts that have it as well, at most
    `MAX_DOCUMENTS_A_KEY` of them. A key counts the more, the fewer have it: texts in one frame
    share many keys, a copy also shares rare ones with its original. Ties keep the order given.
    """
    counts = Counter(chain.from_iterable(holders))
    worth = {name: 0.0 for name, count in counts.items() if count >= MIN_SHARED_KEYS}
    if len(worth) > 1:
        for names in holders:
            rarity = 1 / len(names)
            for name in worth.keys() & names:
                worth[name] += rarity
    return sorted(worth, key=worth.__getitem__, reverse=True)[:MAX_CANDIDATES]


class NearIndex(Generic[Name]):
    """Which texts have a key, in memory; of each key the first `MAX_DOCUMENTS_A_KEY`."""

    def __init__(self) -> None:
        self._names: dict[int, list[Name]] = {}

    def add(self, name: Name, keys: Iterable[int]) -> None:
        """Make `name` a candidate for texts that have some of its `keys`."""
        for key in keys:
            names = self._names.get(key)
            if names is None:
                self._names[key] = [name]
            elif len(names) < MAX_DOCUMENTS_A_KEY:
                names.append(name)

    def candidates(self, keys: Iterable[int]) -> list[Name]:
        """The texts to compare with one that has `keys`; see `best_candidates`."""
        return best_candidates([names for names in map(self._names.get, keys) if names])


@dataclass(frozen=True, slots=True)
class _Difference:
    """What two texts have at the same place, in tokens of the one that has fewer."""

    same: int
    typos: int
    facts: int


class _Spaced(dict[int, str]):
    """What each character becomes, so that tokens stand between blanks; filled as they come."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if not re.match(r"\w", character):
            spaced = " "
        elif re.match(f"[{_UNSPACED}]", character):
            spaced = f" {character} "
        else:
            spaced = character
        self[code] = spaced
        return spaced


_SPACED = _Spaced()
_ASCII_SPACED = bytes(ord(_SPACED[code].lower()) for code in range(128)).ljust(256)


def _spaced(text: str) -> str:
    if text.isascii():
        # The same in a tenth of the time.
        return text.encode("ascii").translate(_ASCII_SPACED).decode("ascii")
    return text.casefold().translate(_SPACED)


def _shingle_hashes(tokens: Sequence[bytes]) -> _Hashes:
    count = len(tokens) - SHINGLE_TOKENS + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    words = np.fromiter(map(crc32, tokens), np.uint64, len(tokens))
    hashes: _Hashes = words[:count] * _FACTORS[0]
    for place in range(1, SHINGLE_TOKENS):
        hashes ^= hashes >> _SHIFT
        hashes += words[place : place + count]
        hashes *= _FACTORS[place]
    hashes ^= hashes >> _SHIFT
    hashes *= _MIX
    hashes ^= hashes >> _SHIFT
    return hashes


def _distinct(hashes: _Hashes) -> _Hashes:
    """`np.unique`, which takes longer to set out than to sort so few."""
    ascending = np.sort(hashes)
    is_new = np.ones(len(ascending), np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=is_new[1:])
    distinct: _Hashes = ascending[is_new]
    return distinct


def _stand_in(hashes: _Hashes, text: Shingled) -> npt.NDArray[np.bool_]:
    """For each of `hashes`, whether `text` has that shingle; it has at least one."""
    places = np.searchsorted(text.distinct, hashes)
    found: npt.NDArray[np.bool_] = text.distinct.take(places, mode="clip") == hashes
    return found


_Gap = Sequence[str]
_Place = tuple[int | None, int | None]
"""The shared shingles on both sides of a gap; None where the text ends."""


@dataclass(frozen=True, slots=True)
class _Runs:
    """Where the shingles of `text` stand that another text has, ascending."""

    text: Shingled
    shared: npt.NDArray[np.intp]
    steps: npt.NDArray[np.intp]
    """From each of these to the next."""

    @property
    def covered(self) -> int:
        """How many tokens stand in these shingles."""
        if not len(self.shared):
            return 0
        return int(np.minimum(self.steps, SHINGLE_TOKENS).sum()) + SHINGLE_TOKENS

    def gaps(self) -> Iterator[tuple[_Place, _Gap]]:
        """The tokens before, between and after the covered ones, with what surrounds them."""
        tokens, hashes, shared = self.text.tokens, self.text.hashes, self.shared
        first, last = int(shared[0]), int(shared[-1])
        if first:
            yield (None, int(hashes[first])), tokens[:first]
        for place in (self.steps > SHINGLE_TOKENS).nonzero()[0].tolist():
            before, after = int(shared[place]), int(shared[place + 1])
            surrounding = (int(hashes[before]), int(hashes[after]))
            yield surrounding, tokens[before + SHINGLE_TOKENS : after]
        if last + SHINGLE_TOKENS < len(tokens):
            yield (int(hashes[last]), None), tokens[last + SHINGLE_TOKENS :]


def _runs(text: Shingled, other: Shingled) -> _Runs:
    shared = _stand_in(text.hashes, other).nonzero()[0]
    return _Runs(text, shared, shared[1:] - shared[:-1])


def _gap_pairs(first: _Runs, second: _Runs) -> Iterator[tuple[_Gap, _Gap]]:
    """What both texts have between the same shingles, but not in the same words."""
    theirs: dict[_Place, list[_Gap]] = {}
    for place, gap in second.gaps():
        theirs.setdefault(place, []).append(gap)
    for place, gap in first.gaps():
        same_place = theirs.get(place)
        if same_place:
            yield _without_torn_edge(gap, same_place.pop(0), place)
        else:
            yield gap, _between(second.text, place, gap)
    for place, gaps in theirs.items():
        for gap in gaps:
            yield gap, _between(first.text, place, gap)


def _between(text: Shingled, place: _Place, gap: _Gap) -> _Gap:
    """The tokens that `text` has at the place of `gap`, if they are about as many.

    They make no gap of their own where their shingles stand in the other text as well: elsewhere,
    for they are repeated.
    """
    before, after = place
    if before is None or after is None:
        return ()
    starts = np.flatnonzero(text.hashes == np.uint64(before)) + SHINGLE_TOKENS
    lengths = np.flatnonzero(text.hashes == np.uint64(after)) - starts[:, None]
    row, column = np.nonzero((lengths > 0) & (abs(lengths - len(gap)) <= 1))
    if not len(row) or (lengths == 0).any():
        return ()
    start = int(starts[row[0]])
    return text.tokens[start : start + int(lengths[row[0], column[0]])]


def _without_torn_edge(one: _Gap, other: _Gap, place: _Place) -> tuple[_Gap, _Gap]:
    """The gaps, or none where one text was cut or goes on: at its end, and at its beginning.

    Half a word is no other word. Less than a shingle beside several times as many tokens is the
    end of one text, and what was added in the other.
    """
    shorter, longer = sorted((one, other), key=len)
    if None in place and (
        SHINGLE_TOKENS > len(shorter) <= len(longer) / 4
        or (len(shorter) == 1 and _is_torn(shorter[0], longer, is_end=place[1] is None))
    ):
        return (), ()
    return one, other


def _is_torn(token: str, gap: _Gap, *, is_end: bool) -> bool:
    return gap[0].startswith(token) if is_end else gap[-1].endswith(token)


def _difference(one: _Gap, other: _Gap) -> _Difference:
    fewer = min(len(one), len(other))
    if fewer > LONGEST_GAP:
        return _Difference(0, 0, fewer)
    if len(one) == len(other) == 1:
        typos = int(_is_misspelt(one[0], other[0]))
        return _Difference(0, typos, 1 - typos)
    left, right = _without_common(one, other)
    same = len(one) - len(left)
    typos = fewer - same if _is_misspelt_whole(left, right) else _misspelt(left, right)
    return _Difference(same, typos, fewer - same - typos)


def _without_common(one: _Gap, other: _Gap) -> tuple[list[str], list[str]]:
    left, right = [], list(other)
    for token in one:
        if token in right:
            right.remove(token)
        else:
            left.append(token)
    return left, right


def _is_misspelt_whole(left: Sequence[str], right: Sequence[str]) -> bool:
    """Whether only spaces differ."""
    return "".join(left) == "".join(right)


def _misspelt(left: Sequence[str], right: Sequence[str]) -> int:
    """How many words of `left` stand misspelt in `right`, each word once."""
    waiting = list(right)
    for word in left:
        near = (other for other in waiting if -2 < len(word) - len(other) < 2)
        found = next((other for other in near if _is_misspelt(word, other)), None)
        if found is not None:
            waiting.remove(found)
    return len(right) - len(waiting)


def _is_misspelt(word: str, other: str) -> bool:
    """Whether two words agree after at most one letter of each is left out.

    That is a letter more, less, other or swapped (Garbe's symmetric deletion). A number is never
    a misspelt number, nor a short code a code; one character without spaces around it may be.
    """
    if abs(len(word) - len(other)) > 1:
        return False
    if len(word) == len(other) == 1:
        return bool(_UNSPACED_CHARACTER.match(word) and _UNSPACED_CHARACTER.match(other))
    return not _variants(word).isdisjoint(_variants(other))


@lru_cache(maxsize=2_048)
def _variants(word: str) -> frozenset[str]:
    """`word`, and `word` without each one of its letters; digits stay, and so do short codes."""
    variants = {word}
    if len(word) > 1 and (word.isalpha() or sum(map(str.isalpha, word)) > 3):
        for place, letter in enumerate(word):
            if not letter.isdigit():
                variants.add(word[:place] + word[place + 1 :])
    return frozenset(variants)
