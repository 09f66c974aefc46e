"""What every `VectorIndex` does; and what the one that keeps a file does with its file."""

import logging
import sys
import threading
from functools import partial

import numpy as np
import pytest
from support.entries import ids, vector_entries

from storage.errors import NotFoundError, SpaceMismatchError
from storage.records import BEGINNING, Position
from storage.vector_index.exact import ExactVectorIndex
from storage.vector_index.faiss_index import FaissIndex

DIMENSION = 16
NOTHING = ids()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "vectors.index"


@pytest.fixture(params=[ExactVectorIndex, FaissIndex])
def make(request, path):
    if request.param is ExactVectorIndex:
        return partial(ExactVectorIndex, dimension=DIMENSION)
    return partial(FaissIndex, path, dimension=DIMENSION)


def random_vectors(count, seed=0, first=1):
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return dict(enumerate(rows, start=first))


def axis(number):
    return np.eye(DIMENSION, dtype=np.float32)[number]


def put(index, vectors, *, removed=NOTHING, generation=1):
    position = Position(generation, f"token {generation}")
    index.apply(removed=removed, added=vector_entries(vectors, DIMENSION), position=position)


def found(index, query, limit=10, allowed=None):
    return [(hit.chunk_id, hit.score) for hit in index.search(query, limit=limit, allowed=allowed)]


def brute_force(vectors, query):
    scores = {
        key: round(float(np.dot(vector.astype(np.float64), query.astype(np.float64))), 6)
        for key, vector in vectors.items()
    }
    return sorted(scores.items(), key=lambda hit: (-hit[1], hit[0]))


def test_an_empty_index_stands_at_the_beginning_and_finds_nothing(make):
    index = make()
    assert index.applied == BEGINNING
    assert index.keys().tolist() == []
    assert found(index, axis(0)) == []
    assert found(index, axis(0), allowed=ids(1)) == []


def test_the_nearest_comes_first_with_its_inner_product(make):
    index = make()
    put(index, {1: axis(0), 2: (axis(0) + axis(1)) / np.float32(2**0.5), 3: -axis(0)})
    assert found(index, axis(0)) == [(1, 1.0), (2, 0.707107), (3, -1.0)]
    assert found(index, axis(0), limit=1) == [(1, 1.0)]
    assert found(index, axis(0), limit=0) == []


@pytest.mark.parametrize("count", [50, 3000])
@pytest.mark.parametrize("limit", [1, 10, 100, 5000])
def test_the_ranking_is_that_of_comparing_with_everything(make, count, limit):
    index, vectors = make(), random_vectors(count)
    put(index, vectors)
    query = random_vectors(1, seed=9)[1]
    assert found(index, query, limit) == brute_force(vectors, query)[:limit]


def test_of_many_equal_vectors_the_lowest_keys_are_found(make):
    index, vectors = make(), random_vectors(1000)
    twins = dict.fromkeys(range(5000, 2000, -1), axis(3))
    put(index, {**vectors, **twins})
    assert found(index, axis(3)) == [(key, 1.0) for key in range(2001, 2011)]


def test_scores_closer_than_float32_can_tell_are_ranked_by_what_they_are(make):
    index, vectors = make(), {}
    for key in range(1, 2001):
        vector = axis(0).copy()
        vector[1] = np.float32((key % 700) * 1e-7)
        vectors[key] = vector
    put(index, vectors)
    query = ((axis(0) + axis(1)) / np.float32(2**0.5)).astype(np.float32)
    assert found(index, query, 50) == brute_force(vectors, query)[:50]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.5, 1.0])
def test_a_narrowed_search_loses_no_result(make, share):
    index, vectors = make(), random_vectors(3000)
    put(index, vectors)
    chosen = ids(*(key for key in vectors if np.random.default_rng(key).random() < share))
    query = random_vectors(1, seed=5)[1]
    whole = [hit for hit in brute_force(vectors, query) if hit[0] in set(chosen.tolist())]
    assert found(index, query, 20, chosen) == whole[:20]


def test_keys_that_are_allowed_but_not_held_are_never_found(make):
    index = make()
    put(index, {2: axis(0)})
    assert found(index, axis(0), allowed=ids(1, 3, 99)) == []
    assert found(index, axis(0), allowed=ids(1, 2, 99)) == [(2, 1.0)]


def test_what_was_removed_is_gone_and_unknown_keys_are_ignored(make):
    index = make()
    put(index, random_vectors(100))
    put(index, {}, removed=ids(5, 6, 7, 4711), generation=2)
    assert index.keys().tolist() == [key for key in range(1, 101) if key not in (5, 6, 7)]
    assert not {5, 6, 7} & {key for key, _ in found(index, random_vectors(7)[7], 100)}


def test_a_key_that_comes_again_replaces_what_it_had(make):
    index = make()
    put(index, {1: axis(0), 2: axis(1)})
    put(index, {1: axis(2)}, generation=2)
    assert found(index, axis(2), 1) == [(1, 1.0)]
    assert found(index, axis(0)) == [(1, 0.0), (2, 0.0)]
    put(index, {2: axis(3)}, removed=ids(1, 2), generation=3)
    assert index.keys().tolist() == [2]


def test_reset_forgets_everything(make):
    index = make()
    put(index, random_vectors(10))
    index.publish()
    index.reset()
    assert (index.applied, index.keys().tolist()) == (BEGINNING, [])
    assert found(index, axis(0)) == []


@pytest.mark.parametrize(
    "query", [np.ones(3), np.ones((1, DIMENSION)), np.full(DIMENSION, np.nan)], ids=str
)
def test_a_query_that_does_not_fit_is_refused(make, query):
    with pytest.raises(SpaceMismatchError, match="embed it with the model"):
        make().search(query.astype(np.float32), limit=1)


def test_vectors_of_another_dimension_are_refused_and_change_nothing(make):
    index = make()
    with pytest.raises(SpaceMismatchError, match="dimension 16"):
        index.apply(
            removed=NOTHING,
            added=vector_entries({1: np.ones(3)}, 3),
            position=Position(1, "a"),
        )
    assert index.applied == BEGINNING


@pytest.fixture
def eager_threads():
    """Threads take turns a hundred times as often as they would, so that races show."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(usual)


def test_searches_in_threads_see_one_state_or_the_next_and_never_go_back(make, eager_threads):
    query, states, index = random_vectors(1, seed=99)[1], [[]], make()
    steps = [
        # The lowest key of those that equal the query comes first: no two states are alike.
        ({**random_vectors(40, seed, 1 + 30 * seed), 9000 - seed: query}, ids(*range(9 * seed)))
        for seed in range(30)
    ]
    for number, (added, removed) in enumerate(steps):
        put(index, added, removed=removed, generation=number + 1)
        states.append(found(index, query))
    index.reset()
    done, observed, start = threading.Event(), [[], [], [], []], threading.Barrier(5)

    def watch(seen):
        start.wait()
        is_last = False
        while not is_last:
            is_last = done.is_set()
            before, result = index.applied, found(index, query)
            seen.append((before.generation, result, index.applied.generation))

    watchers = [threading.Thread(target=watch, args=(seen,)) for seen in observed]
    for watcher in watchers:
        watcher.start()
    start.wait()
    for number, (added, removed) in enumerate(steps):
        put(index, added, removed=removed, generation=number + 1)
        index.publish()
    done.set()
    for watcher in watchers:
        watcher.join()
    for seen in observed:
        order = [states.index(result) for _, result, _ in seen]
        assert order == sorted(order)
        assert order[-1] == 30
        for (before, _, after), state in zip(seen, order, strict=True):
            assert before <= state <= after


# From here on: the adapter that keeps a file.


def open_faiss(path, **options):
    return FaissIndex(path, dimension=DIMENSION, **options)


def test_a_state_that_a_search_has_taken_is_never_changed(path):
    put(index := open_faiss(path), random_vectors(100))
    put(index, {}, removed=ids(50), generation=2)
    taken = index._store.state
    put(index, {}, removed=ids(*range(1, 9)), generation=3)
    assert taken.keys().tolist() == [*range(1, 50), *range(51, 101)]
    assert taken.position == Position(2, "token 2")


def test_a_row_that_float32_misjudges_is_found_all_the_same(path):
    rng = np.random.default_rng(0)
    query = np.array([1, *np.repeat(rng.uniform(1, 2, 5), 3)], np.float32)
    vectors = {key: axis(0) * np.float32(key / 1000) for key in range(1, 1001)}
    for key in range(2001, 2021):
        # What cancels here is so large that float32 is off by more than what remains.
        whole, half = rng.integers(2**23, 2**24, 5), rng.integers(2**21, 2**22, 5)
        cancelling = np.stack([whole, -half, half - whole], axis=1)
        vectors[key] = np.array([key / 1000, *cancelling.reshape(-1)], np.float32)
    put(index := open_faiss(path), vectors)
    assert found(index, query, 20) == brute_force(vectors, query)[:20]
    assert {key for key, _ in found(index, query, 20)} == set(range(2001, 2021))


def test_a_published_index_is_the_same_when_it_is_opened_again(path):
    index, query = open_faiss(path), random_vectors(1, seed=3)[1]
    put(index, random_vectors(700))
    put(index, random_vectors(50, seed=8, first=660), removed=ids(1, 2, 3), generation=2)
    before = found(index, query, 1000)
    index.publish()
    again = open_faiss(path)
    assert again.applied == index.applied == Position(2, "token 2")
    assert found(again, query, 1000) == found(index, query, 1000) == before
    np.testing.assert_array_equal(again.keys(), index.keys())


def test_an_index_that_was_opened_takes_changes(path):
    put(first := open_faiss(path), random_vectors(20))
    first.publish()
    put(index := open_faiss(path), {7: axis(0)}, removed=ids(1), generation=2)
    assert found(index, axis(0), 1) == [(7, 1.0)]
    assert index.keys().tolist() == list(range(2, 21))


def test_vectors_are_read_back_as_they_were_given(path):
    index, vectors = open_faiss(path), random_vectors(300)
    put(index, {key: vector for key, vector in vectors.items() if key % 2})
    put(index, {key: vector for key, vector in vectors.items() if not key % 2}, generation=2)
    wanted = ids(2, 3, 299, 300)
    np.testing.assert_array_equal(index.vectors(wanted), [vectors[key] for key in wanted])
    put(index, {}, removed=ids(3), generation=3)
    with pytest.raises(NotFoundError, match="no chunk 3"):
        index.vectors(wanted)


def test_the_document_of_each_chunk_is_told_whatever_was_merged(make):
    index = make()
    for generation, first in enumerate(range(1, 60, 7), start=1):
        put(
            index,
            {key: axis(key % 8) for key in range(first, first + 7)},
            removed=ids(first),
            generation=generation,
        )
    held = index.keys()
    shuffled = np.random.default_rng(3).permutation(held)
    np.testing.assert_array_equal(index.documents(shuffled), shuffled // 2)
    with pytest.raises(NotFoundError, match="no chunk 999"):
        index.documents(ids(2, 999))


def test_documents_survive_a_restart(path):
    put(first := open_faiss(path), random_vectors(20))
    first.publish()
    wanted = ids(1, 2, 19)
    np.testing.assert_array_equal(open_faiss(path).documents(wanted), [0, 1, 9])


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "text"])
def test_a_damaged_file_counts_as_empty_and_is_reported(path, caplog, harm):
    put(index := open_faiss(path), random_vectors(20))
    index.publish()
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "flip": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "cut": whole[:-1],
            "empty": b"",
            "text": b"not an index at all",
        }[harm]
    )
    again = open_faiss(path)
    assert (again.applied, again.keys().tolist()) == (BEGINNING, [])
    assert str(path) in caplog.text
    put(again, random_vectors(20))
    again.publish()
    assert open_faiss(path).keys().size == 20


def test_a_file_of_another_dimension_is_not_used(path, caplog):
    put(index := open_faiss(path), random_vectors(20))
    index.publish()
    other = FaissIndex(path, dimension=DIMENSION + 1)
    assert other.applied == BEGINNING
    assert "other settings" in caplog.text


def test_a_missing_file_is_nothing_to_report(path, caplog):
    open_faiss(path)
    assert caplog.records == []


def test_a_folder_that_can_not_be_written_is_reported_and_done_without(tmp_path, caplog):
    (tmp_path / "file").write_text("where a folder should be")
    index = open_faiss(tmp_path / "file" / "vectors.index")
    put(index, random_vectors(20))
    index.publish()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "vectors.index" in caplog.text
    assert len(found(index, axis(0))) == 10
    put(index, {}, removed=ids(1), generation=2)
    index.publish()
    assert len(caplog.records) == 1


def test_small_changes_wait_until_they_are_worth_a_new_file(path):
    index = open_faiss(path, publish_after=10)
    put(index, random_vectors(100))
    index.publish()
    for generation in range(2, 13):
        put(index, {1000 + generation: axis(0)}, generation=generation)
        index.publish()
        held = open_faiss(path).applied.generation
        assert held == (1 if generation < 12 else 12)


def test_many_small_changes_leave_few_segments(path):
    index = open_faiss(path)
    put(index, random_vectors(500))
    for number in range(200):
        put(index, {1000 + number: axis(0)}, removed=ids(number), generation=2 + number)
    sizes = [part.alive for part in index._store.state.parts]
    dead = [part.dead / part.live.size for part in index._store.state.parts]
    assert sum(sizes) == 501
    assert len(sizes) <= 9
    assert max(dead) <= 0.2
