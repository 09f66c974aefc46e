"""A language model that never comes to an end, and says when it was stopped."""

import threading
import time
from collections.abc import Sequence

from rag_pipeline.generation.echo_model import EchoModel
from rag_pipeline.generation.language_model import GREEDY, Completion, Sampling, TextStream, Turn

PAUSE_S = 0.02


class EndlessModel:
    """Writes one sentence without end, a word every `PAUSE_S`."""

    name = "endless"
    weights_sha256 = "0" * 64
    context_tokens = 4096

    def __init__(self) -> None:
        self.began = threading.Event()
        self.stopped = threading.Event()
        self.words = 0
        self._echo = EchoModel()

    def count_tokens(self, text: str) -> int:
        return self._echo.count_tokens(text)

    def render(self, turns: Sequence[Turn], *, begun: str = "") -> str:
        return self._echo.render(turns, begun=begun)

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        try:
            while True:
                self.words += 1
                yield "word "
                self.began.set()
                time.sleep(PAUSE_S)
        finally:
            self.stopped.set()
        return Completion(prompt_tokens=1, completion_tokens=self.words, finish_reason="stop")
