"""The tools: what each takes and gives, and what it promises to leave alone.

Tools only read, unless whoever runs the server lets them ingest. A question that is asked goes on
record in the history, as by any other way; no document changes by it.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from mcp_types import Tool, ToolAnnotations
from pydantic import BaseModel

from rag_pipeline.generation.answer_json import answer_json
from rag_pipeline.history.as_json import listed_prompt
from rag_pipeline.integrations.mcp.arguments import (
    AddDocument,
    Arguments,
    AskQuestion,
    GetDocument,
    SearchDocuments,
    SearchHistory,
)
from rag_pipeline.integrations.mcp.results import (
    AddedResult,
    AnswerResult,
    DocumentResult,
    HistoryResult,
    SearchResult,
    answer_text,
    document_json,
    document_text,
    found_text,
    history_text,
)
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.retrieval.result_json import result_json
from rag_pipeline.service.errors import ForbiddenError
from storage.errors import NotFoundError
from storage.prompts.listing import PromptsWanted

_SOURCE = "mcp"
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
_RECORDS = ToolAnnotations(read_only_hint=True, idempotent_hint=False, open_world_hint=False)
_REPLACES = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)

Given = TypeVar("Given", bound=Arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a tool gives: JSON for programs, and the same for a model to read."""

    structured: Mapping[str, Any]
    text: str


Work = Generator[str, None, Reply]
"""Gives way now and then, between two steps or with a piece of a draft that nobody is shown yet;
closing it stops the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTool(Generic[Given]):
    """One tool."""

    name: str
    title: str
    description: str
    annotations: ToolAnnotations
    arguments: type[Given]
    result: type[BaseModel]
    work: Callable[[RagPipeline, Given], Work]
    queue: Literal["searching", "answering"] = "searching"
    """Whose turn it takes."""

    def described(self) -> Tool:
        """As clients are told of it."""
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            annotations=self.annotations,
            input_schema=self.arguments.model_json_schema(),
            output_schema=self.result.model_json_schema(mode="serialization"),
        )

    def begun(self, rag: RagPipeline, given: Mapping[str, Any]) -> Work:
        """The work for some arguments. Raises `ValidationError`."""
        return self.work(rag, self.arguments.model_validate(given))


def _search(rag: RagPipeline, given: SearchDocuments) -> Work:
    yield from ()
    result = rag.search(
        given.query,
        limit=given.limit,
        mode=given.mode,
        collection=given.collection,
        where=given.where,
        as_of=given.as_of,
    )
    found = result_json(result)
    return Reply(structured=found, text=found_text(found))


def _ask(rag: RagPipeline, given: AskQuestion) -> Work:
    answer = yield from rag.ask_stream(
        given.question,
        collection=given.collection,
        session=given.session,
        parent_id=given.parent_id,
        extractive=given.extractive,
    )
    return Reply(structured=answer_json(answer), text=answer_text(answer))


def _get(rag: RagPipeline, given: GetDocument) -> Work:
    yield from ()
    document_id = given.document_id
    if document_id is None:
        named = rag.documents([given.external_id or ""], collection=given.collection)
        if not named:
            raise NotFoundError(
                f"there is no document {given.external_id!r} in collection {given.collection!r}"
            )
        document_id = named[0].document_id
    document = rag.browse.document(document_id)
    found = document_json(document, start=given.start, characters=given.characters)
    return Reply(structured=found, text=document_text(found))


def _history(rag: RagPipeline, given: SearchHistory) -> Work:
    yield from ()
    wanted = PromptsWanted(
        principal=rag.principal,
        user=given.user,
        session=given.session,
        state=given.state,
        words=given.words,
    )
    listed = rag.browse.prompts(wanted, limit=given.limit)
    found = {"prompts": [listed_prompt(one.prompt) for one in listed]}
    return Reply(structured=found, text=history_text(found))


def _add(rag: RagPipeline, given: AddDocument) -> Work:
    yield from ()
    if not rag.principal.is_owner:
        raise ForbiddenError("only the owner may add documents; ask the one who runs this")
    record = {
        "_id": given.external_id,
        "title": given.title,
        "text": given.text,
        "metadata": given.metadata,
    }
    done = rag.ingest_records([record], source=_SOURCE, collection=given.collection).as_json()
    text = f"Done, as generation {done['generation']}: {done['documents']}"
    return Reply(structured=done, text=text)


READING: tuple[OfferedTool[Any], ...] = (
    OfferedTool(
        name="search_documents",
        title="Search documents",
        description="Find the passages of the stored documents that fit a query best, each with"
        " the place it stands at.",
        annotations=_READS,
        arguments=SearchDocuments,
        result=SearchResult,
        work=_search,
    ),
    OfferedTool(
        name="ask_question",
        title="Ask a question",
        description="Answer a question from the stored documents alone. Every citation was"
        " checked to stand verbatim in a document; without support the answer says so (state"
        " no_evidence). The exchange goes on record in the history.",
        annotations=_RECORDS,
        arguments=AskQuestion,
        result=AnswerResult,
        work=_ask,
        queue="answering",
    ),
    OfferedTool(
        name="get_document",
        title="Read a document",
        description="Give the text of one document, or a part of it, as it is stored now.",
        annotations=_READS,
        arguments=GetDocument,
        result=DocumentResult,
        work=_get,
    ),
    OfferedTool(
        name="search_history",
        title="Search the history",
        description="Look up what was asked before and how it was answered, newest first.",
        annotations=_READS,
        arguments=SearchHistory,
        result=HistoryResult,
        work=_history,
    ),
)
INGESTING: tuple[OfferedTool[Any], ...] = (
    OfferedTool(
        name="add_document",
        title="Add a document",
        description="Store a document, so that searches and answers find it from then on. The"
        " same external_id replaces the document that has it.",
        annotations=_REPLACES,
        arguments=AddDocument,
        result=AddedResult,
        work=_add,
    ),
)
"""Only where whoever runs the server allows it."""
