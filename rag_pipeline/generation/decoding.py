"""The loop over tokens: what was read before is not read again, what is guessed right is free.

It can be left at any token, and holds the model for one pass at a time. Every token is chosen from
the model's own scores at its place, so guesses change when a token comes, never which.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from rag_pipeline.generation.batching import Batcher
from rag_pipeline.generation.choosing import Choose
from rag_pipeline.generation.forward import Forward, P, Run
from rag_pipeline.generation.lookup import Lookup, Trust
from rag_pipeline.generation.prefixes import Prefixes

if TYPE_CHECKING:
    from torch import Tensor

_PIECE = 256
"""Tokens of a prompt that are read in one pass; between passes, other answers have their turn."""
_ROOM = 256
"""Tokens of an answer that room is made for at first."""
_DRAFTED = 4
"""Tokens of a draft: a pass of the drafter takes half of one of the model."""


class Decoder(Generic[P]):
    """Makes tokens after prompts, for many threads at once.

    A `drafter` is a quicker model that says nearly the same, and goes on from the same pasts.
    """

    def __init__(
        self,
        forward: Forward[P],
        *,
        drafter: Forward[P] | None = None,
        end_tokens: frozenset[int],
        kept_bytes: int,
    ) -> None:
        self._forward = forward
        self._drafter = drafter
        self._end_tokens = end_tokens
        self._batcher = Batcher(forward)
        self._prefixes = Prefixes(forward, limit_bytes=kept_bytes)

    def tokens(
        self, prompt: Sequence[int], choose: Choose, *, limit: int
    ) -> Generator[int, None, None]:
        """At most `limit` tokens, up to one that ends the answer; close it to stop the model."""
        past = self._prefixes.begin(prompt, room=len(prompt) + min(limit, _ROOM))
        try:
            yield from self._after(past, prompt, choose, limit)
        finally:
            self._batcher.leave(past)
            self._prefixes.keep(past)

    def _after(
        self, past: P, prompt: Sequence[int], choose: Choose, limit: int
    ) -> Generator[int, None, None]:
        lookup, trust = Lookup(prompt), Trust()
        logits = self._read(past, prompt)
        self._prefixes.keep(past)
        chosen = self._chosen(logits, [], choose)
        while chosen.tokens:
            yield from chosen.tokens
            limit -= len(chosen.tokens)
            if chosen.ended or limit < 1:
                return
            lookup.extend(chosen.tokens)
            chosen = self._step(past, chosen.tokens[-1], lookup, trust, choose, limit)

    def _read(self, past: P, prompt: Sequence[int]) -> "Tensor":
        """Read what `past` lacks of `prompt`; the logits after its last token, (1, vocabulary)."""
        unread = prompt[len(past.tokens) :]
        last = (len(unread) - 1) // _PIECE * _PIECE
        for start in range(0, last, _PIECE):
            self._batcher.step(Run(past, unread[start : start + _PIECE], wanted=0))
        return self._batcher.step(Run(past, unread[last:]))

    def _step(
        self, past: P, token: int, lookup: Lookup, trust: Trust, choose: Choose, limit: int
    ) -> "_Chosen":
        """Read `token` and a guess of what follows it, and forget what was guessed wrong."""
        guess = lookup.guess(limit - 1) if self._forward.forgets else []
        learn = lookup.learn
        if not guess and self._drafter and trust.holds and self._batcher.idle:
            guess, learn = self._drafted(self._drafter, past, token, limit - 1), trust.learn
        before = len(past.tokens)
        logits = self._batcher.step(Run(past, [token, *guess], wanted=1 + len(guess)))
        chosen = self._chosen(logits, guess, choose)
        past.crop(before + 1 + chosen.right)
        learn(len(guess), chosen.right)
        return chosen

    def _drafted(self, drafter: Forward[P], past: P, token: int, most: int) -> list[int]:
        """What `drafter` says after `token`, likeliest first. `past` is left as it was; what a
        draft wrote behind its end is written over when the draft is checked."""
        before, drafted = len(past.tokens), [token]
        try:
            while len(drafted) <= min(most, _DRAFTED) and drafted[-1] not in self._end_tokens:
                (scores,) = drafter([Run(past, drafted[-1:])])
                drafted.append(int(scores[0].argmax()))
        finally:
            past.crop(before)
        return drafted[1:]

    def _chosen(self, logits: "Tensor", guess: Sequence[int], choose: Choose) -> "_Chosen":
        """Tokens chosen from each row of `logits`, as long as the token before it was guessed."""
        tokens: list[int] = []
        for right, scores in enumerate(logits):
            token = choose(scores)
            if token in self._end_tokens:
                return _Chosen(tokens, right, ended=True)
            tokens.append(token)
            if right == len(guess) or guess[right] != token:
                return _Chosen(tokens, right, ended=False)
        return _Chosen(tokens, len(guess), ended=False)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What came of one pass: `right` is how many guessed tokens were chosen."""

    tokens: list[int]
    right: int
    ended: bool
