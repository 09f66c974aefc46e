"""Guesses of what an answer says next, from the prompt: answers from passages copy a lot.

A guess costs nothing to make and little to check: a forward pass reads several tokens in about the
time of one (Leviathan et al. 2023, arXiv:2211.17192; the guesses are those of prompt lookup, Saxena
2023). A wrong guess never shows in the text.
"""

from collections.abc import Iterable

_LENGTHS = (3, 2)
"""Tokens that must have stood there before; the longer is tried first."""
_FIRST, _MOST = 4, 12
"""Tokens guessed at first, and once guesses are right."""

_LEAST_RIGHT = 0.8
"""Of drafted tokens; with fewer, checking them costs more than they save."""
_CREDIT = 8
"""Right tokens that a drafter is credited with at first."""


class Lookup:
    """The tokens of one sequence, and what followed each pair and triple of them last."""

    def __init__(self, tokens: Iterable[int]) -> None:
        self._tokens: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        self._most = _FIRST
        self.extend(tokens)

    def extend(self, tokens: Iterable[int]) -> None:
        """Go on with `tokens`."""
        for token in tokens:
            for length in _LENGTHS:
                if len(self._tokens) >= length:
                    self._after[tuple(self._tokens[-length:])] = len(self._tokens)
            self._tokens.append(token)

    def guess(self, most: int) -> list[int]:
        """What followed the last tokens where they stood before, `most` tokens of it at most."""
        for length in _LENGTHS:
            at = self._after.get(tuple(self._tokens[-length:]))
            if at is not None:
                return self._copied(at, min(most, self._most))
        return []

    def _copied(self, start: int, count: int) -> list[int]:
        """`count` tokens from `start`, which run on into their own copy, as repetitions do."""
        found = self._tokens[start : start + count]
        while len(found) < count:
            found.append(found[len(found) - (len(self._tokens) - start)])
        return found

    def learn(self, guessed: int, right: int) -> None:
        """Guess more after a guess that was right, less after one that was not."""
        if guessed:
            self._most = min(_MOST, self._most * 2) if right == guessed else max(_FIRST, right)


class Trust:
    """Whether what a drafter drafts of one sequence is right often enough to go on asking it."""

    def __init__(self) -> None:
        self._right = self._seen = _CREDIT

    @property
    def holds(self) -> bool:
        return self._right >= _LEAST_RIGHT * self._seen

    def learn(self, guessed: int, right: int) -> None:
        """Of `guessed` tokens, the first `right` were right; the one after them is judged too."""
        self._right += right
        self._seen += min(right + 1, guessed)
