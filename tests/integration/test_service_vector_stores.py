"""Files and vector stores, through OpenAI's own client over a real port."""

import time
from collections.abc import Iterator

import httpx
import openai
import pytest
from openai import OpenAI
from support.listening import listening
from support.pipelines import parts_of
from support.service import Callers, called

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.app import create_app
from rag_pipeline.service.stores import collection_name, store_id
from storage.errors import NotFoundError
from storage.lease import writer_lease
from storage.records import LOCAL_OWNER, Principal

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TEA = b"# Tea\n\nTea is a drink of leaves in hot water."

IS_HOT = {"type": "and", "filters": [{"type": "eq", "key": "is_hot", "value": True}]}
FILTERS = (
    ({"type": "eq", "key": "kind", "value": "drink"}, True),
    ({"type": "ne", "key": "kind", "value": "drink"}, False),
    ({"type": "gt", "key": "year", "value": 2020}, False),
    ({"type": "gte", "key": "year", "value": 2020}, True),
    ({"type": "lt", "key": "year", "value": 2020.5}, True),
    ({"type": "in", "key": "kind", "value": ["drink", "food"]}, True),
    ({"type": "nin", "key": "kind", "value": ["drink"]}, False),
    ({"type": "eq", "key": "kind", "value": "' or 1=1 --"}, False),
    ({"type": "or", "filters": [{"type": "eq", "key": "year", "value": 1}, IS_HOT]}, True),
)


@pytest.fixture
def url(rag: RagPipeline) -> Iterator[str]:
    with listening(create_app(rag)) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture
def callers(rag: RagPipeline) -> Iterator[Callers]:
    with called(rag) as started:
        yield started


def uploaded(client: OpenAI, name: str = "tea.md", content: bytes = TEA) -> str:
    return client.files.create(file=(name, content), purpose="assistants").id


def test_files_are_kept_listed_read_and_deleted(client: OpenAI) -> None:
    contents = [b"\x00\xff\r\n", b"", "Größe".encode()]
    ids = [uploaded(client, f"{n}.bin", content) for n, content in enumerate(contents)]
    assert [client.files.content(file_id).read() for file_id in ids] == contents
    assert [file.id for file in client.files.list(limit=2)] == ids[::-1]
    assert [file.id for file in client.files.list(order="asc", after=ids[0])] == ids[1:]
    assert client.files.list(purpose="vision").data == []
    about = client.files.retrieve(ids[2])
    assert (about.bytes, about.filename, about.purpose) == (7, "2.bin", "assistants")
    assert abs(about.created_at - time.time()) < 60
    assert client.files.delete(ids[2]).deleted
    for lost in (ids[2], "file-0", "x", "../x"):
        with pytest.raises(openai.NotFoundError):
            client.files.content(lost)


def test_a_store_is_a_collection_and_an_attached_file_is_searched(
    client: OpenAI, rag: RagPipeline
) -> None:
    store = client.vector_stores.create(name="tea & more")
    assert client.vector_stores.search(store.id, query="tea").data == []
    about = {"year": 2020, "kind": "drink", "is_hot": True}
    attached = client.vector_stores.files.create_and_poll(
        uploaded(client), vector_store_id=store.id, attributes=about
    )
    assert (attached.status, attached.attributes) == ("completed", about)
    assert client.vector_stores.retrieve(store.id).file_counts.completed == 1
    (found,) = client.vector_stores.search(store.id, query="drink of leaves").data
    assert (found.file_id, found.filename) == (attached.id, "tea.md")
    assert (found.content[0].text, found.attributes) == (TEA.decode(), about)
    assert rag.search("tea", collection="tea & more").hits[0].chunk.text == TEA.decode()
    (text,) = client.vector_stores.files.content(attached.id, vector_store_id=store.id)
    assert text.text == TEA.decode()


def test_filters_are_on_attributes(client: OpenAI, rag: RagPipeline) -> None:
    metadata = {"year": 2020, "kind": "drink", "is_hot": True}
    record = {"_id": "tea", "title": "Tea", "text": "Tea is a drink.", "metadata": metadata}
    rag.ingest_records([record], source="notes", collection="s")
    for filters, is_found in FILTERS:
        found = client.vector_stores.search("vs_s", query="tea", filters=filters).data
        assert [one.file_id for one in found] == ["doc-1"] * is_found, filters
    of_title = {"type": "eq", "key": "title", "value": "Tea"}
    with pytest.raises(openai.BadRequestError, match=r"metadata\.title"):
        client.vector_stores.search("vs_s", query="tea", filters=of_title)


def test_what_a_search_can_not_do_is_said(client: OpenAI, rag: RagPipeline) -> None:
    rag.ingest_records([{"_id": "tea", "text": "Tea is a drink."}], source="notes")
    search = client.vector_stores.search
    assert len(search("vs_default", query=["tea", "drink"]).data) == 1
    assert search("vs_default", query="tea", rewrite_query=False).data
    rag.ingest_records([{"_id": "tin", "text": "Tin is a metal."}], source="notes")
    assert len(search("vs_default", query="tea").data) == 2
    high = {"score_threshold": 0.5}
    (best,) = search("vs_default", query="tea", ranking_options=high).data
    assert best.content[0].text == "Tea is a drink."
    for wrong in (
        {"rewrite_query": True},
        {"max_num_results": 51},
        {"filters": {"type": "like", "key": "a", "value": 1}},
        {"filters": {"type": "and", "filters": []}},
        {"filters": {"type": "eq", "key": "nothing", "value": 1}},
        {"extra_body": {"top_k": 3}},
    ):
        with pytest.raises(openai.BadRequestError) as refusal:
            search("vs_default", **{"query": "tea", **wrong})
        assert refusal.value.type == "invalid_request_error"
    for lost in ("vs_none", "default", "vs_", "vs_~C3", "vs_%", "vs_~64efault"):
        with pytest.raises(openai.NotFoundError):
            search(lost, query="tea")


def test_a_file_that_can_not_be_read_is_failed_with_its_reason(client: OpenAI) -> None:
    store = client.vector_stores.create(name="s", file_ids=[uploaded(client)])
    broken = uploaded(client, "broken.pdf", b"%PDF-1.7 and nothing more")
    attached = client.vector_stores.files.create_and_poll(broken, vector_store_id=store.id)
    assert attached.status == "failed"
    assert attached.last_error is not None
    assert attached.last_error.code == "invalid_file"
    assert "PDF" in attached.last_error.message
    assert len(client.vector_stores.files.list(store.id).data) == 1


def test_attached_files_are_listed_page_by_page(client: OpenAI) -> None:
    texts = [f"Text number {number} about {number * 7}.".encode() for number in range(5)]
    ids = [uploaded(client, f"{n}.txt", text) for n, text in enumerate(texts)]
    lines = b'{"_id": "a", "text": "One of two."}\n{"_id": "b", "text": "Two of two, longer."}\n'
    ids.append(uploaded(client, "lines.jsonl", lines))
    store = client.vector_stores.create(name="s", file_ids=ids)
    newest_first = client.vector_stores.files.list(store.id, limit=2)
    assert [file.id for file in newest_first] == sorted(ids, reverse=True)
    oldest_first = client.vector_stores.files.list(store.id, limit=100, order="asc")
    assert [file.id for file in oldest_first] == sorted(ids)


def test_what_is_deleted_is_found_no_more(client: OpenAI) -> None:
    file_id = uploaded(client)
    store = client.vector_stores.create(name="s", file_ids=[file_id])
    other = client.vector_stores.create(file_ids=[file_id])
    assert client.vector_stores.files.delete(file_id, vector_store_id=store.id).deleted
    assert client.vector_stores.search(store.id, query="tea").data == []
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.files.retrieve(file_id, vector_store_id=store.id)
    assert client.vector_stores.search(other.id, query="tea").data
    client.files.delete(file_id)
    assert client.vector_stores.search(other.id, query="tea").data == []
    assert {one.id for one in client.vector_stores.list()} == {store.id, other.id}


def test_a_deleted_store_is_gone_and_its_name_may_be_used_again(
    client: OpenAI, rag: RagPipeline
) -> None:
    file_id = uploaded(client)
    full = client.vector_stores.create(name="full", file_ids=[file_id])
    empty = client.vector_stores.create(name="empty")
    with pytest.raises(openai.BadRequestError, match="already"):
        client.vector_stores.create(name="full")
    for store in (full, empty):
        assert client.vector_stores.delete(store.id).deleted
        with pytest.raises(openai.NotFoundError):
            client.vector_stores.retrieve(store.id)
    assert client.vector_stores.list().data == []
    assert rag.search("tea", collection="full").hits == ()
    again = client.vector_stores.create(name="full")
    assert (again.id, again.file_counts.total) == (full.id, 0)
    assert client.vector_stores.search(again.id, query="tea").data == []
    client.vector_stores.files.create(again.id, file_id=file_id)
    assert client.vector_stores.search(again.id, query="tea").data


def test_what_a_store_can_not_keep_is_refused(client: OpenAI, rag: RagPipeline) -> None:
    for wrong in (
        {"metadata": {"a": "b"}},
        {"expires_after": {"anchor": "last_active_at", "days": 1}},
        {"chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 100}}},
        {"name": " "},
        {"name": "x" * 201},
    ):
        with pytest.raises(openai.BadRequestError):
            client.vector_stores.create(**{"name": "s", **wrong})
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.create(name="s", file_ids=["file-1"])
    assert client.vector_stores.list().data == []
    file_id = uploaded(client)
    client.vector_stores.create(name="s")
    with writer_lease(parts_of(rag).database), pytest.raises(openai.ConflictError):
        client.vector_stores.files.create("vs_s", file_id=file_id)


def test_uploads_that_are_none_are_refused(url: str) -> None:
    for sent in (
        {"files": {"file": ("a.txt", b"x")}, "data": {"purpose": "nothing"}},
        {"files": {"file": ("a.txt", b"x")}},
        {"data": {"purpose": "assistants", "file": "x"}},
        {"json": {"purpose": "assistants"}},
        {"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data"}},
    ):
        answer = httpx.post(f"{url}/v1/files", **sent)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_files_and_stores_of_others_look_as_if_they_were_missing(
    rag: RagPipeline, callers: Callers
) -> None:
    rag.ingest_records([{"_id": "1", "text": "Hidden."}], source="a", read_labels=frozenset({"x"}))
    kept = rag.uploads.put("a.txt", b"mine", purpose="assistants", media_type="text/plain")
    guest = callers.by(Principal(name="guest"))
    assert guest.get("/v1/files").json()["data"] == []
    missing = kept.file_id[:-1] + ("0" if kept.file_id[-1] != "0" else "1")
    for path in ("", "/content"):
        foreign = guest.get(f"/v1/files/{kept.file_id}{path}")
        other = guest.get(f"/v1/files/{missing}{path}")
        assert foreign.status_code == other.status_code == 404
        assert foreign.text == other.text.replace(missing, kept.file_id)
    assert guest.get("/v1/vector_stores/vs_default").json()["file_counts"]["total"] == 0
    assert (
        guest.post("/v1/vector_stores/vs_default/search", json={"query": "hidden"}).json()["data"]
        == []
    )
    assert callers.by(LOCAL_OWNER).get(f"/v1/files/{kept.file_id}/content").content == b"mine"


def test_the_id_of_a_store_names_one_collection(client: OpenAI, rag: RagPipeline) -> None:
    for name in ("default", "a b", "~", "%7E", "é", "a/b", "vs_", "🫖", "..", "?#"):
        assert collection_name(store_id(name)) == name
        rag.ingest_records([], source="a", collection=name)
        assert client.vector_stores.retrieve(store_id(name)).name == name
        with pytest.raises(NotFoundError):
            collection_name(store_id(name) + "~")


def test_texts_are_reranked(url: str) -> None:
    asked = {"query": "hot drink", "documents": ["a stone", "tea is a hot drink", {"text": "hot"}]}
    answer = httpx.post(f"{url}/v1/rerank", json={**asked, "top_n": 2, "return_documents": True})
    first, second = answer.json()["results"]
    assert (first["index"], first["document"]) == (1, {"text": "tea is a hot drink"})
    assert 0 <= second["relevance_score"] < first["relevance_score"] <= 1
    named = httpx.post(f"{url}/v1/rerank", json={**asked, "model": answer.json()["model"]})
    assert {one["index"] for one in named.json()["results"]} == {0, 1, 2}
    for wrong, status in (
        ({"model": "rerank-9"}, 404),
        ({"documents": []}, 400),
        ({"documents": [1]}, 400),
        ({"query": ""}, 400),
        ({"top_n": 0}, 400),
    ):
        answer = httpx.post(f"{url}/v1/rerank", json={**asked, **wrong})
        assert answer.status_code == status, answer.text
