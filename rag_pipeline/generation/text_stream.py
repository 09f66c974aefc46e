"""From tokens, as a model in memory makes them, to the text that a reader is shown."""

from collections.abc import Iterator, Sequence
from itertools import islice

from rag_pipeline.generation.language_model import Completion, TextStream
from rag_pipeline.generation.loading import Loaded
from rag_pipeline.generation.stop_strings import before_stop, settled


def text_stream(
    loaded: Loaded,
    tokens: Iterator[int],
    *,
    prompt_tokens: int,
    limit: int,
    stop: Sequence[str],
) -> TextStream:
    """The text of at most `limit` of `tokens`, up to where they end or a stop string begins."""
    answer: list[int] = []
    text, shown, stopped = "", 0, False
    for token in islice(tokens, limit):
        answer.append(token)
        # Decoded as a whole: a character may have its bytes in several tokens.
        text, stopped = before_stop(loaded.decode(answer), stop)
        if stopped:
            break
        piece = settled(text, stop)[shown:]
        if piece:
            yield piece
            shown += len(piece)
    if text[shown:]:
        yield text[shown:]
    return Completion(
        prompt_tokens=prompt_tokens,
        completion_tokens=len(answer),
        finish_reason="stop" if stopped or len(answer) < limit else "length",
    )
