"""What the model is asked: passages as data, then the question.

The passages are numbered and set off from the instructions; the model's adapter makes sure that
nothing in them can end their turn.
"""

import hashlib
from collections.abc import Sequence

from storage.records import Hit

SYSTEM = (
    "You answer questions from the passages that you are given. "
    "Answer in one or two short sentences, with the words of the passages. "
    "If the passages do not hold the answer, say: The passages do not say."
)
USER = "{passages}\n\nQuestion: {question}\nAnswer:"
PASSAGE = "[{number}] {text}"

TEMPLATE_SHA256 = hashlib.sha256("\n".join((SYSTEM, USER, PASSAGE)).encode()).hexdigest()


def user_text(question: str, shown: Sequence[Hit]) -> str:
    """The user's turn: the passages, best first, then the question."""
    passages = (
        PASSAGE.format(number=number, text=_titled(hit)) for number, hit in enumerate(shown, 1)
    )
    return USER.format(passages="\n\n".join(passages), question=question.strip())


def _titled(hit: Hit) -> str:
    title, text = hit.chunk.title, hit.chunk.text
    return text if not title or title in text else f"{title}\n{text}"
