"""Queries written by the generator: off unless somebody asks, for each costs a model's answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag_pipeline.errors import GeneratorUnavailableError
from rag_pipeline.generation.conversation import Exchange, standalone
from rag_pipeline.generation.language_model import LanguageModel, Sampling, Turn, complete

_PASSAGE = "Write one short paragraph that answers the question. Write nothing else."
_STANDALONE = (
    "Rewrite the last question so that it can be understood without the ones before it. "
    "Write only the rewritten question."
)
_PASSAGE_TOKENS = 96
_QUESTION_TOKENS = 64
_LAST_QUESTIONS = 6
"""What was asked longer ago is rarely meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelQueryWriter:
    """A `QueryWriter` that is a language model; greedy, so the same query is written each time.

    Raises `GenerationError` for what the model can't take.
    """

    model: LanguageModel

    def passage_for(self, question: str) -> str:
        """A hypothetical document (HyDE: Gao et al., ACL 2023, arXiv:2212.10496): what it says may
        be wrong, but it says it in the words of an answer."""
        return self._written(_PASSAGE, question, max_new_tokens=_PASSAGE_TOKENS) or question

    def standalone(self, question: str, earlier: Sequence[str]) -> str:
        """The last question of a conversation by itself; as it is where nothing was before."""
        if not earlier:
            return question
        turns = "\n".join(f"- {text}" for text in (*earlier[-_LAST_QUESTIONS:], question))
        written = self._written(_STANDALONE, turns, max_new_tokens=_QUESTION_TOKENS)
        return written.split("\n", 1)[0] or question

    def following(self, question: str, earlier: Sequence[Exchange]) -> str:
        """As `standalone`; by rules where the model can't be had."""
        try:
            return self.standalone(question, [exchange.question for exchange in earlier])
        except GeneratorUnavailableError:
            return standalone(question, earlier)

    def _written(self, system: str, user: str, *, max_new_tokens: int) -> str:
        rendered = self.model.render([Turn("system", system), Turn("user", user)])
        text, _ = complete(
            self.model.generate(rendered, sampling=Sampling(max_new_tokens=max_new_tokens))
        )
        return text.strip()
