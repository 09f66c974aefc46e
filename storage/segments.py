"""What a local index is made of: immutable segments, each with a bitmap of its live rows.

Log-structured, as search engines do it: a change adds a small segment and marks rows as dead in
others, so that it costs what it changes and not what the index holds; small segments are merged
into larger ones so that there are never more than a few (O'Neil et al. 1996, "The log-structured
merge-tree"). A state is never changed, only replaced, so a search that took one is undisturbed.
"""

import errno
import logging
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cache
from itertools import starmap
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from storage.errors import SealError
from storage.records import BEGINNING, Ids, Position
from storage.sealed import Array, Meta, Sealed
from storage.segment_files import Listed, Manifest, SegmentFile, SegmentFiles

Mask = npt.NDArray[np.bool_]

_log = logging.getLogger(__name__)

_GROWTH = 2
"""A segment has at least this many times the live rows of all smaller ones together."""
_DEAD_SHARE = 0.2
"""A segment with more dead rows than this is written anew without them."""
_DENSE = 4
"""A table of all keys in a range is made for so many times as many as are held."""
_SPARSE = 64
"""One key among so many is found faster without."""


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
    file: SegmentFile | None = None
    """Where the segment was sealed, if it was."""
    sealed: Sealed | None = None
    """What it is read from, if not from memory of its own."""

    @property
    def dead(self) -> int:
        """How many of the segment's rows are no more."""
        return self.live.size - self.alive

    def live_ids(self) -> Ids:
        """The keys that are held, ascending."""
        return self.segment.ids[self.live] if self.dead else self.segment.ids

    def rows_of(self, ids: Ids) -> tuple[Ids, Mask]:
        """The rows of those of `ids` (in any order) that live here, and which these are."""
        rows = self.segment.ids.searchsorted(ids)
        # What comes after all keys is compared with the last of them.
        is_held = self.segment.ids.take(rows, mode="clip") == ids
        is_held &= self.live.take(rows, mode="clip")
        return rows[is_held], is_held

    def rows_allowed(self, allowed: Ids | None) -> Mask | None:
        """The rows that a search may return, of the keys `allowed` (ascending); None for all."""
        if allowed is None:
            return self.live if self.dead else None
        ids = self.segment.ids
        first, span = int(ids[0]), int(ids[-1] - ids[0]) + 1
        near = allowed[slice(*np.searchsorted(allowed, [first, first + span]))]
        if near.size * _SPARSE < ids.size or span > _DENSE * ids.size:
            mask = np.zeros(ids.size, np.bool_)
            mask[self.rows_of(near)[0]] = True
            return mask
        table = np.zeros(span, np.bool_)
        table[near - first] = True
        return table[ids - first] & self.live


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
    """The present state of one index, and the files that spare it from being built again.

    The files are a cache: what is missing, damaged or of another making counts as empty, and what
    can't be written is reported and done without.
    """

    def __init__(self, path: Path, form: Format[SegmentT], *, publish_after: int) -> None:
        self._files = SegmentFiles(path, form.kind, form.meta)
        self._format = form
        self._publish_after = publish_after
        self._changes = 0
        self._is_due = True
        self._is_fork = False
        self._state: State[SegmentT] = State(BEGINNING, ())
        if path.exists():
            self._open()

    @property
    def state(self) -> State[SegmentT]:
        """The present state; empty, so that it is filled anew, once a file was cut short."""
        if any(part.sealed is not None and part.sealed.is_cut_short for part in self._state.parts):
            _log.warning("A file of the index %s was cut short; rebuild it", self._files.path)
            return State(BEGINNING, ())
        return self._state

    def apply(self, *, removed: Ids, added: SegmentT, position: Position) -> None:
        """Drop rows, take in a segment, and stand at `position`, all in one step."""
        dropped = np.union1d(removed, added.ids) if removed.size else added.ids
        parts = [_without(part, dropped) for part in self._state.parts]
        parts.extend(_parts_of(added))
        self._changes += removed.size + added.ids.size
        self._state = State(position, _tidied(parts, self._format))

    def reset(self) -> None:
        """Hold nothing and stand at `BEGINNING`."""
        self._is_due = True
        self._state = State(BEGINNING, ())

    def purge(self) -> None:
        """Keep nothing of dead rows in memory; `publish` then writes what is left in any case, and
        removes the files that hold them."""
        alive = (part for part in self._state.parts if part.alive)
        kept = tuple(_whole(self._format.merge([p])) if p.dead else p for p in alive)
        self._state = replace(self._state, parts=kept)
        self._is_due = True

    def fork(self) -> Self:
        """A store in the same state, which shares the segments and never writes a file."""
        forked = copy(self)
        forked._is_fork = True
        return forked

    def publish(self) -> None:
        """Write what is new, if there is enough of it; a disk that refuses is only reported."""
        if self._is_fork or not (self._is_due or self._changes > self._publish_after):
            return
        # Set before the attempt: a disk that refuses is not asked again after every change.
        self._is_due, self._changes = False, 0
        try:
            self._seal()
        except OSError as error:
            if error.errno == errno.EROFS:
                _warn_of_read_only_disk(self._files.path.parent)
            else:
                _log.warning("The index %s could not be written: %s", self._files.path, error)

    def _open(self) -> None:
        try:
            self._state = self._published(self._files.manifest())
            self._is_due = False
        except SealError as error:
            _log.warning("An index file is not used: %s", error)

    def _published(self, manifest: Manifest) -> State[SegmentT]:
        """What `manifest` lists, or what replaced it while that was read."""
        while True:
            try:
                return State(manifest.position, tuple(map(self._part, manifest.listed)))
            except SealError:
                newer = self._files.manifest()
                if newer.sha256 == manifest.sha256:
                    raise
                manifest = newer

    def _part(self, listed: Listed) -> Part[SegmentT]:
        sealed = self._files.read(listed)
        segment = self._format.segment(sealed.arrays)
        if segment.ids.size != listed.live.size:
            raise SealError(f"{self._files.path} lists rows that are not there; rebuild it")
        alive = int(np.count_nonzero(listed.live))
        return Part(segment, listed.live, alive, listed.file, sealed)

    def _seal(self) -> None:
        with self._files.sole_writer():
            listed = [self._listed(part) for part in self._state.parts]
            self._files.publish(listed, self._state.position)
        parts = zip(self._state.parts, listed, strict=True)
        self._state = replace(self._state, parts=tuple(starmap(self._shared, parts)))

    def _listed(self, part: Part[SegmentT]) -> Listed:
        file = part.file
        if file is None or not self._files.holds(file):
            arrays = self._format.arrays(part.segment)
            count, position = part.live.size, self._state.position
            file = self._files.write(arrays, count=count, position=position)
        return Listed(file, part.live)

    def _shared(self, part: Part[SegmentT], listed: Listed) -> Part[SegmentT]:
        """The part as its file has it: in memory that all who open the file have in common."""
        if part.file == listed.file:
            return part
        try:
            return self._part(listed)
        except SealError:
            # Another program has published since. What is in memory is as good.
            return replace(part, file=listed.file)


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
    rows, _ = part.rows_of(dropped)
    if not rows.size:
        return part
    live = part.live.copy()
    live[rows] = False
    return replace(part, live=live, alive=int(np.count_nonzero(live)))


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
