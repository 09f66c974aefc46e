"""Prompts with their answers as tokens, and how likely a model holds the answers.

A prompt and its answer are encoded apart, for that is how a model meets them: it reads the one and
then writes the other, a token at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from rag_pipeline.generation.loading import neutralised

if TYPE_CHECKING:
    from rag_pipeline.generation.loading import Loaded

_GLUES = ",:"
"""A begun answer that ends so, or in a letter, goes on after a blank."""


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """A prompt, its answer, and the token that ends it."""

    tokens: tuple[int, ...]
    answer_at: int
    """Where the answer begins; 1 at least."""

    @property
    def answer_tokens(self) -> int:
        return len(self.tokens) - self.answer_at


def sequence_of(loaded: "Loaded", rendered: str, answer: str) -> TokenSequence:
    """What is read and what is to be written, in the tokens of `loaded`.

    Control tokens written out in the answer are none.
    """
    prompt = loaded.encode(rendered)
    glue = " " if rendered[-1:].isalnum() or rendered[-1:] in _GLUES else ""
    written = loaded.encode(f"{glue}{neutralised(answer.strip(), loaded.controls)}")
    return TokenSequence((*prompt, *written, *_end(loaded)), len(prompt))


def _end(loaded: "Loaded") -> list[int]:
    """The token that ends an answer; a model that has several ends it with the tokenizer's."""
    own = loaded.tokenizer.eos_token_id
    return [own] if own in loaded.end_tokens else sorted(loaded.end_tokens)[:1]


def score_answers(model: nn.Module, sequences: Sequence[TokenSequence]) -> Tensor:
    """The log-likelihood of each token of the answers, given all before it: float32 (B, T), where T
    reaches from where the first answer begins to where the last one ends; 0 outside of an answer.

    Sequences are filled up on the right, where nothing that counts can see it.
    """
    first = min(sequence.answer_at for sequence in sequences)
    longest = max(len(sequence.tokens) for sequence in sequences)
    tokens = torch.zeros((len(sequences), longest), dtype=torch.long)
    counts = torch.zeros((len(sequences), longest), dtype=torch.bool)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence.tokens)] = torch.tensor(sequence.tokens)
        counts[row, sequence.answer_at : len(sequence.tokens)] = True
    device = next(model.parameters()).device
    tokens, counts = tokens.to(device), counts.to(device)
    output = model(input_ids=tokens, use_cache=False, logits_to_keep=longest - first + 1)
    logits = output.logits[:, :-1].float()  # (B, T, vocabulary): each tells the token after it
    wanted = tokens[:, first:]
    losses = nn.functional.cross_entropy(
        logits.flatten(0, 1), wanted.flatten(), reduction="none"
    ).view_as(wanted)
    return -losses * counts[:, first:]


def batched(lengths: Sequence[int], order: Sequence[int], budget: int) -> list[list[int]]:
    """Rows as batches that have up to `budget` tokens when all are as long as their longest; a row
    that is longer is alone. Rows of like length are together, the same ones whatever their order:
    `order` says which batch comes first, by its first row.
    """
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda at: (-lengths[at], at)):
        last = batches[-1] if batches else []
        if last and lengths[last[0]] * (len(last) + 1) <= budget:
            last.append(row)
        else:
            batches.append([row])
    place = {row: at for at, row in enumerate(order)}
    return sorted(batches, key=lambda batch: min(place[row] for row in batch))
