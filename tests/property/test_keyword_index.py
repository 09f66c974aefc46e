"""What an index finds depends on what it holds, never on how that came about."""

import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from support.entries import Passage, ids, reference_bm25, text_entries

from storage.keyword_index.analysis import analyse
from storage.keyword_index.bm25 import Bm25Index
from storage.keyword_index.query import parse
from storage.records import KeywordClause, Position

FIRST = Position(1, "1")
words = st.sampled_from(["ash", "birch", "cedar", "elms", "the", "3.14", "東京", "Ödland"])
phrases = st.lists(words, max_size=6).map(" ".join)
keys = st.integers(1, 40)
contents = st.dictionaries(keys, st.tuples(phrases, phrases), max_size=25)
steps = st.lists(
    st.tuples(st.sets(keys), contents, st.sampled_from(["go on", "publish", "reopen"]))
)


def put(index, texts, removed=(), position=FIRST):
    index.apply(removed=ids(*removed), added=text_entries(texts), position=position)


def found(index, query, limit, allowed=None):
    return [(hit.chunk_id, hit.score) for hit in index.search(query, limit=limit, allowed=allowed)]


def after_all(folder, history):
    """The index and what it should hold once all of `history` has happened to it."""
    index, held = Bm25Index(folder / "i", publish_after=0), {}
    stood = {index.applied: held}
    for number, (removed, added, then) in enumerate(history, start=1):
        position = Position(number, str(number))
        put(index, added, removed, position)
        held = {key: what for key, what in held.items() if key not in removed} | added
        stood[position] = held
        if then != "go on":
            index.publish()
        if then == "reopen":
            index = Bm25Index(folder / "i", publish_after=0)
            held = stood[index.applied]
    return index, held


@given(steps, phrases, st.integers(1, 30), st.none() | st.sets(keys))
def test_results_are_those_of_a_fresh_index_with_the_same_contents(history, query, limit, allowed):
    only = None if allowed is None else ids(*allowed)
    with tempfile.TemporaryDirectory() as folder:
        index, held = after_all(Path(folder), history)
        fresh = Bm25Index(Path(folder) / "fresh")
        put(fresh, held)
        hits = found(index, query, limit, only)
        assert index.keys().tolist() == sorted(held)
        assert hits == found(fresh, query, limit, only)
    whole = [hit for hit in reference_bm25(held, query) if only is None or hit[0] in only]
    assert hits == whole[:limit]


rich = st.builds(
    Passage,
    phrases,
    title=phrases,
    headings=st.lists(phrases, max_size=2).map(tuple),
    language=st.sampled_from(["de", "en", "fr", None]),
)
clauses = st.builds(
    KeywordClause,
    text=phrases,
    kind=st.sampled_from(["word", "phrase", "prefix"]),
    occurrence=st.sampled_from(["should", "must", "must_not"]),
    weight=st.sampled_from([0.25, 1.0, 3.0]),
)


@given(
    st.dictionaries(keys, rich, max_size=25),
    st.dictionaries(keys, rich, max_size=15),
    st.sets(keys),
    st.lists(clauses, max_size=5),
    st.integers(1, 30),
)
def test_any_clauses_find_the_same_in_any_language_whatever_the_history(
    first, second, removed, query, limit
):
    held = {key: what for key, what in first.items() if key not in removed} | second
    with tempfile.TemporaryDirectory() as folder:
        index, fresh = Bm25Index(Path(folder) / "i"), Bm25Index(Path(folder) / "fresh")
        put(index, first)
        put(index, second, removed)
        put(fresh, held)
        hits = found(index, query, limit)
        assert hits == found(fresh, query, limit)
        assert hits == found(fresh, query, 100)[:limit]
        explained = index.explain(query, ids(*held))
        assert explained == fresh.explain(query, ids(*held))
    sums = {key: sum(match.score for match in matches) for key, matches in explained.items()}
    assert hits == [(key, round(sums[key], 6)) for key, _ in hits]


letters = st.lists(st.sampled_from("xyz"), max_size=9)


@given(st.lists(letters, max_size=8), st.lists(st.sampled_from("xyz"), min_size=2, max_size=4))
def test_a_phrase_is_found_exactly_where_it_stands(texts, wanted):
    having = [
        key for key, text in enumerate(texts) if f" {' '.join(wanted)} " in f" {' '.join(text)} "
    ]
    with tempfile.TemporaryDirectory() as folder:
        index = Bm25Index(Path(folder) / "i")
        put(index, {key: ("", " ".join(text)) for key, text in enumerate(texts)})
        hits = found(index, parse(f'"{" ".join(wanted)}"'), 10)
    assert sorted(key for key, _ in hits) == having


@given(st.text(st.characters()), st.text(st.characters()))
@example('"', 'a "b')
@example("+", "+-*")
def test_any_text_can_be_asked_with_operators(text, query):
    with tempfile.TemporaryDirectory() as folder:
        index = Bm25Index(Path(folder) / "i")
        put(index, {1: ("", text), 2: (query, "other")})
        hits = found(index, parse(query), 5)
        assert [key for key, _ in hits] in ([], [1], [2], [1, 2], [2, 1])


@given(st.text(st.characters()), st.text(st.characters()))
@example("\ud800", "a\ud800b")
@example("'" * 300, "1" * 300)
def test_any_text_can_be_held_and_any_text_can_be_asked(text, query):
    with tempfile.TemporaryDirectory() as folder:
        index = Bm25Index(Path(folder) / "i")
        put(index, {1: ("", text), 2: (query, "other")})
        index.publish()
        again = Bm25Index(Path(folder) / "i")
        expected = reference_bm25({1: ("", text), 2: (query, "other")}, query)
        assert found(again, query, 5) == found(index, query, 5) == expected


@given(st.text(st.characters()))
def test_case_never_decides_whether_a_text_is_found(text):
    assert analyse(text.upper()) == analyse(text.upper().lower())
