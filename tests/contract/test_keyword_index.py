"""What every `KeywordIndex` does, and what BM25 adds: exact statistics and a file."""

import sys
import threading
import time
from functools import partial

import pytest
from support.entries import ids, reference_bm25, text_entries

from storage.keyword_index import bm25
from storage.keyword_index.analysis import analyse
from storage.keyword_index.bm25 import MOST_TERMS, Bm25Index
from storage.records import BEGINNING, Position

NOTHING = ids()
TREES = {
    1: ("", "The ash grows beside the river."),
    2: ("", "Birch and ash, ash and birch."),
    3: ("Cedars", "They grow in the mountains of Lebanon."),
    4: ("", "Nothing of the kind."),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keywords.index"


@pytest.fixture(params=[Bm25Index])
def make(request, path):
    return partial(request.param, path)


def put(index, texts, *, removed=NOTHING, generation=1):
    position = Position(generation, f"token {generation}")
    index.apply(removed=removed, added=text_entries(texts), position=position)


def found(index, query, limit=10, allowed=None):
    return [(hit.chunk_id, hit.score) for hit in index.search(query, limit=limit, allowed=allowed)]


def keys_of(hits):
    return [key for key, _ in hits]


def plain(texts):
    """Texts without a title, numbered from 1."""
    return {key: ("", text) for key, text in enumerate(texts, start=1)}


def test_an_empty_index_stands_at_the_beginning_and_finds_nothing(make):
    index = make()
    assert (index.applied, index.keys().tolist()) == (BEGINNING, [])
    assert found(index, "ash") == []


def test_only_chunks_that_share_a_word_are_found_best_first(make):
    put(index := make(), TREES)
    assert keys_of(found(index, "ash")) == [2, 1]
    assert keys_of(found(index, "growing ashes")) == [1, 2, 3]
    assert found(index, "oak") == found(index, "the of and") == found(index, "") == []
    assert found(index, "ash", limit=0) == []


def test_a_title_counts_and_counts_more_than_the_text(make):
    put(index := make(), {**TREES, 5: ("", "A cedar, they say, grows on the coast.")})
    assert keys_of(found(index, "cedar")) == [3, 5]


def test_a_word_that_is_repeated_in_the_query_counts_once(make):
    put(index := make(), TREES)
    assert found(index, "ash ash ash birch") == found(index, "birch ash")


def test_equal_scores_come_by_key_at_the_cut_as_well(make):
    put(index := make(), {key: ("", f"pine number{key % 7}") for key in range(900, 0, -1)})
    assert keys_of(found(index, "pine", 5)) == [1, 2, 3, 4, 5]


def test_the_ranking_is_that_of_the_formula(make):
    texts = {
        key: ("" if key % 3 else "fir tree", " ".join(f"w{key * step % 13}" for step in range(9)))
        for key in range(1, 400)
    }
    put(index := make(), texts)
    query = "w1 w5 fir w12 missing"
    assert found(index, query, 1000) == reference_bm25(texts, query)


def test_a_removed_chunk_counts_in_no_statistic(make):
    put(index := make(), {**TREES, 5: ("ash", "ash ash"), 6: ("", "birch " * 50)})
    put(index, {}, removed=ids(5, 6, 4711), generation=2)
    assert index.keys().tolist() == [1, 2, 3, 4]
    assert found(index, "ash birch cedar") == reference_bm25(TREES, "ash birch cedar")


def test_a_key_that_comes_again_replaces_what_it_had(make):
    put(index := make(), TREES)
    put(index, {2: ("", "oak")}, generation=2)
    assert keys_of(found(index, "oak")) == [2]
    assert keys_of(found(index, "ash")) == [1]


@pytest.mark.parametrize("allowed", [(), (1,), (2, 3), (1, 2, 3, 4), (77,)])
def test_a_narrowed_search_loses_no_result_and_scores_alike(make, allowed):
    put(index := make(), TREES)
    whole = found(index, "ash grows")
    narrowed = [hit for hit in whole if hit[0] in allowed]
    assert found(index, "ash grows", allowed=ids(*allowed)) == narrowed
    assert found(index, "ash grows", limit=1, allowed=ids(*allowed)) == narrowed[:1]


def test_reset_forgets_everything(make):
    put(index := make(), TREES)
    index.publish()
    index.reset()
    assert (index.applied, index.keys().tolist()) == (BEGINNING, [])
    assert found(index, "ash") == []


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("The children's running shoes", "child's shoe runs"),
        ("COVID-19 in 2020", "covid-19"),
        ("COVID-19 in 2020", "covid"),
        ("about 1,000 of them", "1000"),
        ("π is 3.14 or so", "3.14"),
        ("a café in Zürich", "cafe zurich"),
        ("a cafe in Zurich", "CAFÉ ZÜRICH"),
        ("die Straße", "STRASSE"),
        ("ﬁne ｆｕｌｌ ｗｉｄｔｈ", "fine width"),
        ("don’t panic", "don't"),
        ("O'Neil's theorem", "o’neil"),
        ("call read_file_at now", "read file"),
        ("東京都に行く", "東京"),
        ("我喜歡喝水", "水"),
        ("データベースの設計", "ﾃﾞｰﾀﾍﾞｰｽ"),
        ("한국어 검색", "한국"),
        ("हिन्दी में लिखा है", "हिन्दी"),
        ("ภาษาไทยเขียนติดกัน", "ไทย"),
        ("שָׁלוֹם עולם", "שלום"),
        ("Ёлка и ёжик", "елка"),
    ],
)
def test_a_word_is_found_however_it_is_written(make, text, query):
    put(index := make(), plain([text, "something else"]))
    assert keys_of(found(index, query)) == [1]


@pytest.mark.parametrize(
    ("text", "query"),
    [("3.14", "14"), ("1,000", "000"), ("हिन्दी", "हिन्दू"), ("data", "date"), ("covid-19", "19.5")],
)
def test_what_only_looks_alike_is_not_found(make, text, query):
    put(index := make(), plain([text]))
    assert found(index, query) == []


def test_numbers_keep_their_digits_together():
    assert analyse("1,234,567.89 10.1038/x 1,2,3 2.5mg 1999.") == [
        *["1234567.89", "10.1038", "x", "1", "2", "3", "2.5", "mg", "1999"]
    ]


@pytest.mark.parametrize(
    "unit",
    ["a", "wörter und ", "1,", "1.", "'a", "東京", "\u0301", "क्", "x1,000", "-_'", "a\u0301"],
)
def test_a_query_of_100_000_characters_is_answered_at_once(make, unit):
    put(index := make(), plain(["ash and 東京", "a 1 x", "wörter"]))
    query = (unit * 100_000)[:100_000] + " ash"
    start = time.process_time()
    found(index, query)
    assert time.process_time() - start < 2


def test_the_first_terms_of_an_endless_query_decide(make):
    put(index := make(), plain(["first", "last", "both first and last"]))
    filler = " ".join(f"filler{number}" for number in range(MOST_TERMS - 1))
    assert keys_of(found(index, f"first {filler} last")) == [1, 3]


def test_a_word_of_any_length_can_be_held(make):
    put(index := make(), plain(["x" * 100_000, "plain"]))
    assert keys_of(found(index, "x" * 64)) == [1]


@pytest.fixture
def eager_threads():
    """Threads take turns a hundred times as often as they would, so that races show."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(usual)


def test_searches_in_threads_see_one_state_or_the_next_and_never_go_back(make, eager_threads):
    steps = [
        ({100 * step + n: ("", f"ash {'elm ' * n}") for n in range(9)}, ids(*range(60 * step)))
        for step in range(1, 31)
    ]
    states, index = [[]], make()
    for generation, (added, removed) in enumerate(steps, start=1):
        put(index, added, removed=removed, generation=generation)
        states.append(found(index, "ash elm"))
    index.reset()
    done, observed, start = threading.Event(), [[], [], [], []], threading.Barrier(5)

    def watch(seen):
        start.wait()
        is_last = False
        while not is_last:
            is_last = done.is_set()
            before, result = index.applied, found(index, "ash elm")
            seen.append((before.generation, result, index.applied.generation))

    watchers = [threading.Thread(target=watch, args=(seen,)) for seen in observed]
    for watcher in watchers:
        watcher.start()
    start.wait()
    for generation, (added, removed) in enumerate(steps, start=1):
        put(index, added, removed=removed, generation=generation)
        index.publish()
    done.set()
    for watcher in watchers:
        watcher.join()
    assert len({str(state) for state in states}) == 31
    for seen in observed:
        order = [states.index(result) for _, result, _ in seen]
        assert order == sorted(order)
        assert order[-1] == 30
        for (before, _, after), state in zip(seen, order, strict=True):
            assert before <= state <= after


# From here on: the file.


def test_a_published_index_is_the_same_when_it_is_opened_again(path):
    put(index := Bm25Index(path), TREES)
    put(index, {9: ("Ashes", "to ashes")}, removed=ids(1), generation=2)
    before = found(index, "ash grows")
    index.publish()
    again = Bm25Index(path)
    assert again.applied == Position(2, "token 2")
    assert found(again, "ash grows") == found(index, "ash grows") == before
    put(again, TREES, removed=ids(9), generation=3)
    assert found(again, "ash grows") == reference_bm25(TREES, "ash grows")


def test_an_index_that_lost_everything_can_be_published_and_filled_again(path):
    put(index := Bm25Index(path, publish_after=0), TREES)
    put(index, {}, removed=ids(1, 2, 3, 4), generation=2)
    index.publish()
    again = Bm25Index(path)
    assert (again.applied, again.keys().tolist()) == (Position(2, "token 2"), [])
    put(again, TREES, generation=3)
    assert found(again, "ash") == reference_bm25(TREES, "ash")


def test_a_damaged_file_counts_as_empty_and_is_reported(path, caplog):
    put(index := Bm25Index(path), TREES)
    index.publish()
    whole = bytearray(path.read_bytes())
    whole[-100] ^= 1
    path.write_bytes(whole)
    assert Bm25Index(path).applied == BEGINNING
    assert "damaged" in caplog.text


def test_a_file_of_another_analysis_is_not_used(path, caplog, monkeypatch):
    put(index := Bm25Index(path), TREES)
    index.publish()
    monkeypatch.setattr(bm25, "ANALYSIS", "another stemmer")
    assert Bm25Index(path).applied == BEGINNING
    assert "other settings" in caplog.text


def test_a_file_of_vectors_is_no_keyword_index(path, caplog):
    put(index := Bm25Index(path), TREES)
    index.publish()
    path.write_bytes(path.read_bytes().replace(b"keywords/bm25", b"vectors/flat!"))
    assert Bm25Index(path).applied == BEGINNING
    assert str(path) in caplog.text
