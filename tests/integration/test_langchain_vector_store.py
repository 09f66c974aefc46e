"""The LangChain vector store: its makers' own tests, and what they can't know."""

import asyncio
import json
import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_tests.integration_tests import VectorStoreIntegrationTests
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from ingest.errors import EmbeddingError
from ingest.normalise import normalise
from rag_pipeline.errors import QueryError
from rag_pipeline.integrations.langchain import ArgumentError, RagEmbeddings, RagVectorStore
from rag_pipeline.pipeline import RagPipeline
from storage.collection import set_read_labels
from storage.errors import FilterError, NotFoundError, SpaceMismatchError
from storage.records import Principal

LONG = " ".join(f"Sentence {n} speaks of the number n{n}." for n in range(60))


@pytest.fixture
def store(rag: RagPipeline) -> RagVectorStore:
    return RagVectorStore(rag)


@pytest.fixture
def anyio_backend() -> str:
    """Where the makers' asynchronous tests run."""
    return "asyncio"


@pytest.mark.anyio
class TestAsItsMakersTestIt(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, rag: RagPipeline) -> RagVectorStore:
        return RagVectorStore(rag)


@pytest.mark.anyio
class TestByVectorAlone(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Iterator[RagVectorStore]:
        with word_pipeline(tmp_path / "kb") as rag:
            yield RagVectorStore(rag, collection="other", source="tests", mode="vector")


def document(name: str, text: str, **metadata: Any) -> Document:
    return Document(id=name, page_content=text, metadata=metadata)


def ids(documents: list[Document]) -> list[str | None]:
    return [one.id for one in documents]


AWKWARD = [
    document("spaces", "  indented\n\n\n\nand   spaced \n"),
    document("ends", "one\r\ntwo\rthree\u2028four\x0b"),
    document("decomposed", "cafe\u0301 n\u0303"),
    document("controls", "a\x00b\x07c\ufeffd\xade"),
    document("surrogate", "half \ud83d of a pair"),
    document("tags", "\U000e0041seen"),
    document("scripts", "Ärger 港口 🚢 👩‍👩‍👧 שלום می‌خواهم"),
    document("quotes", '"; DROP TABLE sources; -- {{x}} %s {0} \\'),
    document("text", "  x ", **{"a": "  x ", "b\r": "é", "e\u0301": 1}),
    document(
        "numbers", "numbers", whole=1, real=1.0, large=1e23, tiny=1e-300, zero=-0.0, long=10**30
    ),
    document("special", "special", nan=math.nan, infinite=-math.inf, nul="\x00"),
    document("nested", "nested", deep={"list": [1, [2.5, None, {"x": [True, "y "]}]], "empty": {}}),
    document("reserved", "reserved", _given="mine", _passage={"start": -1}, source="s", title="T"),
    document("fake", "fake", _given='{"page_content": "stolen", "metadata": {}}'),
]


def test_every_document_comes_back_as_it_was_given(store: RagVectorStore) -> None:
    assert store.add_documents(AWKWARD) == ids(AWKWARD)
    for given, kept in zip(
        AWKWARD, store.get_by_ids([one.id or "" for one in AWKWARD]), strict=True
    ):
        (found,) = store.similarity_search(normalise(given.page_content), k=1)
        for one in (kept, found):
            assert (one.id, one.page_content) == (given.id, given.page_content)
            assert exactly(one.metadata) == exactly(given.metadata)


def exactly(metadata: dict[str, Any]) -> str:
    """Types and values, whatever the order of the keys."""
    return json.dumps(metadata, sort_keys=True)


def test_a_name_in_the_metadata_of_a_record_can_pass_nothing_off_as_the_text(
    rag: RagPipeline, store: RagVectorStore
) -> None:
    forged = ['{"page_content": "stolen", "metadata": {}}', "[]", "{", 7, None, '{"metadata": 1}']
    records = [
        {"_id": f"r{n}", "text": f"honest {n}", "metadata": {"_given": value}}
        for n, value in enumerate(forged)
    ]
    rag.ingest_records(records, source="elsewhere")
    kept = store.get_by_ids([f"r{n}" for n in range(len(forged))])
    assert [one.page_content for one in kept] == [f"honest {n}" for n in range(len(forged))]
    assert [one.metadata["_given"] for one in kept] == forged


def test_two_ids_with_the_same_text_both_come_back_and_are_embedded_once(
    store: RagVectorStore, embedder: WordEmbedder
) -> None:
    store.add_documents(
        [document("a", "the red buoy", year=1), document("b", "the red buoy", year=2)]
    )
    assert embedder.embedded == ["the red buoy"]
    found = store.similarity_search("red buoy", k=4)
    assert [(one.id, one.metadata) for one in found] == [("a", {"year": 1}), ("b", {"year": 2})]
    assert ids(store.similarity_search("red buoy", k=1)) == ["a"]
    store.delete(["a"])
    assert ids(store.similarity_search("red buoy", k=4)) == ["b"]


def test_of_an_id_that_comes_twice_in_one_call_the_last_is_kept(store: RagVectorStore) -> None:
    texts = ["walrus", "penguin", "walrus again"]
    assert store.add_texts(texts, ids=["1", "2", "1"]) == ["1", "2", "1"]
    assert [one.page_content for one in store.get_by_ids(["1", "2"])] == ["walrus again", "penguin"]


def test_ids_are_given_where_none_are_and_an_argument_goes_before_a_documents_own(
    store: RagVectorStore,
) -> None:
    given = store.add_documents([document("own", "one"), Document(page_content="two")])
    assert given[0] == "own"
    assert len(given[1]) == 36
    assert store.add_documents([document("own", "three")], ids=["other"]) == ["other"]
    assert ids(store.get_by_ids(["other", given[1], "own"])) == ["other", given[1], "own"]


def test_documents_come_in_the_order_of_the_ids_and_only_those_that_are_there(
    store: RagVectorStore,
) -> None:
    store.add_texts(["one", "two", "three"], ids=["1", "2", "3"])
    asked = ["3", "nobody", "1", "3", "\x00", "\ud800", ""]
    assert ids(store.get_by_ids(asked)) == ["3", "1"]
    assert store.delete(asked) is True
    assert ids(store.get_by_ids(["1", "2", "3"])) == ["2"]


def test_all_of_a_deletion_is_one_generation_and_none_without_anything_to_delete(
    rag: RagPipeline, store: RagVectorStore
) -> None:
    store.add_texts([f"text {n}" for n in range(300)], ids=[f"d{n}" for n in range(300)])
    before = rag.doctor().generation
    store.delete([f"d{n}" for n in range(299)])
    assert rag.doctor().generation == before + 1
    store.delete(["d0", "nobody"])
    store.delete([])
    assert rag.doctor().generation == before + 1
    assert rag.doctor().differences == ()
    assert ids(store.similarity_search("text", k=10)) == ["d299"]


def test_a_text_goes_with_its_last_id_and_not_before(
    rag: RagPipeline, store: RagVectorStore
) -> None:
    rag.ingest_records([{"_id": "theirs", "text": "the red buoy"}], source="elsewhere")
    store.add_texts(["the red buoy"], ids=["mine"])
    assert rag.remove(["mine"]).chunks_removed == 0
    assert ids(store.similarity_search("buoy")) == ["theirs"]
    report = rag.remove(["theirs"])
    assert (report.documents.deleted, report.chunks_removed) == (1, 1)
    assert store.similarity_search("buoy") == []


def test_a_long_document_comes_back_as_the_passages_that_were_found(store: RagVectorStore) -> None:
    given = document("long", LONG, year=1811)
    store.add_documents([given, document("short", "nothing of the kind")])
    found = store.similarity_search("the number n41", k=2)
    best = found[0]
    where = best.metadata.pop("_passage")
    assert best.page_content == LONG[where["start"] : where["end"]]
    assert "n41" in best.page_content
    assert where["document_id"] == best.id == "long"
    assert best.metadata == {"year": 1811}
    assert store.get_by_ids(["long"]) == [given]
    store.delete(["long"])
    assert ids(store.similarity_search("the number n41", k=2)) == ["short"]


def test_a_passage_carries_the_metadata_as_they_were_given(store: RagVectorStore) -> None:
    store.add_documents([document("long", LONG, note="  kept ")])
    (found,) = store.similarity_search("the number n41", k=1)
    assert found.metadata["note"] == "  kept "
    assert "_given" not in found.metadata


def test_a_line_that_many_documents_begin_with_does_not_cut_them_short(
    store: RagVectorStore,
) -> None:
    given = [
        document(f"d{n}", f"Minutes of the harbour board\nItem {n} is about k{n}k.")
        for n in range(12)
    ]
    store.add_documents(given)
    assert store.similarity_search("k7k", k=1) == [given[7]]


def test_nearly_equal_documents_are_all_given(store: RagVectorStore) -> None:
    words = " ".join(f"word{n}" for n in range(25))
    store.add_texts([f"{words} {end}" for end in ("a", "b", "c")], ids=["1", "2", "3"])
    assert {*ids(store.similarity_search("word3", k=3))} == {"1", "2", "3"}


def test_the_first_k_of_more_documents_than_there_are(store: RagVectorStore) -> None:
    store.add_texts(["one fish", "two fish"], ids=["1", "2"])
    assert len(store.similarity_search("fish", k=500)) == 2
    with pytest.raises(QueryError, match="0 results"):
        store.similarity_search("fish", k=0)
    with pytest.raises(QueryError, match="empty"):
        store.similarity_search(" ")


def test_scores_fall_and_relevance_is_the_cosine(store: RagVectorStore) -> None:
    texts = ["red lamp", "red lamp on the pier", "granite blocks"]
    store.add_texts(texts, ids=["1", "2", "3"])
    scored = store.similarity_search_with_score("red lamp", k=3)
    assert [one.id for one, _ in scored] == ["1", "2", "3"]
    assert [score for _, score in scored] == sorted((s for _, s in scored), reverse=True)
    query, *vectors = store.pipeline.embed(["red lamp", *texts])
    relevant = store.similarity_search_with_relevance_scores("red lamp", k=3)
    for (found, score), vector in zip(relevant, vectors, strict=True):
        assert score == pytest.approx(max(float(vector @ query), 0), abs=1e-6)
        assert 0 <= score <= 1, found
    assert [one.id for one, _ in relevant] == ["1", "2", "3"]
    near = store.similarity_search_with_relevance_scores("red lamp", k=3, score_threshold=0.99)
    assert [one.id for one, _ in near] == ["1"]


def test_a_vector_of_the_callers_own_is_searched_with(store: RagVectorStore) -> None:
    store.add_texts(["red lamp", "green lamp", "granite"], ids=["1", "2", "3"])
    vector = store.embeddings.embed_query("green lamp")
    assert ids(store.similarity_search_by_vector(vector, k=2)) == ["2", "1"]
    for wrong in ([1.0], [math.nan] * len(vector), [math.inf] * len(vector), []):
        with pytest.raises(SpaceMismatchError, match="embed it"):
            store.similarity_search_by_vector(wrong)
    with pytest.raises(QueryError, match="list of numbers"):
        store.similarity_search_by_vector(["red", "lamp"])  # type: ignore[list-item]


def test_marginal_relevance_passes_over_what_says_the_same(store: RagVectorStore) -> None:
    store.add_texts(
        ["red lamp pier", "red lamp pier pier", "red granite crane"], ids=["1", "2", "3"]
    )
    assert ids(store.similarity_search("red lamp pier", k=2)) == ["1", "2"]
    assert ids(store.max_marginal_relevance_search("red lamp pier", k=2, lambda_mult=0.1)) == [
        "1",
        "3",
    ]
    assert ids(store.max_marginal_relevance_search("red lamp pier", k=2, lambda_mult=1)) == [
        "1",
        "2",
    ]
    vector = store.embeddings.embed_query("red lamp pier")
    assert ids(store.max_marginal_relevance_search_by_vector(vector, k=2, lambda_mult=0.1)) == [
        "1",
        "3",
    ]
    few = store.max_marginal_relevance_search("red lamp pier", k=2, fetch_k=1, lambda_mult=0.1)
    assert len(few) == 2
    with pytest.raises(ArgumentError, match="0 to 1"):
        store.max_marginal_relevance_search("red", lambda_mult=2)


def test_as_a_retriever_it_searches_in_each_of_its_ways(store: RagVectorStore) -> None:
    store.add_texts(["red lamp", "green lamp"], [{"n": 1}, {"n": 2}], ids=["1", "2"])
    assert ids(store.as_retriever(search_kwargs={"k": 1}).invoke("green")) == ["2"]
    assert ids(store.as_retriever(search_type="mmr").invoke("green")) == ["2", "1"]
    near = store.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.9}
    )
    assert ids(near.invoke("green lamp")) == ["2"]
    narrow = store.as_retriever(search_kwargs={"filter": {"n": 1}})
    assert ids(narrow.invoke("green lamp")) == ["1"]


def test_asynchronous_calls_do_the_same(store: RagVectorStore) -> None:
    async def run() -> None:
        given = [document("1", "red lamp", n=1), document("2", "green lamp", n=2)]
        await store.aadd_documents(given)
        assert await store.aadd_texts(["granite"], ids=["3"]) == ["3"]
        assert ids(await store.asimilarity_search("green", k=1)) == ["2"]
        assert ids(await store.amax_marginal_relevance_search("green", k=1)) == ["2"]
        assert (await store.asimilarity_search_with_score("green", k=1))[0][0].id == "2"
        vector = await store.embeddings.aembed_query("red lamp")
        assert ids(await store.asimilarity_search_by_vector(vector, k=1)) == ["1"]
        assert await store.adelete(["1"])
        assert ids(await store.aget_by_ids(["1", "2", "3"])) == ["2", "3"]

    asyncio.run(run())


def test_a_store_is_made_of_texts(rag: RagPipeline) -> None:
    embeddings = RagEmbeddings(pipeline=rag)
    store = RagVectorStore.from_texts(
        ["one", "two"], embeddings, [{"n": 1}, {"n": 2}], ids=["1", "2"], collection="made"
    )
    assert store.get_by_ids(["2"]) == [document("2", "two", n=2)]
    again = RagVectorStore.from_documents([document("3", "three")], embeddings, collection="made")
    assert ids(again.get_by_ids(["1", "3"])) == ["1", "3"]
    assert RagVectorStore(rag).get_by_ids(["1"]) == []
    assert RagVectorStore.from_texts([], pipeline=rag).similarity_search("x") == []
    with pytest.raises(ArgumentError, match="its own model"):
        RagVectorStore.from_texts(["one"], DeterministicFakeEmbedding(size=6), pipeline=rag)
    with pytest.raises(ArgumentError, match="needs a pipeline"):
        RagVectorStore.from_texts(["one"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (document("d", " \n\t\ufeff"), "holds no text"),
        (document("d", "x", day=date(2020, 1, 1)), "of type date"),
        (document("d", "x", pair=(1, 2)), "of type tuple"),
        (document("d", "x", inner=[{"y": {1: 2}}]), "key 1"),
        (document("d", "x", huge=10**5000), "digits"),
        (document("a\nb", "x"), "control character"),
        (document("a\ud800", "x"), "control character"),
    ],
)
def test_what_could_not_be_kept_faithfully_is_refused_before_anything_is_stored(
    store: RagVectorStore, given: Document, said: str
) -> None:
    with pytest.raises(ArgumentError, match=said):
        store.add_documents([document("fine", "fine"), given])
    assert store.get_by_ids(["fine"]) == []


def test_metadata_without_end_are_refused(store: RagVectorStore) -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(ArgumentError, match="nested more than"):
        store.add_texts(["x"], [endless])


def test_lists_that_do_not_fit_are_refused(store: RagVectorStore) -> None:
    for arguments in ({"ids": ["1"]}, {"ids": ["1", "2", "3"]}, {"metadatas": [{}]}):
        with pytest.raises(ArgumentError, match="one for each"):
            store.add_texts(["one", "two"], **arguments)
    with pytest.raises(ArgumentError, match="one for each"):
        store.add_documents([document("1", "one")], ids=[])
    assert store.add_texts([]) == []
    with pytest.raises(ArgumentError, match="give their ids"):
        store.delete()


def test_an_argument_that_would_not_be_heeded_is_refused(store: RagVectorStore) -> None:
    store.add_texts(["secret"], [{"level": 9}])
    vector = store.embeddings.embed_query("secret")
    wrong: dict[str, Any] = {"filters": {"level": 1}}
    for call in (
        lambda: store.similarity_search("secret", **wrong),
        lambda: store.similarity_search_by_vector(vector, **wrong),
        lambda: store.max_marginal_relevance_search("secret", **wrong),
        lambda: store.similarity_search_with_relevance_scores("secret", **wrong),
        lambda: store.delete(["x"], **wrong),
        lambda: store.add_texts(["x"], **wrong),
    ):
        with pytest.raises(ArgumentError, match="filters"):
            call()


FILTERS: list[tuple[Any, set[str]]] = [
    ({"year": 2020}, {"b"}),
    ({"year": {"$gte": 2020}}, {"b", "c"}),
    ({"year": {"$gt": 2019, "$lt": 2021}}, {"b"}),
    ({"$and": [{"year": {"$lte": 2020}}, {"kind": "report"}]}, {"a"}),
    ({"$or": [{"year": 2019}, {"tags": "x"}]}, {"a", "c"}),
    ({"$not": {"kind": "report"}}, {"b"}),
    ({"kind": {"$in": ["note", "memo"]}}, {"b"}),
    ({"kind": {"$nin": ["note", "memo"]}}, {"a", "c"}),
    ({"name": {"$like": "harb%"}}, {"a"}),
    ({"source": "b.pdf"}, {"b"}),
    ({"author.name": "Ada"}, {"c"}),
    ({"draft": True}, {"a"}),
    ({"draft": {"$exists": False}}, {"b", "c"}),
    ({"note": "  spaced "}, {"a"}),
    ({}, {"a", "b", "c"}),
    ("year between 2020 and 2022 and kind = 'report'", {"c"}),
]


def test_a_filter_narrows_every_kind_of_search(rag: RagPipeline) -> None:
    about: list[dict[str, Any]] = [
        {"year": 2019, "kind": "report", "draft": True, "name": "harbour", "note": "  spaced "},
        {"year": 2020, "kind": "note", "source": "b.pdf", "title": "A Title "},
        {"year": 2021, "kind": "report", "tags": ["x", "y"], "author": {"name": "Ada"}},
    ]
    texts = ["lamp one", "lamp two", "lamp three"]
    store = RagVectorStore.from_texts(
        texts, RagEmbeddings(pipeline=rag), about, ids=["a", "b", "c"]
    )
    vector = store.embeddings.embed_query("lamp")
    for where, expected in FILTERS:
        relevant = store.similarity_search_with_relevance_scores("lamp", filter=where)
        found = [
            store.similarity_search("lamp", filter=where),
            store.similarity_search_by_vector(vector, filter=where),
            store.max_marginal_relevance_search("lamp", filter=where),
            store.max_marginal_relevance_search_by_vector(vector, filter=where),
            [one for one, _ in relevant],
        ]
        assert [{*ids(some)} for some in found] == [expected] * len(found), where


def test_of_a_text_with_two_ids_only_that_comes_back_which_the_filter_lets_through(
    store: RagVectorStore,
) -> None:
    store.add_texts(["lamp", "lamp"], [{"year": 1}, {"year": 2}], ids=["1", "2"])
    assert ids(store.similarity_search("lamp", filter={"year": 2})) == ["2"]
    both = {"$and": [{"year": {"$gte": 2}}, {"year": {"$lte": 1}}]}
    assert store.similarity_search("lamp", filter=both) == []


def test_a_filter_that_says_nothing_clear_is_refused(store: RagVectorStore) -> None:
    store.add_texts(["lamp"], [{"year": 2020}])
    for wrong in ({"yaer": 2020}, {"$what": []}, "year >=", lambda one: True, ["year"]):
        with pytest.raises(FilterError):
            store.similarity_search("lamp", filter=wrong)


def test_a_store_shows_only_what_its_principal_may_read(tmp_path: Path) -> None:
    with word_pipeline(tmp_path / "kb") as owner:
        secret = RagVectorStore(owner, read_labels=frozenset({"port"}))
        secret.add_texts(["the lamp is red"], ids=["secret"])
        RagVectorStore(owner, source="open").add_texts(["the lamp is green"], ids=["open"])
        stranger = Principal(name="eve", labels=frozenset({"sea"}))
        with word_pipeline(tmp_path / "kb", principal=stranger) as rag:
            store = RagVectorStore(rag)
            assert ids(store.similarity_search("red lamp")) == ["open"]
            vector = store.embeddings.embed_query("the lamp is red")
            assert ids(store.similarity_search_by_vector(vector)) == ["open"]
            assert ids(store.max_marginal_relevance_search("red lamp")) == ["open"]
            assert ids(store.get_by_ids(["secret", "open"])) == ["open"]
            assert store.delete(["secret"])
        assert ids(secret.get_by_ids(["secret"])) == ["secret"]


def test_a_collection_that_is_closed_to_the_principal_looks_like_an_empty_store(
    tmp_path: Path,
) -> None:
    with word_pipeline(tmp_path / "kb") as owner:
        own = RagVectorStore(owner, collection="closed")
        own.add_texts(["the lamp is red"], ids=["1"])
        closed = parts_of(owner).reader.collection("closed", principal=owner.principal)
        set_read_labels(parts_of(owner).database, closed, {"group:keepers"})
        with word_pipeline(tmp_path / "kb", principal=Principal(name="eve")) as rag:
            store = RagVectorStore(rag, collection="closed")
            assert store.similarity_search("lamp") == []
            assert store.get_by_ids(["1"]) == []
            assert store.delete(["1"]) is True
            with pytest.raises(NotFoundError, match="no collection 'closed'"):
                rag.remove(["1"], collection="closed")
        keeper = Principal(name="ada", groups=frozenset({"keepers"}))
        with word_pipeline(tmp_path / "kb", principal=keeper) as rag:
            store = RagVectorStore(rag, collection="closed")
            assert ids(store.similarity_search("lamp")) == ["1"]
            assert ids(store.get_by_ids(["1"])) == ["1"]


def test_an_embedder_that_fails_in_an_update_leaves_the_old_version(
    rag: RagPipeline, store: RagVectorStore, embedder: WordEmbedder
) -> None:
    store.add_documents([document("1", "The walrus swims."), document("2", "Granite blocks.")])
    embedder.fails = True
    for _ in range(2):
        with pytest.raises(EmbeddingError):
            store.add_documents([document("1", "The penguin walks."), document("3", "New.")])
        assert ids(store.get_by_ids(["1", "2", "3"])) == ["1", "2"]
    embedder.fails = False
    assert store.similarity_search("walrus swims", k=1) == [document("1", "The walrus swims.")]
    store.add_documents([document("1", "The walrus swims.")])
    assert ids(store.similarity_search("walrus", k=1)) == ["1"]
    store.add_documents([document("1", "The penguin walks.")])
    assert store.get_by_ids(["1"]) == [document("1", "The penguin walks.")]
    assert rag.doctor().differences == ()


def test_new_metadata_cost_no_forward_pass(store: RagVectorStore, embedder: WordEmbedder) -> None:
    store.add_documents([document("1", "The walrus swims.", year=1)])
    embedder.embedded.clear()
    store.add_documents([document("1", "The walrus swims.", year=2)])
    assert embedder.embedded == []
    assert store.get_by_ids(["1"]) == [document("1", "The walrus swims.", year=2)]


def test_removing_from_a_collection_that_is_not_there_says_so(rag: RagPipeline) -> None:
    with pytest.raises(NotFoundError, match="no collection 'nowhere'"):
        rag.remove(["x"], collection="nowhere")
    assert RagVectorStore(rag, collection="nowhere").delete(["x"]) is True
    with pytest.raises(NotFoundError, match="no collection 'nowhere'"):
        rag.documents(["x"], collection="nowhere")


def test_a_file_is_found_and_removed_by_the_id_that_the_search_shows(
    rag: RagPipeline, store: RagVectorStore, docs: Path
) -> None:
    (docs / "a.txt").write_text("The lamp is red.")
    rag.ingest(docs)
    (found,) = store.similarity_search("lamp")
    assert (found.id, found.page_content) == ("a.txt", "The lamp is red.")
    store.delete([found.id or ""])
    assert store.similarity_search("lamp") == []
    rag.ingest(docs)
    assert ids(store.similarity_search("lamp")) == ["a.txt"]
