"""Pasts of recent prompts, so that what was read before is not read again.

The instructions before every question, the passages under a second question and the conversation
so far all come back as the beginning of a later prompt.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from rag_pipeline.generation.forward import Forward, P

_WORTHWHILE = 8
"""Tokens; fewer are read anew as fast as they are looked up."""


@dataclass(frozen=True, slots=True)
class _Kept(Generic[P]):
    tokens: tuple[int, ...]
    past: P
    """Has at least those tokens. Whoever goes on from it only appends."""


class Prefixes(Generic[P]):
    """The pasts used last, `limit_bytes` of memory at most; shared by all threads."""

    def __init__(self, forward: Forward[P], *, limit_bytes: int) -> None:
        self._forward = forward
        self._limit = limit_bytes if forward.forgets else 0
        self._lock = threading.Lock()
        self._kept: list[_Kept[P]] = []

    def begin(self, prompt: Sequence[int], *, room: int) -> P:
        """A past of one's own with the longest kept beginning of `prompt`, never all of it: its
        last token has yet to be read, for what comes after it."""
        with self._lock:
            shared, found = self._longest(prompt)
        if found is None:
            return self._forward.begin(room=room)
        return found.past.copied(shared, room=room)

    def _longest(self, prompt: Sequence[int]) -> tuple[int, _Kept[P] | None]:
        best, found = _WORTHWHILE - 1, None
        for kept in self._kept:
            shared = min(_shared(kept.tokens, prompt), len(prompt) - 1)
            if shared > best:
                best, found = shared, kept
        if found is not None:
            self._kept.remove(found)
            self._kept.append(found)
        return best, found

    def keep(self, past: P) -> None:
        """Keep `past` for prompts that begin like it, in place of pasts that it contains."""
        new = _Kept(tuple(past.tokens), past)
        with self._lock:
            self._kept = [
                kept for kept in self._kept if kept.tokens != new.tokens[: len(kept.tokens)]
            ]
            self._kept.append(new)
            while self._kept and self.nbytes > self._limit:
                del self._kept[0]

    @property
    def nbytes(self) -> int:
        """Memory of all that is kept."""
        return sum(kept.past.nbytes for kept in self._kept)


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    for at, (token, beside) in enumerate(zip(one, other, strict=False)):
        if token != beside:
            return at
    return min(len(one), len(other))
