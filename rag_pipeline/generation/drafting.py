"""Who writes a draft: a language model, or nobody.

Without a model the nearest sentences of the documents are the answer, at once and word for word.
That is also what is left where a model can't be reached.
"""

import hashlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ingest.sentences import sentences
from rag_pipeline.errors import ContextLengthError, GeneratorUnavailableError
from rag_pipeline.generation.conversation import fitting
from rag_pipeline.generation.extraction import Near, in_reading_order
from rag_pipeline.generation.language_model import (
    Completion,
    EstimatesTokens,
    LanguageModel,
    Sampling,
)
from rag_pipeline.generation.prompt import UNFRAMED, Framing, system_text, turns
from storage.words import UNSTORABLE

EXTRACTIVE = "extractive"
_RULES_SHA256 = hashlib.sha256(b"extractive 1").hexdigest()
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
        counted = {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }
        return {**counted, "estimated": True} if self.completion.estimated else counted


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

    def rendered(
        self,
        question: str,
        near: Sequence[Near],
        *,
        framing: Framing = UNFRAMED,
        max_new_tokens: int = 0,
    ) -> str:
        """The exact prompt, which leaves room for so many tokens of an answer; empty if nothing is
        to be written."""

    def system(self, framing: Framing) -> str:
        """What holds for the whole conversation, as it is told; empty: nothing."""

    def draft(self, rendered: str, sampling: Sampling) -> DraftStream:
        """Write an answer to a prompt that is not empty."""


@dataclass(frozen=True, slots=True)
class Extractive:
    """Writes nothing, so that sentences of the documents answer."""

    name: str = EXTRACTIVE
    weights_sha256: str = _RULES_SHA256

    def rendered(
        self,
        question: str,
        near: Sequence[Near],
        *,
        framing: Framing = UNFRAMED,
        max_new_tokens: int = 0,
    ) -> str:
        """Nothing is to be written."""
        return ""

    def system(self, framing: Framing) -> str:
        """What whoever asks said, though nobody heeds it."""
        return framing.instructions

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
    history_tokens: int = 0
    """Of what was said before, at most."""
    answer_sentences: int = 1
    """That it may write."""

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    @property
    def weights_sha256(self) -> str:
        """The model's."""
        return self.model.weights_sha256

    def rendered(
        self,
        question: str,
        near: Sequence[Near],
        *,
        framing: Framing = UNFRAMED,
        max_new_tokens: int = 0,
    ) -> str:
        """The best sentences that fit, in reading order, then the question.

        What was said before is left out sooner than a sentence. Raises `ContextLengthError` if the
        model reads too little for the best sentence alone.
        """
        if not near:
            return ""
        room = self._room(max_new_tokens)
        best = self._fitting(near[: self.sentences])
        said = fitting(framing.earlier, self.model.count_tokens, self.history_tokens)
        alone = replace(framing, earlier=(), instructions=self._instructions(framing))
        ever_shorter = [
            (best, replace(alone, earlier=tuple(said))),
            *((best[:shown], alone) for shown in range(len(best), 0, -1)),
        ]
        for shown, framed in ever_shorter:
            asked = turns(question, in_reading_order(shown), framed)
            rendered = self.model.render(asked, begun=framing.template.lead_in)
            if (tokens := self.model.count_tokens(rendered)) <= room:
                return rendered
        raise ContextLengthError(
            f"The model {self.name!r} reads and writes {self.model.context_tokens:,} tokens in all,"
            f" {room:,} of them before its answer; the question with one sentence has {tokens:,}:"
            " ask a shorter one, or choose a model that reads more."
        )

    def system(self, framing: Framing) -> str:
        """The template's, what is said of the answer's length, and what whoever asks adds."""
        return system_text(replace(framing, instructions=self._instructions(framing)))

    def _instructions(self, framing: Framing) -> str:
        if self.answer_sentences == 1:
            return framing.instructions
        most = f"If one sentence does not suffice, write up to {self.answer_sentences}."
        return f"{most} {framing.instructions}".strip()

    def _room(self, max_new_tokens: int) -> int:
        """Tokens for the prompt: all but those of the answer, which take half of them at most."""
        context = self.model.context_tokens
        return context - min(max_new_tokens, context // 2)

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
        """As many sentences as it may write: a small model's second is rarely about the question.

        A model that can't be reached writes nothing, and the draft says why.
        """
        stream = self.model.generate(rendered, sampling=sampling)
        text = ""
        try:
            while len(sentences(text)) <= self.answer_sentences:
                piece = next(stream)
                text += piece
                yield piece
        except StopIteration as ended:
            return Draft(text=_tidied(text, self.answer_sentences), completion=ended.value)
        except GeneratorUnavailableError as error:
            return Draft(note=_instead(error))
        finally:
            stream.close()
        completion = Completion(
            prompt_tokens=self.model.count_tokens(rendered),
            completion_tokens=self.model.count_tokens(text),
            finish_reason="stop",
            estimated=isinstance(self.model, EstimatesTokens),
        )
        return Draft(text=_tidied(text, self.answer_sentences), completion=completion)


def _tidied(draft: str, most: int) -> str:
    """The first sentences of what was written after the begun answer, with a capital letter."""
    text = UNSTORABLE.sub("", draft)
    first = " ".join(text[start:end] for start, end in sentences(text)[:most])
    return first[:1].upper() + first[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompted:
    """Who drafts an answer, and what exactly is asked of them."""

    drafter: Drafter
    rendered: str
    note: str | None = None

    def draft(self, sampling: Sampling) -> DraftStream:
        """Write an answer, if anything is to be written."""
        if self.rendered:
            return (yield from self.drafter.draft(self.rendered, sampling))
        return Draft(note=self.note)


def prompted(
    drafter: Drafter,
    question: str,
    near: Sequence[Near],
    *,
    framing: Framing = UNFRAMED,
    max_new_tokens: int = 0,
) -> Prompted:
    """What is asked of `drafter`; of nobody, and why is noted, if its model can't be had."""
    try:
        rendered = drafter.rendered(question, near, framing=framing, max_new_tokens=max_new_tokens)
    except GeneratorUnavailableError as error:
        return Prompted(drafter=Extractive(), rendered="", note=_instead(error))
    return Prompted(drafter=drafter, rendered=rendered)


def _instead(error: GeneratorUnavailableError) -> str:
    return f"{error} The documents' own sentences answer instead."
