"""What to look for in a haystack, without keeping it: hashes of the windows of a text or vector.

A window is a run of bytes. Its hash is taken under a salt, so that a list of hashes says nothing to
whoever has not the text; and it rolls, so that every place of a file can be compared with all of
them at the cost of reading it (Karp & Rabin 1987, "Efficient randomized pattern-matching
algorithms"; here modulo 2**64, over a random number for each byte).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

WIDTH = 32
"""Bytes of a text that, found elsewhere, are no coincidence."""
SHORTEST = 8
"""A shorter text stands in too many places to say anything."""
LONGEST_NAME = 1_024
_VECTOR_WIDTH = 64
_DISTINCT = 12
"""Different bytes that a window of numbers must have: zeros stand everywhere."""
_A_VECTOR = 6
_FILTER_BITS = 20
_LONG = 4_096
"""Places from which on a filter costs less than looking each of them up."""


@dataclass(frozen=True, slots=True)
class Needles:
    """Hashes under one salt, sorted, by the width of their windows in bytes."""

    salt: str
    by_width: Mapping[int, Hashes]
    _filters: dict[int, Mask] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, salt: str, windows: Iterable[tuple[int, Hashes]]) -> "Needles":
        gathered: dict[int, list[Hashes]] = {}
        for width, found in windows:
            gathered.setdefault(width, []).append(found)
        return cls(salt, {width: np.unique(np.concatenate(s)) for width, s in gathered.items()})

    @classmethod
    def from_json(cls, salt: str, stored: Mapping[str, str]) -> "Needles":
        """What `as_json` gave."""
        return cls(
            salt,
            {int(w): np.frombuffer(bytes.fromhex(hashes), "<u8") for w, hashes in stored.items()},
        )

    def as_json(self) -> dict[str, str]:
        """Width: hashes, in hexadecimal."""
        return {str(w): some.astype("<u8").tobytes().hex() for w, some in self.by_width.items()}

    @property
    def count(self) -> int:
        return sum(hashes.size for hashes in self.by_width.values())

    @property
    def overlap(self) -> int:
        """Bytes that two blocks of a file must have in common for nothing to be missed."""
        return max(self.by_width, default=1) - 1

    def sampled(self, limit: int) -> "Needles":
        """At most `limit` of each width, the same ones at each time."""
        return Needles(self.salt, {width: some[:limit] for width, some in self.by_width.items()})

    def without(self, others: "Needles") -> "Needles":
        """Those that are not among `others`."""
        empty = np.empty(0, np.uint64)
        left = {
            width: np.setdiff1d(some, others.by_width.get(width, empty), assume_unique=True)
            for width, some in self.by_width.items()
        }
        return Needles(self.salt, {width: some for width, some in left.items() if some.size})

    def joined(self, others: "Needles") -> "Needles":
        """All of both."""
        return Needles.of(self.salt, [*self.by_width.items(), *others.by_width.items()])

    def found_in(self, haystack: bytes) -> "Needles":
        """Those that stand in it."""
        found = []
        for width, places, hashes in self._places(haystack):
            found.append((width, hashes[places]))
        return Needles.of(self.salt, found)

    def covered(self, haystack: bytes) -> Mask:
        """Which of its bytes are part of a window that is looked for, (len(haystack),)."""
        marks = np.zeros(len(haystack) + 1, np.int64)
        for width, places, _ in self._places(haystack):
            np.add.at(marks, places, 1)
            np.add.at(marks, places + width, -1)
        covered: Mask = np.cumsum(marks[:-1]) > 0
        return covered

    def _places(self, haystack: bytes) -> Iterator[tuple[int, npt.NDArray[np.intp], Hashes]]:
        for width, wanted in self.by_width.items():
            if len(haystack) >= width and wanted.size:
                hashes = _hashes(haystack, width, self.salt)
                places = self._candidates(width, hashes)
                at = np.searchsorted(wanted, hashes[places])
                at[at == wanted.size] = 0
                yield width, places[wanted[at] == hashes[places]], hashes

    def _candidates(self, width: int, hashes: Hashes) -> npt.NDArray[np.intp]:
        """The places of a long haystack whose hash begins like one that is looked for."""
        if hashes.size < _LONG:
            return np.arange(hashes.size)
        if width not in self._filters:
            self._filters[width] = _filter(self.by_width[width])
        return np.flatnonzero(self._filters[width][hashes >> np.uint64(64 - _FILTER_BITS)])


def windows_of_text(text: str, salt: str) -> Iterator[tuple[int, Hashes]]:
    """All windows of a text, in the forms that it is stored in; of a short one, the whole."""
    for form in _forms(text):
        if len(form) >= WIDTH:
            yield WIDTH, _hashes(form, WIDTH, salt)
        elif len(form) >= SHORTEST:
            yield len(form), _hashes(form, len(form), salt)


def window_of_name(name: str, salt: str) -> Iterator[tuple[int, Hashes]]:
    """The whole of a name: parts of it may well stand in others."""
    for form in _forms(name):
        if SHORTEST <= len(form) <= LONGEST_NAME:
            yield len(form), _hashes(form, len(form), salt)


def windows_of_vector(vector: bytes, salt: str) -> Iterator[tuple[int, Hashes]]:
    """Some windows of a vector; where it is mostly zeros, the whole of it."""
    starts = [
        at
        for at in range(0, len(vector) - _VECTOR_WIDTH + 1, _VECTOR_WIDTH)
        if len(set(vector[at : at + _VECTOR_WIDTH])) >= _DISTINCT
    ]
    pieces = [vector[at : at + _VECTOR_WIDTH] for at in starts[:_A_VECTOR]] or [vector]
    for piece in pieces:
        if len(piece) >= SHORTEST:
            yield len(piece), _hashes(piece, len(piece), salt)


def _forms(text: str) -> set[bytes]:
    """As it stands in a column of text, in JSON, and in JSON of ASCII alone."""
    said = text.encode("utf-8", "surrogatepass")
    return {
        said,
        json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass"),
        json.dumps(text)[1:-1].encode(),
    }


def _hashes(data: bytes, width: int, salt: str) -> Hashes:
    """The hash of the window at each place, (len(data) - width + 1,).

    That of a window of a + b bytes is made of those of its first a and its last b bytes.
    """
    of_byte, base = _numbers(salt)
    single = of_byte[np.frombuffer(data, np.uint8)]
    power, power_width = single, 1
    done, done_width = np.zeros(single.size + 1, np.uint64), 0
    while True:
        if width & power_width:
            size = single.size - done_width - power_width + 1
            shifted = done[:size] * _to_the(base, power_width)
            done = shifted + power[done_width : done_width + size]
            done_width += power_width
        if power_width * 2 > width:
            return done
        left = power[: power.size - power_width] * _to_the(base, power_width)
        power = left + power[power_width:]
        power_width *= 2


@lru_cache(64)
def _to_the(base: int, exponent: int) -> np.uint64:
    return np.uint64(pow(base, exponent, 1 << 64))


@lru_cache(8)
def _numbers(salt: str) -> tuple[Hashes, int]:
    """A random number for each byte, and an odd one to multiply by."""
    stream = hashlib.shake_256(salt.encode()).digest(8 * 257)
    numbers = np.frombuffer(stream, "<u8").astype(np.uint64)
    return numbers[:256], int(numbers[256]) | 1


def _filter(wanted: Hashes) -> Mask:
    """Which first bits any of them has: few places of a haystack are left to be looked up."""
    table = np.zeros(1 << _FILTER_BITS, np.bool_)
    table[wanted >> np.uint64(64 - _FILTER_BITS)] = True
    return table
