"""Which lines are boilerplate, given which stored texts have them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from ingest.boilerplate import edge_lines
from ingest.repetition import EdgedText, Repeated, repeated
from storage.records import NO_OUTLINE, DocumentId

HEAD = "Harbour Trading Company"


@dataclass
class StoredKeys:
    """A writer that knows which documents have a key, as one with a database does."""

    holders: dict[int, list[int]] = field(default_factory=dict)

    def holders_of(
        self, kind: str, keys: Sequence[int], *, limit: int
    ) -> dict[int, list[DocumentId]]:
        assert kind == "edge"
        known = {key: self.holders[key][:limit] for key in keys if key in self.holders}
        return {key: [*map(DocumentId, held)] for key, held in known.items()}


def letter(number: int, *, stored: int | None = None, is_original: bool = True) -> EdgedText:
    return EdgedText(
        text=f"{HEAD}\nFirst of {number} lines\nSecond of {number} lines\nLast of {number} lines",
        outline=NO_OUTLINE,
        document_id=None if stored is None else DocumentId(stored),
        is_original=is_original,
    )


def key_of_head() -> int:
    return edge_lines(letter(0).text)[0].key


def found(
    texts: Sequence[EdgedText], *, held_by: Sequence[int] = (), after: int = 3, **leaving: Any
) -> Repeated:
    writer: Any = StoredKeys({key_of_head(): sorted(held_by)} if held_by else {})
    named = {f"{at}": text for at, text in enumerate(texts)}
    gone = frozenset(map(DocumentId, leaving.get("leaving", ())))
    return repeated(named, after=after, writer=writer, leaving=gone)


def test_a_line_of_too_few_texts_is_none() -> None:
    assert found([letter(1), letter(2)]).common == frozenset()


def test_texts_of_the_batch_and_stored_ones_count_together() -> None:
    result = found([letter(1)], held_by=[7, 9])
    assert (result.common, result.newly_in) == ({key_of_head()}, (7, 9))


def test_where_it_was_boilerplate_already_no_stored_text_is_made_anew() -> None:
    result = found([letter(1)], held_by=[7, 8, 9, 10])
    assert (result.common, result.newly_in) == ({key_of_head()}, ())


def test_a_stored_text_in_the_batch_counts_once() -> None:
    assert found([letter(1, stored=7), letter(2)], held_by=[7]).common == frozenset()
    assert found([letter(1, stored=7), letter(2)], held_by=[7, 8]).newly_in == (8,)


def test_what_goes_at_the_same_time_does_not_count() -> None:
    assert found([letter(1)], held_by=[7, 8], leaving=[8]).common == frozenset()


def test_what_goes_takes_nothing_from_a_line_that_is_boilerplate() -> None:
    assert found([letter(1)], held_by=[7, 8, 9], leaving=[8, 9]).common == {key_of_head()}


def test_a_copy_does_not_count_but_goes_without_the_line_too() -> None:
    copies = [letter(n, is_original=False) for n in (1, 2, 3)]
    assert found(copies).common == frozenset()
    result = found(copies[:1], held_by=[7, 8, 9])
    assert copies[0].omitted(result.common) == ((0, len(HEAD)),)


@pytest.mark.parametrize("count", [1, 50])
def test_zero_counts_nothing(count: int) -> None:
    assert found([letter(n) for n in range(count)], after=0) == Repeated(frozenset(), ())


def test_after_one_text_each_line_at_an_edge_is_boilerplate() -> None:
    assert key_of_head() in found([letter(1)], after=1).common
