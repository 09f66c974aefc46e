"""What an index finds depends on what it holds, never on how that came about."""

import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.entries import ids, vector_entries

from storage.records import Position
from storage.vector_index import flat
from storage.vector_index.exact import ExactVectorIndex
from storage.vector_index.faiss_index import FaissIndex

DIMENSION = 3
FIRST = Position(1, "1")
# Few directions, so that equal scores are common, and some that float32 can hardly tell apart.
POOL = np.array(
    [
        [1, 0, 0],
        [0, 1, 0],
        [-1, 0, 0],
        [0.6, 0.8, 0],
        [0.6, 0.8, 1e-7],
        [0.6, 0.8, 6e-7],
        [0.6, 0.8, 2e-6],
        [0, 0, 0],
    ],
    np.float32,
)
keys = st.integers(1, 40)
contents = st.dictionaries(keys, st.integers(0, len(POOL) - 1), max_size=25)
steps = st.lists(
    st.tuples(st.sets(keys), contents, st.sampled_from(["go on", "publish", "reopen"]))
)
queries = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.3, 1.0]), min_size=3, max_size=3)


@pytest.fixture(params=[64, 0], ids=["as shipped", "faiss always"], scope="module")
def thresholds(request):
    """Few rows are scored without FAISS; here it must also do them."""
    with patch.object(flat, "_FEW_ROWS", request.param):
        yield


def put(index, numbered, removed=(), position=FIRST):
    added = vector_entries({key: POOL[number] for key, number in numbered.items()}, DIMENSION)
    index.apply(removed=ids(*removed), added=added, position=position)


def after_all(folder, history):
    """The index and what it should hold once all of `history` has happened to it."""
    index, held = FaissIndex(folder / "i", dimension=DIMENSION, publish_after=0), {}
    stood = {index.applied: held}
    for number, (removed, added, then) in enumerate(history, start=1):
        position = Position(number, str(number))
        put(index, added, removed, position)
        held = {key: what for key, what in held.items() if key not in removed} | added
        stood[position] = held
        if then != "go on":
            index.publish()
        if then == "reopen":
            index = FaissIndex(folder / "i", dimension=DIMENSION, publish_after=0)
            held = stood[index.applied]
    return index, held


@given(steps, queries, st.integers(1, 30), st.none() | st.sets(keys))
def test_results_are_those_of_a_fresh_index_with_the_same_contents(
    thresholds, history, query, limit, allowed
):
    vector, only = np.array(query, np.float32), None if allowed is None else ids(*allowed)
    exact = ExactVectorIndex(dimension=DIMENSION)
    with tempfile.TemporaryDirectory() as folder:
        index, held = after_all(Path(folder), history)
        fresh = FaissIndex(Path(folder) / "fresh", dimension=DIMENSION)
        put(fresh, held)
        put(exact, held)
        hits = index.search(vector, limit=limit, allowed=only)
        assert index.keys().tolist() == sorted(held)
        np.testing.assert_array_equal(
            index.vectors(ids(*held)), [POOL[held[key]] for key in sorted(held)] or np.empty((0, 3))
        )
    assert hits == fresh.search(vector, limit=limit, allowed=only)
    assert hits == exact.search(vector, limit=limit, allowed=only)
    whole = [hit for hit in exact.search(vector, limit=99) if only is None or hit.chunk_id in only]
    assert hits == whole[:limit]
