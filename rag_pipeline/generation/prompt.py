"""What the model is asked: the sentences that come nearest to an answer, then the question.

Measured with SmolLM2-135M on 40 questions of SQuAD 2.0, each with its passage and two others: four
sentences and a begun answer got 26 right, the whole passages without one 10 at most.
"""

import hashlib
from collections.abc import Sequence

from rag_pipeline.generation.extraction import Near
from rag_pipeline.generation.language_model import Turn

SYSTEM = "You answer questions using only the given text. Reply with one short sentence."
USER = "{text}\n\nQuestion: {question}"
LEAD_IN = "According to the text,"
"""The answer is begun for the model: it keeps it from talking about itself."""

TEMPLATE_SHA256 = hashlib.sha256("\n".join((SYSTEM, USER, LEAD_IN)).encode()).hexdigest()


def turns(question: str, shown: Sequence[Near], *, instructions: str = "") -> tuple[Turn, Turn]:
    """What is asked of the model, with further `instructions` of whoever asks; then the sentences
    in reading order and the question."""
    text = " ".join(" ".join(near.span.text.split()) for near in shown)
    user = USER.format(text=text, question=question.strip())
    return Turn("system", f"{SYSTEM} {instructions}".strip()), Turn("user", user)
