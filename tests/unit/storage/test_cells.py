"""Large segments: only some rows are weighed, and what is found has its exact score."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import faiss
import numpy as np
import pytest
from support.entries import ids, vector_entries

from storage.errors import SealError
from storage.records import BEGINNING, Position
from storage.vector_index import cells
from storage.vector_index.exact import ExactVectorIndex
from storage.vector_index.faiss_index import FaissIndex

DIMENSION, ROWS = 24, 6000
TOPICS = np.random.default_rng(99).normal(size=(300, DIMENSION)) + 0.7


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def clustered(count, seed=0):
    """Around `TOPICS`, which are nearer to each other than chance would have it."""
    rng = np.random.default_rng(seed)
    topics = TOPICS[rng.integers(0, len(TOPICS), count)]
    return unit(topics + 0.6 * rng.normal(size=(count, DIMENSION)))


def numbered(rows, first=1):
    return dict(enumerate(rows, start=first))


def put(index, vectors, *, removed=(), generation=1):
    dimension = next(iter(vectors.values())).size if vectors else DIMENSION
    index.apply(
        removed=ids(*removed),
        added=vector_entries(vectors, dimension),
        position=Position(generation, f"{generation}"),
    )


def opened(folder, **options):
    return FaissIndex(folder / "1.vectors", dimension=DIMENSION, **{"large": 1000, **options})


@pytest.fixture(scope="module")
def vectors():
    return numbered(clustered(ROWS))


@pytest.fixture(scope="module")
def queries():
    return list(clustered(40, seed=5))


@pytest.fixture(scope="module")
def exact(vectors):
    put(index := ExactVectorIndex(dimension=DIMENSION), vectors)
    return index


@pytest.fixture(scope="module")
def published(vectors, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    put(index := opened(folder), vectors)
    index.publish()
    return folder


@pytest.fixture
def index(published):
    opened_index = opened(published)
    assert cells_of(opened_index)
    return opened_index


@pytest.fixture
def always_in_cells(monkeypatch):
    """Six thousand rows are so few that all would be weighed."""
    monkeypatch.setattr(cells, "_FEW_ROWS", 0)


def cells_of(index):
    return [part.segment.cells for part in index._store.state.parts if part.segment.cells]


def recall(index, exact, queries, allowed=None, limit=10):
    """The share of what comparing with everything finds; every score must be the exact one."""
    share = []
    for query in queries:
        right = exact.search(query, limit=limit, allowed=allowed)
        truth = {hit.chunk_id: hit.score for hit in exact.search(query, limit=ROWS)}
        hits = index.search(query, limit=limit, allowed=allowed)
        assert len({hit.chunk_id for hit in hits}) == len(hits) == len(right)
        assert [hit.score for hit in hits] == [truth[hit.chunk_id] for hit in hits]
        assert hits == sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))
        share.append(len({*hits} & {*right}) / len(right) if right else 1.0)
    return np.mean(share)


def test_nearly_all_of_the_best_are_found_with_exact_scores_and_without_weighing_every_row(
    always_in_cells, index, exact, queries
):
    (found,) = cells_of(index)
    weighed = [found.near(query, 10, None).size for query in queries]
    assert max(weighed) <= found.candidates < ROWS / 8
    assert found.recall >= 0.99
    assert recall(index, exact, queries) >= 0.98
    assert recall(index, exact, queries, limit=100) >= 0.95


@pytest.mark.parametrize("limit", [1, 1000, ROWS - 1, ROWS, 10 * ROWS])
def test_any_number_of_results_can_be_asked_for(always_in_cells, index, exact, queries, limit):
    assert recall(index, exact, queries[:3], limit=limit) >= 0.95


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1, 0.02, 0.0])
def test_a_narrowed_search_finds_as_much(always_in_cells, index, exact, queries, share):
    allowed = ids(*np.flatnonzero(np.random.default_rng(4).random(ROWS) < share) + 1)
    assert recall(index, exact, queries, allowed) >= 0.98


@pytest.mark.parametrize("share", [0.4, 0.1, 0.03])
def test_a_search_narrowed_to_other_topics_than_the_query_finds_as_much(
    always_in_cells, index, exact, vectors, queries, share
):
    """Nothing that is allowed lies where the query looks first."""
    topics = (np.array([*vectors.values()]) @ unit(TOPICS).T).argmax(axis=1)
    found = []
    for query in queries[:15]:
        others = np.argsort(unit(TOPICS) @ query)[: int(share * len(TOPICS))]
        allowed = ids(*np.flatnonzero(np.isin(topics, others)) + 1)
        found.append(recall(index, exact, [query], allowed))
    assert np.mean(found) >= 0.95


def test_few_that_are_allowed_are_all_weighed(index, exact, queries):
    allowed = ids(*range(1, ROWS, 3))
    for query in queries:
        right = exact.search(query, limit=50, allowed=allowed)
        assert index.search(query, limit=50, allowed=allowed) == right


def test_what_was_removed_is_never_found_and_hides_nothing(
    always_in_cells, index, vectors, queries
):
    (query,) = queries[:1]
    rows = np.array([*vectors.values()])
    nearest = np.argsort(-(rows @ query))[:1100] + 1
    fork = index.fork()
    put(fork, {}, removed=nearest.tolist(), generation=2)
    assert cells_of(fork) == cells_of(index)
    put(
        left := ExactVectorIndex(dimension=DIMENSION),
        {key: vector for key, vector in vectors.items() if key not in {*nearest.tolist()}},
    )
    assert recall(fork, left, [query]) >= 0.8
    assert recall(fork, left, queries) >= 0.98


def test_an_index_that_was_opened_again_gives_the_same_lists(
    always_in_cells, published, tmp_path, vectors, queries
):
    put(fresh := opened(tmp_path), vectors)
    for query in queries:
        hits = fresh.search(query, limit=30)
        assert opened(published).search(query, limit=30) == hits


def test_threads_that_search_at_once_get_what_one_alone_gets(always_in_cells, index, queries):
    alone = [index.search(query, limit=20) for query in queries]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            together = list(threads.map(lambda query: index.search(query, limit=20), queries))
            assert together == alone


def test_small_segments_beside_a_large_one_are_weighed_whole(
    always_in_cells, index, vectors, queries
):
    (query,) = queries[:1]
    fork = index.fork()
    put(fork, {9001: query, 9002: -query}, removed=[1], generation=2)
    assert [part.segment.cells is None for part in fork._store.state.parts] == [True, False]
    assert fork.search(query, limit=1)[0].chunk_id == 9001
    assert fork.keys().tolist() == [*range(2, ROWS + 1), 9001, 9002]


def test_where_cells_would_miss_too_much_every_row_is_weighed(
    tmp_path, monkeypatch, vectors, exact, queries
):
    monkeypatch.setattr(cells, "_RECALL", 1.1)
    put(index := opened(tmp_path), vectors)
    assert cells_of(index) == []
    for query in queries:
        assert index.search(query, limit=50) == exact.search(query, limit=50)


@pytest.mark.parametrize("dimension", [1, 2, 3, 5, 7, 8, 33])
def test_any_dimension_can_be_held(always_in_cells, tmp_path, dimension):
    rows = np.random.default_rng(dimension).normal(size=(300, dimension)).astype(np.float32)
    index = FaissIndex(tmp_path / "v", dimension=dimension, large=100)
    exact = ExactVectorIndex(dimension=dimension)
    put(index, numbered(rows))
    put(exact, numbered(rows))
    assert index.search(rows[0], limit=3) == exact.search(rows[0], limit=3)
    index.publish()
    again = FaissIndex(tmp_path / "v", dimension=dimension, large=100)
    assert again.search(rows[0], limit=3) == index.search(rows[0], limit=3)


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((200, DIMENSION)),
        np.ones((200, DIMENSION)),
        np.eye(DIMENSION)[np.arange(200) % 3],
        1e15 * clustered(200),
        1e-15 * clustered(200),
        clustered(200) * np.logspace(-5, 5, 200)[:, np.newaxis],
    ],
    ids=["zero", "equal", "three directions", "huge", "tiny", "of all lengths"],
)
def test_strange_vectors_are_ranked_as_by_comparing_with_everything(
    always_in_cells, tmp_path, rows
):
    rows = rows.astype(np.float32)
    put(index := opened(tmp_path, large=100), numbered(rows))
    put(exact := ExactVectorIndex(dimension=DIMENSION), numbered(rows))
    for query in (rows[0], rows[7], clustered(1, seed=3)[0]):
        assert index.search(query, limit=5) == exact.search(query, limit=5)


def test_arrays_that_fit_no_cells_are_refused(index):
    arrays = dict(cells_of(index)[0].arrays())
    flat = faiss.serialize_index(faiss.IndexFlatIP(DIMENSION))
    for name, wrong, said in [
        ("faiss", np.zeros(100, np.uint8), "can't read"),
        ("faiss", flat, "another kind"),
        ("cells", arrays["cells"][1:], "more codes or fewer"),
    ]:
        with pytest.raises(SealError, match=said):
            cells.from_arrays({**arrays, name: wrong}, dimension=DIMENSION)
    with pytest.raises(SealError, match="another kind"):
        cells.from_arrays(arrays, dimension=DIMENSION + 1)


def test_damage_to_a_large_segment_is_noticed(published, tmp_path, vectors, caplog):
    for file in published.glob("1.vectors*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    segment = max(tmp_path.iterdir(), key=lambda file: file.stat().st_size)
    content = bytearray(segment.read_bytes())
    content[-1000] ^= 4
    segment.write_bytes(content)
    assert opened(tmp_path).applied == BEGINNING
    assert segment.name in caplog.text


def test_the_effort_is_what_the_vectors_need(vectors):
    (rows,) = [np.array([*vectors.values()])]
    found = cells.build(rows)
    assert found is not None
    assert found.count == 64
    less = replace(found, probes=1)
    queries = cells._sampled_queries(rows)
    best, _ = faiss.knn(queries, rows, 10, faiss.METRIC_INNER_PRODUCT)
    ranked = cells._ranked(less.index, queries, less.candidates, less.probes)
    assert cells._recall(rows, queries, ranked, best) < found.recall
