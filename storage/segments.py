"""What a local index is made of: immutable segments, each with a bitmap of its live rows.

Log-structured, as search engines do it: a change adds a small segment and marks rows as dead in
others, so that it costs what it changes and not what the index holds; small segments are merged
into larger ones so that there are never more than a few (O'Neil et al. 1996, "The log-structured
merge-tree"). A state is never changed, only replaced, so a search that took one is undisturbed.
"""

import errno
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from storage.errors import SealError
from storage.records import BEGINNING, Ids, Position
from storage.sealed import Array, Meta, Sealed, seal, unseal

Mask = npt.NDArray[np.bool_]

_log = logging.getLogger(__name__)

_GROWTH = 2
"""A segment has at least this many times the live rows of all smaller ones together."""
_DEAD_SHARE = 0.2
"""A segment with more dead rows than this is written anew without them."""
_PUBLISH_SHARE = 0.05


class Segment(Protocol):
    """Rows that never change."""

    @property
    def ids(self) -> Ids:
        """The key of each row, ascending."""


SegmentT = TypeVar("SegmentT", bound=Segment)


@dataclass(frozen=True, slots=True)
class Part(Generic[SegmentT]):
    """A segment and which of its rows still live."""

    segment: SegmentT
    live: Mask
    alive: int

    @property
    def dead(self) -> int:
        """How many of the segment's rows are no more."""
        return self.live.size - self.alive

    def live_ids(self) -> Ids:
        """The keys that are held, ascending."""
        return self.segment.ids[self.live] if self.dead else self.segment.ids

    def rows_allowed(self, allowed: Ids | None) -> Mask | None:
        """The rows that a search may return; None for all of them."""
        if allowed is None:
            return self.live if self.dead else None
        wanted: Mask = np.isin(self.segment.ids, allowed)
        return wanted & self.live


@dataclass(frozen=True, slots=True)
class State(Generic[SegmentT]):
    """All that an index holds, and the position that it holds it for."""

    position: Position
    parts: tuple[Part[SegmentT], ...]

    @property
    def count(self) -> int:
        """How many live rows there are."""
        return sum(part.alive for part in self.parts)

    def keys(self) -> Ids:
        """Every live key, ascending."""
        return np.sort(np.concatenate([np.empty(0, np.int64), *map(Part.live_ids, self.parts)]))


class Format(Protocol[SegmentT]):
    """How one kind of index merges its segments and lays them out in a file."""

    @property
    def kind(self) -> str:
        """What the file says it is."""

    @property
    def meta(self) -> Meta:
        """What must be the same for a file to be of use: dimension, analysis …"""

    def merge(self, parts: Sequence[Part[SegmentT]]) -> SegmentT:
        """One segment of all live rows."""

    def arrays(self, segment: SegmentT) -> Mapping[str, Array]:
        """The segment as plain arrays."""

    def segment(self, arrays: Mapping[str, Array]) -> SegmentT:
        """The segment that `arrays` gave; `SealError` if they can't be one."""


class SegmentStore(Generic[SegmentT]):
    """The present state of one index, and the file that spares it from being built again.

    The file is a cache: one that is missing, damaged or of another making counts as empty, and one
    that can't be written is reported and done without.
    """

    def __init__(self, path: Path, form: Format[SegmentT], *, publish_after: int) -> None:
        self._path = path
        self._format = form
        self._publish_after = publish_after
        self._changes = 0
        self._is_due = True
        self.state: State[SegmentT] = State(BEGINNING, ())
        if path.exists():
            self._open()

    def apply(self, *, removed: Ids, added: SegmentT, position: Position) -> None:
        """Drop rows, take in a segment, and stand at `position`, all in one step."""
        dropped = np.union1d(removed, added.ids)
        parts = [_without(part, dropped) for part in self.state.parts]
        parts.extend(_parts_of(added))
        self._changes += removed.size + added.ids.size
        self.state = State(position, _tidied(parts, self._format))

    def reset(self) -> None:
        """Hold nothing and stand at `BEGINNING`."""
        self._is_due = True
        self.state = State(BEGINNING, ())

    def publish(self) -> None:
        """Write the file if it is missing or far behind; a disk that refuses is only reported."""
        if not self._is_due and self._changes <= self._worth_publishing():
            return
        # Set before the attempt: a disk that refuses is not asked again after every change.
        self._is_due, self._changes = False, 0
        try:
            self._seal()
        except OSError as error:
            if error.errno == errno.EROFS:
                _warn_of_read_only_disk(self._path.parent)
            else:
                _log.warning("The index file %s could not be written: %s", self._path, error)

    def _worth_publishing(self) -> float:
        return max(self._publish_after, _PUBLISH_SHARE * self.state.count)

    def _open(self) -> None:
        try:
            sealed = unseal(self._path, kind=self._format.kind)
            self.state = State(sealed.position, self._parts(sealed))
            self._is_due = False
        except SealError as error:
            _log.warning("An index file is not used: %s", error)

    def _parts(self, sealed: Sealed) -> tuple[Part[SegmentT], ...]:
        if sealed.meta != self._format.meta:
            raise SealError(f"{self._path} was made with other settings; rebuild it")
        segment = self._format.segment(sealed.arrays)
        if segment.ids.size != sealed.count:
            raise SealError(f"{self._path} holds another number of rows than it says; rebuild it")
        return _parts_of(segment)

    def _seal(self) -> None:
        segment = _single(self.state.parts, self._format)
        self.state = replace(self.state, parts=_parts_of(segment))
        seal(
            self._path,
            kind=self._format.kind,
            position=self.state.position,
            count=segment.ids.size,
            arrays=self._format.arrays(segment),
            meta=self._format.meta,
        )


@cache
def _warn_of_read_only_disk(folder: Path) -> None:
    """Once for all the files of a folder."""
    _log.warning("The disk of %s is read-only: each program makes its own indexes", folder)


def _whole(segment: SegmentT) -> Part[SegmentT]:
    return Part(segment, np.ones(segment.ids.size, np.bool_), segment.ids.size)


def _parts_of(segment: SegmentT) -> tuple[Part[SegmentT], ...]:
    return (_whole(segment),) if segment.ids.size else ()


def _without(part: Part[SegmentT], dropped: Ids) -> Part[SegmentT]:
    """The part with the rows of `dropped` (ascending) marked as dead."""
    ids = part.segment.ids
    rows = np.searchsorted(ids, dropped)
    inside = rows < ids.size
    rows = rows[inside][ids[rows[inside]] == dropped[inside]]
    if not part.live[rows].any():
        return part
    live = part.live.copy()
    live[rows] = False
    return Part(part.segment, live, int(np.count_nonzero(live)))


def _tidied(parts: Sequence[Part[SegmentT]], form: Format[SegmentT]) -> tuple[Part[SegmentT], ...]:
    """Smallest first, each at least twice as large as all before it, none with many dead rows.

    A row is merged again only when what it lies in has doubled: O(log n) times in all.
    """
    tidied: list[Part[SegmentT]] = []
    for group in _groups(parts):
        is_fine = len(group) == 1 and group[0].dead <= _DEAD_SHARE * group[0].live.size
        tidied.extend(group if is_fine else _parts_of(form.merge(group)))
    return tuple(tidied)


def _groups(parts: Sequence[Part[SegmentT]]) -> list[list[Part[SegmentT]]]:
    """Parts that belong into one segment each, smallest first."""
    groups: list[list[Part[SegmentT]]] = []
    rows = 0
    for part in sorted((part for part in parts if part.alive), key=lambda part: part.alive):
        if groups and part.alive < _GROWTH * rows:
            groups[-1].append(part)
        else:
            groups.append([part])
        rows += part.alive
    return groups


def _single(parts: Sequence[Part[SegmentT]], form: Format[SegmentT]) -> SegmentT:
    """One segment of exactly the live rows."""
    if len(parts) == 1 and not parts[0].dead:
        return parts[0].segment
    return form.merge(parts)
