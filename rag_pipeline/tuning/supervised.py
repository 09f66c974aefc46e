"""A generator under training on what it should answer: only the answer's tokens count."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rag_pipeline.tuning.adapters import Adapted
from rag_pipeline.tuning.sequences import TokenSequence, batched, score_answers


class AnswerTraining:
    """A task for `training.train`; its batch size is a number of tokens."""

    def __init__(
        self,
        adapted: Adapted,
        examples: Sequence[TokenSequence],
        held_back: Sequence[TokenSequence],
        *,
        batch_tokens: int,
    ) -> None:
        self._adapted = adapted
        self._examples = examples
        self._held_back = held_back
        self._batch_tokens = batch_tokens

    @property
    def model(self) -> torch.nn.Module:
        return self._adapted.model

    @property
    def examples(self) -> int:
        return len(self._examples)

    def batches(self, order: Sequence[int], size: int) -> list[list[int]]:
        return batched([len(one.tokens) for one in self._examples], order, size)

    def loss(self, rows: Sequence[int]) -> Tensor:
        chosen = [self._examples[row] for row in rows]
        tokens = sum(one.answer_tokens for one in chosen)
        return -score_answers(self.model, chosen).sum() / tokens

    def validate(self) -> float:
        """The mean log-likelihood of a token of an answer."""
        scores = log_likelihoods(self.model, self._held_back, batch_tokens=self._batch_tokens)
        return sum(scores) / sum(one.answer_tokens for one in self._held_back)


def log_likelihoods(
    model: torch.nn.Module, sequences: Sequence[TokenSequence], *, batch_tokens: int
) -> list[float]:
    """Of each whole answer, in their order; the model is as it is left, in evaluation mode."""
    found = [0.0] * len(sequences)
    lengths = [len(sequence.tokens) for sequence in sequences]
    with torch.no_grad():
        for rows in batched(lengths, range(len(lengths)), batch_tokens):
            scores = score_answers(model, [sequences[row] for row in rows]).sum(dim=1)
            for row, score in zip(rows, scores.tolist(), strict=True):
                found[row] = score
    return found
