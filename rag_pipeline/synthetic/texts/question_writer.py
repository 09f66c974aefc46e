"""Asks the generator for a question to an answer, and for the answer to a question."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rag_pipeline.generation.language_model import LanguageModel, Sampling, Turn, complete
from rag_pipeline.synthetic.texts.answers import AnswerKind

_ASK = (
    "You write one short question about a passage. The given answer answers it. The question says"
    " what it is about and does not hold the answer."
)
_ANSWER = "You answer a question about a passage with a few words of the passage, nothing else."
_PASSAGES = (
    "The mill at Lower Brook was built in 1871 by Anna Reed. Its wheel turns at 12 revolutions"
    " a minute.",
    "The Orchard Society of Kent opened a museum in Maidstone in 1990.",
)
_SHOWN = (
    (0, "1871", "When was the mill at Lower Brook built?"),
    (0, "Anna Reed", "Who built the mill at Lower Brook?"),
    (0, "12 revolutions", "How many revolutions a minute does the wheel of the mill turn at?"),
    (1, "Maidstone", "Where did the Orchard Society of Kent open a museum?"),
)
"""Invented passages that show what is wanted."""
_BEGUN: Mapping[AnswerKind, tuple[str, ...]] = {
    "person": ("Who",),
    "organisation": ("Which", "Who"),
    "place": ("Where", "Which"),
    "term": ("What",),
    "date": ("When", "In which year"),
    "amount": ("How many", "How"),
}
"""How a question for each kind begins, so that a small model asks for that kind."""
_QUESTION_TOKENS = 40
_ANSWER_TOKENS = 24


@dataclass(frozen=True, slots=True)
class QuestionWriter:
    """A language model, greedy: the same passage gives the same questions."""

    model: LanguageModel

    def questions(self, passage: str, answer: str, kind: AnswerKind) -> Iterator[str]:
        """One for each way to ask for that kind; each is a line that ends with a question mark, or
        is left out. Raises `GenerationError`."""
        for begun in _BEGUN[kind]:
            turns = [Turn("system", _ASK)]
            for number, told, question in _SHOWN:
                turns += [_asked(_PASSAGES[number], answer=told), Turn("assistant", question)]
            turns.append(_asked(passage, answer=answer))
            written = self._written(turns, begun=begun, tokens=_QUESTION_TOKENS)
            question, mark, _ = " ".join(f"{begun} {written}".split()).partition("?")
            if mark:
                yield f"{question.strip()}?"

    def answer(self, passage: str, question: str) -> str:
        """What the passage answers, in few words. Raises `GenerationError`."""
        turns = [Turn("system", _ANSWER)]
        for number, told, asked in _SHOWN:
            turns += [_asked(_PASSAGES[number], question=asked), Turn("assistant", told)]
        turns.append(_asked(passage, question=question))
        return self._written(turns, tokens=_ANSWER_TOKENS)

    def _written(self, turns: list[Turn], *, begun: str = "", tokens: int) -> str:
        rendered = self.model.render(turns, begun=begun)
        sampling = Sampling(max_new_tokens=tokens, stop=("\n",))
        return complete(self.model.generate(rendered, sampling=sampling))[0].strip()


def _asked(passage: str, **rest: str) -> Turn:
    lines = [f"Passage: {passage}", *(f"{key.capitalize()}: {text}" for key, text in rest.items())]
    return Turn("user", "\n".join(lines))
