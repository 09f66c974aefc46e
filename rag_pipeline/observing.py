"""What may be watched of a pipeline: each search, answer and embedding, once it is over.

An event says when its work began and how long it took, so that an observer can count it or make a
span of it afterwards: no step of the work knows who watches, and nothing is left open when it is
broken off.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from rag_pipeline.defaults import Mode

if TYPE_CHECKING:
    from rag_pipeline.generation.answer import Answer, AnswerStream
    from rag_pipeline.retrieval.search import SearchResult
    from storage.records import Vectors

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Generic[T_co]):
    """Work that is over: it has a value, or an error."""

    began: float
    """Seconds since the epoch."""
    seconds: float
    value: T_co | None
    error: BaseException | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """A search is over."""

    query: str
    collections: Sequence[str]
    mode: Mode
    limit: int
    done: "Done[SearchResult]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A question was worked on to its end.

    `GeneratorExit` is the error of an answer that its reader did not want any more.
    """

    question: str
    collection: str
    session: str | None
    generator: str
    """The generator that is set; the answer names the one that wrote."""
    first_piece_s: float | None
    """How long its reader waited for the first piece of the draft; None if there was none."""
    done: "Done[Answer]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """Texts were embedded for a caller."""

    texts: int
    model: str
    done: "Done[Vectors]"


class Observer(Protocol):
    """Is told of what is over, in the thread that did it: be quick, and raise nothing."""

    def searched(self, event: Searched) -> None:
        """A search is over."""

    def answered(self, event: Answered) -> None:
        """A question is over."""

    def embedded(self, event: Embedded) -> None:
        """Texts are embedded."""


@dataclass(slots=True)
class Watch(Generic[T]):
    """Work under way; `value` is for whoever does it to set."""

    value: T | None = None
    began: float = field(default_factory=time.time)
    _since: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self._since

    def done(self, error: BaseException | None) -> Done[T]:
        """What is to be said of it, now that it is over."""
        return Done(began=self.began, seconds=self.seconds, value=self.value, error=error)


@contextmanager
def _watched(over: Callable[[Done[T]], None]) -> Iterator[Watch[T]]:
    watch: Watch[T] = Watch()
    try:
        yield watch
    except BaseException as error:
        over(watch.done(error))
        raise
    over(watch.done(None))


@dataclass(frozen=True, slots=True)
class Observers:
    """All who watch one pipeline."""

    watching: tuple[Observer, ...] = ()

    def searching(
        self, query: str, *, collections: Sequence[str], mode: Mode, limit: int
    ) -> "AbstractContextManager[Watch[SearchResult]]":
        """Watch a search."""

        def over(done: "Done[SearchResult]") -> None:
            event = Searched(
                query=query, collections=collections, mode=mode, limit=limit, done=done
            )
            for observer in self.watching:
                observer.searched(event)

        return _watched(over)

    def embedding(
        self, texts: Sequence[str], *, model: str
    ) -> "AbstractContextManager[Watch[Vectors]]":
        """Watch texts being embedded."""

        def over(done: "Done[Vectors]") -> None:
            event = Embedded(texts=len(texts), model=model, done=done)
            for observer in self.watching:
                observer.embedded(event)

        return _watched(over)

    def answering(
        self,
        stream: "AnswerStream",
        *,
        question: str,
        collection: str,
        session: str | None,
        generator: str,
    ) -> "AnswerStream":
        """The same stream, watched from its first step to its end."""
        waited: list[float] = []

        def over(done: "Done[Answer]") -> None:
            event = Answered(
                question=question,
                collection=collection,
                session=session,
                generator=generator,
                first_piece_s=waited[0] if waited else None,
                done=done,
            )
            for observer in self.watching:
                observer.answered(event)

        return _answering(stream, over, waited) if self.watching else stream


def _answering(
    stream: "AnswerStream", over: "Callable[[Done[Answer]], None]", waited: list[float]
) -> "AnswerStream":
    with _watched(over) as watch, closing(stream):
        answer = watch.value = yield from _first_timed(stream, watch, waited)
    return answer


def _first_timed(
    stream: "AnswerStream", watch: "Watch[Answer]", waited: list[float]
) -> "Generator[str, None, Answer]":
    """The stream; how long its first piece took is put into `waited`."""
    try:
        piece = next(stream)
    except StopIteration as ended:
        answer: Answer = ended.value
        return answer
    waited.append(watch.seconds)
    yield piece
    return (yield from stream)
