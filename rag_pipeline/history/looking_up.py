"""Past exchanges page by page, and by their words or their meaning."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Unpack

from rag_pipeline.composition import Composition
from rag_pipeline.errors import QueryError
from rag_pipeline.history.cursor import cursor_at, number_at
from rag_pipeline.history.matching import Filters, Matching, filter_of
from rag_pipeline.history.snippets import Snippet, snippet
from storage.filters import Filter
from storage.prompts.access import number_of
from storage.prompts.listing import ListedPrompt, PromptsWanted
from storage.records import Principal
from storage.words_query import Phrase, phrases

Order = Literal["rank", "newest"]
A_PAGE = 500


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Exchanges, newest first, and where the next page begins; None: there is none."""

    items: tuple[ListedPrompt, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPrompt:
    """An exchange that was searched for, and the part of it that fits."""

    listed: ListedPrompt
    snippet: Snippet
    score: float | None = None
    """The cosine to what was meant, where it was searched for by meaning."""


class Paged(Matching, total=False):
    """Which exchanges are meant, and from where on."""

    cursor: str | None
    """`next_cursor` of the page before."""


@dataclass(frozen=True, slots=True)
class LookingUp:
    """Looks past exchanges up, as far as one principal may know."""

    parts: Composition
    principal: Principal

    def page(self, *, limit: int = 20, **wanted: Unpack[Paged]) -> HistoryPage:
        """The newest exchanges that are wanted.

        Raises `FilterError`, `InvalidRecordError`, and `QueryError` for another list's cursor.
        """
        where = filter_of(wanted)
        cursor = wanted.get("cursor")
        before = None if cursor is None else number_at(cursor, where, self.principal)
        found = self.parts.prompts.page(self._wanted(where), limit=limit, before=before)
        place = None
        if len(found) == limit:
            place = cursor_at(number_of(found[-1].prompt.prompt_id), where, self.principal)
        return HistoryPage(tuple(found), place)

    def all(self, **wanted: Unpack[Matching]) -> Iterator[ListedPrompt]:
        """All exchanges that are wanted, newest first, a page in memory at a time.

        What is recorded meanwhile is not among them. Raises as `page` does.
        """
        where, before = self._wanted(filter_of(wanted)), None
        while found := self.parts.prompts.page(where, limit=A_PAGE, before=before):
            yield from found
            before = number_of(found[-1].prompt.prompt_id)

    def count(self, **wanted: Unpack[Matching]) -> int:
        """How many exchanges are wanted. Raises `FilterError`, `InvalidRecordError`."""
        return self.parts.prompts.count(self._wanted(filter_of(wanted)))

    def search(
        self, words: str, *, limit: int = 20, order: Order = "rank", **wanted: Unpack[Filters]
    ) -> list[FoundPrompt]:
        """Exchanges with all the `words` in question or answer: those that fit best first, or the
        newest.

        Raises `FilterError`, `InvalidRecordError`, and `QueryError` where there is no word.
        """
        asked = phrases(words)
        if not asked:
            raise QueryError("there is no word to look for; write one, or `rag history list`")
        where = self._wanted(filter_of(Matching(**wanted, words="")))
        if order == "rank":
            found = self.parts.prompts.fittest(words, where, limit=limit)
        else:
            found = list(self.page(limit=limit, words=words, **wanted).items)
        return [FoundPrompt(listed=one, snippet=_snippet(one, asked)) for one in found]

    def near(self, text: str, *, limit: int = 20, **wanted: Unpack[Matching]) -> list[FoundPrompt]:
        """Exchanges whose questions are nearest in meaning to `text`, the nearest first.

        Those whose questions were embedded as they were asked, in the space of today's embedder.
        Raises as `search` does.
        """
        if not text.strip():
            raise QueryError("there is nothing to look for; write what was meant")
        embedder = self.parts.embedder
        vector = embedder.embed([text])[0]
        found = self.parts.prompts.near(
            vector, embedder.space, self._wanted(filter_of(wanted)), limit=limit
        )
        return [
            FoundPrompt(listed=one, snippet=_snippet(one, ()), score=score) for one, score in found
        ]

    def _wanted(self, where: Filter | None) -> PromptsWanted:
        return PromptsWanted(principal=self.principal, where=where)


def _snippet(listed: ListedPrompt, asked: tuple[Phrase, ...]) -> Snippet:
    prompt = listed.prompt
    return snippet([prompt.question, prompt.answer or ""], asked)
