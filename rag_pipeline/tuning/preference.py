"""A generator under training on which of two answers is better: DPO.

Direct preference optimisation (Rafailov et al., NeurIPS 2023, arXiv:2305.18290). The reference is
the model before the first step. What it holds of the answers is asked once, so that one copy of the
weights is in memory, and no step needs a second forward pass.

The loss is ours: `trl` has it too, but brings `datasets`, `pandas` and `dill` along, and keeps the
state of a training in pickles.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from rag_pipeline.tuning.adapters import Adapted
from rag_pipeline.tuning.sequences import TokenSequence, batched, score_answers
from rag_pipeline.tuning.supervised import log_likelihoods


@dataclass(frozen=True, slots=True)
class TokenPair:
    """A prompt with the better and the worse answer."""

    chosen: TokenSequence
    rejected: TokenSequence

    @property
    def tokens(self) -> int:
        """That a pass over both takes, the shorter filled up."""
        return 2 * max(len(self.chosen.tokens), len(self.rejected.tokens))


def preference_loss(gaps: Tensor, reference: Tensor, *, beta: float) -> Tensor:
    """-log sigmoid(beta (gap - reference gap)) for each pair, float32 (B,); eq. 7 of the paper.

    A gap is log p(chosen) - log p(rejected).
    """
    return -logsigmoid(beta * (gaps - reference))


class PreferenceTraining:
    """A task for `training.train`; its batch size is a number of tokens."""

    def __init__(
        self,
        adapted: Adapted,
        examples: Sequence[TokenPair],
        held_back: Sequence[TokenPair],
        *,
        batch_tokens: int,
        beta: float,
    ) -> None:
        """Asks the model, which is untrained yet, what it holds of all examples."""
        self._adapted = adapted
        self._examples = examples
        self._held_back = held_back
        self._batch_tokens = batch_tokens
        self._beta = beta
        self._reference = self._gaps_of(examples)
        self._held_reference = self._gaps_of(held_back)

    @property
    def model(self) -> torch.nn.Module:
        return self._adapted.model

    @property
    def examples(self) -> int:
        return len(self._examples)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return batched([one.tokens for one in self._examples], order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        pairs = [self._examples[row] for row in rows]
        both = [*(one.chosen for one in pairs), *(one.rejected for one in pairs)]
        chosen, rejected = score_answers(self.model, both).sum(dim=1).chunk(2)
        reference = self._reference[list(rows)].to(chosen.device)
        return preference_loss(chosen - rejected, reference, beta=self._beta).mean()

    def validate(self) -> float:
        """The loss on what is held back, with its sign turned."""
        gaps = self._gaps_of(self._held_back)
        return -preference_loss(gaps, self._held_reference, beta=self._beta).mean().item()

    def _gaps_of(self, pairs: Sequence[TokenPair]) -> Tensor:
        """float32 (len(pairs),)"""
        self.model.eval()
        return torch.tensor(gaps(self.model, pairs, batch_tokens=self._batch_tokens))


def gaps(model: torch.nn.Module, pairs: Sequence[TokenPair], *, batch_tokens: int) -> list[float]:
    """log p(chosen) - log p(rejected) of each pair."""
    both = [*(one.chosen for one in pairs), *(one.rejected for one in pairs)]
    scores = log_likelihoods(model, both, batch_tokens=batch_tokens)
    return [
        better - worse
        for better, worse in zip(scores[: len(pairs)], scores[len(pairs) :], strict=True)
    ]
