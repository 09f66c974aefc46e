"""A language model that waits for its test before it goes on."""

import threading

from rag_pipeline.generation.echo_model import EchoModel
from rag_pipeline.generation.language_model import GREEDY, Sampling, TextStream

WAITS_S = 20


class GatedModel(EchoModel):
    """Echoes, but waits before its first word, or after it, until the gate is opened.

    Then it raises `error`, if it was given one.
    """

    def __init__(self, *, after_word: bool = False, error: Exception | None = None) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.gate = threading.Event()
        self.after_word = after_word
        self.error = error

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        written = super().generate(rendered, sampling=sampling)
        if self.after_word:
            yield next(written)
        self.reached.set()
        assert self.gate.wait(WAITS_S)
        if self.error is not None:
            raise self.error
        return (yield from written)
