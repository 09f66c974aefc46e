"""An answer that comes in pieces from elsewhere, held to what was asked for."""

from rag_pipeline.generation.language_model import FinishReason, Sampling
from rag_pipeline.generation.stop_strings import before_stop, settled


class GrowingText:
    """The text so far, how much of it may be shown, and whether it has to end here.

    It ends before a stop string, and at `longest` characters, whatever comes after.
    """

    def __init__(self, sampling: Sampling, *, longest: int) -> None:
        self.text = ""
        self.ended: FinishReason | None = None
        self._stop = sampling.stop
        self._longest = longest
        self._shown = 0

    def add(self, text: str) -> str:
        """What can be shown now that `text` has come; often less, sometimes nothing."""
        self.text, stopped = before_stop(self.text + text, self._stop)
        if len(self.text) > self._longest:
            self.text, self.ended = self.text[: self._longest], "length"
        elif stopped:
            self.ended = "stop"
        return self._grown(settled(self.text, self._stop))

    def rest(self) -> str:
        """What was held back, now that nothing follows."""
        return self._grown(self.text)

    def _grown(self, text: str) -> str:
        piece = text[self._shown :]
        self._shown = max(self._shown, len(text))
        return piece
