"""A model without weights, which answers with what it was shown: for tests and dry runs."""

import hashlib
import re
from collections.abc import Sequence

from ingest.sentences import sentences
from rag_pipeline.errors import ContextLengthError
from rag_pipeline.generation.language_model import (
    GREEDY,
    Completion,
    FinishReason,
    Sampling,
    TextStream,
    Turn,
)
from rag_pipeline.generation.stop_strings import before_stop

_PASSAGE = re.compile(r"^\[1\][ \t]*", re.MULTILINE)
_FENCE = re.compile(r"^\[/?\w+\]$\s*", re.MULTILINE)
_BLANK_LINE = re.compile(r"\n\s*\n")
_WORD = re.compile(r"\s*\S+")


class EchoModel:
    """Says the first sentence of the passage numbered [1], or of the prompt if there is none.

    A fence around what it is shown is no part of it.
    """

    name = "echo"
    weights_sha256 = hashlib.sha256(b"echo 1").hexdigest()

    def __init__(self, context_tokens: int = 4096) -> None:
        self.context_tokens = context_tokens

    def count_tokens(self, text: str) -> int:
        """Words, which are this model's tokens."""
        return len(text.split())

    def render(self, turns: Sequence[Turn], *, begun: str = "") -> str:
        """The last turn first: it is what the answer is taken from."""
        return "\n\n".join(turn.text for turn in reversed(turns)) + begun

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        """Word by word; sampling has no influence but through its limits."""
        prompt_tokens = self.count_tokens(rendered)
        if prompt_tokens >= self.context_tokens:
            raise ContextLengthError(
                f"The prompt has {prompt_tokens} tokens and the model 'echo' reads "
                f"{self.context_tokens}: show it fewer or shorter passages."
            )
        answer, stopped = before_stop(_first_sentence(rendered), sampling.stop)
        words = _WORD.findall(answer)
        limit = min(sampling.max_new_tokens, self.context_tokens - prompt_tokens)
        finish: FinishReason = "stop" if stopped or len(words) <= limit else "length"
        return _stream(words[:limit], prompt_tokens, finish)


def _stream(words: list[str], prompt_tokens: int, finish: FinishReason) -> TextStream:
    yield from words
    return Completion(
        prompt_tokens=prompt_tokens, completion_tokens=len(words), finish_reason=finish
    )


def _first_sentence(rendered: str) -> str:
    marker = _PASSAGE.search(rendered)
    shown = rendered[marker.end() :] if marker else rendered.lstrip()
    block = _FENCE.sub("", _BLANK_LINE.split(shown, maxsplit=1)[0])
    spans = sentences(block)
    return block[slice(*spans[0])] if spans else ""
