"""A model of a rule instead of weights, whose passes can be counted and held up."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag_pipeline.generation.forward import Run

if TYPE_CHECKING:
    from torch import Tensor

WORDS = 64


class ListPast:
    """Nothing but the tokens; each takes a byte."""

    def __init__(self) -> None:
        self.tokens: list[int] = []

    @property
    def nbytes(self) -> int:
        return len(self.tokens)

    def crop(self, tokens: int) -> None:
        del self.tokens[tokens:]

    def copied(self, tokens: int, *, room: int) -> "ListPast":
        assert room >= tokens
        copy = ListPast()
        copy.tokens = self.tokens[:tokens]
        return copy


class RuleForward:
    """After the tokens so far comes `following(tokens)`; `passes` notes the tokens of each run."""

    forgets = True

    def __init__(self, *, period: int = 7) -> None:
        self.passes: list[list[int]] = []
        self.go = threading.Event()
        self.go.set()
        self._period = period

    def begin(self, *, room: int) -> ListPast:
        return ListPast()

    def following(self, tokens: Sequence[int]) -> int:
        return (tokens[-1] + len(tokens) % self._period) % WORDS

    def __call__(self, runs: Sequence[Run[ListPast]]) -> "list[Tensor]":
        import torch

        self.passes.append([len(run.tokens) for run in runs])
        assert self.go.wait(30)
        scores = []
        for run in runs:
            rows = torch.zeros(run.wanted, WORDS)
            run.past.tokens.extend(run.tokens)
            for row in range(run.wanted):
                read = len(run.past.tokens) - run.wanted + row + 1
                rows[row, self.following(run.past.tokens[:read])] = 1
            scores.append(rows)
        return scores
