"""Forward passes that several answers share, without a thread of their own.

Whoever needs a pass and finds none under way runs it, for itself and for all who wait. A reader
that pauses asks for nothing, so nobody waits for it.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from rag_pipeline.errors import GenerationError
from rag_pipeline.generation.forward import Forward, P, Run

if TYPE_CHECKING:
    from torch import Tensor

_PATIENCE_S = 0.004
"""How long a pass is held for those who shared the last one: a tenth of a small model's pass."""
_MOST_TOKENS = 512
"""Of one pass; beyond it, sharing the weights gains nothing."""


@dataclass(eq=False, slots=True)
class _Ticket(Generic[P]):
    run: Run[P]
    logits: "Tensor | None" = None
    error: GenerationError | None = None

    @property
    def finished(self) -> bool:
        return self.logits is not None or self.error is not None

    def outcome(self) -> "Tensor":
        """The logits of a finished ticket, or its error raised."""
        if self.error is not None:
            raise self.error
        if self.logits is None:
            raise GenerationError("The model was stopped in the middle of a pass.")
        return self.logits


class Batcher(Generic[P]):
    """Runs a model for many threads at once; each gets the logits of its own run."""

    def __init__(self, forward: Forward[P]) -> None:
        self._forward = forward
        self._changed = threading.Condition()
        self._busy = False
        self._waiting: list[_Ticket[P]] = []
        self._last: set[int] = set()
        """By id, the pasts of the last pass that have not ended."""

    def step(self, run: Run[P]) -> "Tensor":
        """The logits of `run`, (wanted, vocabulary), from a pass that others may share."""
        ticket = _Ticket(run)
        with self._changed:
            self._waiting.append(ticket)
            self._changed.notify_all()
        while not ticket.finished:
            with self._changed:
                self._changed.wait_for(lambda: ticket.finished or not self._busy)
                leads = not ticket.finished
                self._busy = self._busy or leads
            if leads:
                self._lead()
        return ticket.outcome()

    @property
    def idle(self) -> bool:
        """Whether at most one sequence is being gone on with, so that there is nobody to share
        passes with."""
        return not self._busy and not self._waiting and len(self._last) <= 1

    def leave(self, past: P) -> None:
        """Say that `past` asks for nothing more."""
        with self._changed:
            self._last.discard(id(past))
            self._changed.notify_all()

    def _lead(self) -> None:
        """Run the next pass; whoever calls this has set `_busy`."""
        try:
            with self._changed:
                batch = self._gathered()
            self._run(batch)
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _gathered(self) -> list[_Ticket[P]]:
        """Who shares the next pass, oldest first, which may not yet be the caller."""
        self._changed.wait_for(
            lambda: self._last <= {id(ticket.run.past) for ticket in self._waiting}, _PATIENCE_S
        )
        batch, tokens = [self._waiting[0]], len(self._waiting[0].run.tokens)
        for ticket in self._waiting[1:]:
            tokens += len(ticket.run.tokens)
            if tokens > _MOST_TOKENS:
                break
            batch.append(ticket)
        del self._waiting[: len(batch)]
        self._last = {id(ticket.run.past) for ticket in batch}
        return batch

    def _run(self, batch: Sequence[_Ticket[P]]) -> None:
        try:
            logits = self._forward([ticket.run for ticket in batch])
        except BaseException as error:
            for ticket in batch:
                ticket.error = GenerationError(f"The model could not be run: {error!r}")
                ticket.error.__cause__ = error
            if not isinstance(error, Exception):
                raise
        else:
            for ticket, own in zip(batch, logits, strict=True):
                ticket.logits = own
