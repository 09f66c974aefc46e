"""What the model is asked: the sentences that come nearest to an answer, then the question.

Measured with SmolLM2-135M on 40 questions of SQuAD 2.0, each with its passage and two others: four
sentences and a begun answer got 26 right, the whole passages without one 10 at most. Ended by a
line of random digits it is 25 and 27 (two fences), between two such lines 26 and 27, explained in
the system's turn 25 and 26. After the check of the drafts 34 are right without a fence and 37 with
either, 39 of them word for word the same; between two lines it was 35, and 38 the same.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag_pipeline.generation.extraction import Near
from rag_pipeline.generation.fencing import neutralised
from rag_pipeline.generation.language_model import Turn

SYSTEM = "You answer questions using only the given text. Reply with one short sentence."
USER = "{text}\n\nQuestion: {question}"
FENCED = "{text}\n[{fence}]"
"""The turn begins with the text, and nobody but us ends it. Nothing random stands before the text,
so that a model which has read it for one question need not read it again for the next."""
LEAD_IN = "According to the text,"
"""The answer is begun for the model: it keeps it from talking about itself."""

TEMPLATE_SHA256 = hashlib.sha256("\n".join((SYSTEM, USER, FENCED, LEAD_IN)).encode()).hexdigest()

_PLACE = re.compile(r"\{(text|question)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """The words around the sentences and the question."""

    system: str = SYSTEM
    question: str = USER
    """With {text} and {question} where those go; no other brace means anything."""
    lead_in: str = LEAD_IN
    """How the answer is begun for the model; empty: it begins by itself."""
    sha256: str = TEMPLATE_SHA256
    template_id: int | None = None
    """The key of what the database keeps; None: this program came with it."""


DEFAULT_TEMPLATE = Template()


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """What stands in a prompt beside the question and the sentences."""

    template: Template = DEFAULT_TEMPLATE
    instructions: str = ""
    """What else the model is told, by whoever asks, about how to answer."""
    fence: str = ""
    """Random digits after the sentences, which are then shown neutralised; empty: as they are.
    The same one gives the same prompt."""
    earlier: tuple[Turn, ...] = ()
    """What was said before, oldest first."""


UNFRAMED = Framing()


def turns(question: str, shown: Sequence[Near], framing: Framing = UNFRAMED) -> list[Turn]:
    """What is asked of the model: our instructions and those of whoever asks, what was said before,
    then the sentences in reading order and the question."""
    text = " ".join(" ".join(near.span.text.split()) for near in shown)
    if framing.fence:
        text = FENCED.format(fence=framing.fence, text=neutralised(text).text)
    system = system_text(framing)
    return [
        *([Turn("system", system)] if system else []),
        *framing.earlier,
        Turn("user", _filled(framing.template.question, text=text, question=question.strip())),
    ]


def system_text(framing: Framing = UNFRAMED) -> str:
    """The system's turn."""
    return f"{framing.template.system} {framing.instructions}".strip()


def _filled(template: str, **values: str) -> str:
    """Whatever braces the values hold stay as they are."""
    return _PLACE.sub(lambda place: values[place[1]], template)
