"""Who writes a draft: a language model, or nobody.

Without a model the nearest sentences of the documents are the answer, at once and word for word.
That is also what is left where a model can't be reached.
"""

import hashlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ingest.sentences import sentences
from rag_pipeline.errors import GeneratorUnavailableError
from rag_pipeline.generation.extraction import Near, in_reading_order
from rag_pipeline.generation.language_model import Completion, LanguageModel, Sampling
from rag_pipeline.generation.prompt import LEAD_IN, turns

EXTRACTIVE = "extractive"
_NO_TOKENS = Completion(prompt_tokens=0, completion_tokens=0, finish_reason="stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What was written before anything of it was checked."""

    text: str = ""
    completion: Completion = _NO_TOKENS
    note: str | None = None
    """Why there is less than was asked for."""

    @property
    def usage(self) -> Mapping[str, int]:
        """Tokens, under the names that clients know."""
        read, written = self.completion.prompt_tokens, self.completion.completion_tokens
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }


NOTHING_WRITTEN = Draft()

DraftStream = Generator[str, None, Draft]
"""Pieces of text as they are written; the return value is the draft."""


class Drafter(Protocol):
    """Writes what an answer may be, from the sentences that come nearest to it."""

    @property
    def name(self) -> str:
        """What the history calls it."""

    @property
    def weights_sha256(self) -> str:
        """Which weights, or which rules, it goes by; in hexadecimal."""

    def rendered(self, question: str, near: Sequence[Near], *, instructions: str = "") -> str:
        """The exact prompt; empty if nothing is to be written."""

    def draft(self, rendered: str, sampling: Sampling) -> DraftStream:
        """Write an answer to a prompt that is not empty."""


@dataclass(frozen=True, slots=True)
class Extractive:
    """Writes nothing, so that sentences of the documents answer."""

    name: str = EXTRACTIVE
    weights_sha256: str = hashlib.sha256(b"extractive 1").hexdigest()

    def rendered(self, question: str, near: Sequence[Near], *, instructions: str = "") -> str:
        """Nothing is to be written."""
        return ""

    def draft(self, rendered: str, sampling: Sampling) -> DraftStream:
        """Nothing."""
        yield from ()
        return NOTHING_WRITTEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """A language model that is shown a few sentences and begins its answer for it."""

    model: LanguageModel
    sentences: int
    """That the model is shown, at most."""
    shown_tokens: int
    """Of the sentences that it is shown, at most."""

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    @property
    def weights_sha256(self) -> str:
        """The model's."""
        return self.model.weights_sha256

    def rendered(self, question: str, near: Sequence[Near], *, instructions: str = "") -> str:
        """The best sentences that fit, in reading order, then the question."""
        if not near:
            return ""
        shown = in_reading_order(self._fitting(near[: self.sentences]))
        asked = turns(question, shown, instructions=instructions)
        return self.model.render(asked, begun=LEAD_IN)

    def _fitting(self, near: Sequence[Near]) -> list[Near]:
        """The best sentences that fit into the budget of tokens; the first in any case."""
        room = self.shown_tokens
        shown: list[Near] = []
        for found in near:
            room -= self.model.count_tokens(found.span.text)
            if room < 0 and shown:
                break
            shown.append(found)
        return shown

    def draft(self, rendered: str, sampling: Sampling) -> DraftStream:
        """One sentence: a small model's second one is rarely about the question.

        A model that can't be reached writes nothing, and the draft says why.
        """
        stream = self.model.generate(rendered, sampling=sampling)
        text = ""
        try:
            while len(sentences(text)) <= 1:
                piece = next(stream)
                text += piece
                yield piece
        except StopIteration as ended:
            return Draft(text=_tidied(text), completion=ended.value)
        except GeneratorUnavailableError as error:
            return Draft(note=f"{error} The documents' own sentences answer instead.")
        finally:
            stream.close()
        completion = Completion(
            prompt_tokens=self.model.count_tokens(rendered),
            completion_tokens=self.model.count_tokens(text),
            finish_reason="stop",
        )
        return Draft(text=_tidied(text), completion=completion)


def _tidied(draft: str) -> str:
    """The first sentence of what was written after the begun answer, with a capital letter."""
    first = next((draft[start:end] for start, end in sentences(draft)), "")
    return first[:1].upper() + first[1:]
