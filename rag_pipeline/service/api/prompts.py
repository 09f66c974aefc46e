"""`/api/prompts`: what was asked and answered, from which evidence, and what followed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from rag_pipeline.history.as_json import evidence_json, listed_prompt, whole_prompt
from rag_pipeline.service.api.asking import NameQuery, Text, TextQuery, Turn
from rag_pipeline.service.api.paging import CursorText, cursor_at, time_place
from rag_pipeline.service.dependencies import Rag
from storage.prompt_listing import Chain, ListedPrompt, Place, PromptsWanted, period, rating_of
from storage.records import AnswerState, PromptStatus

router = APIRouter(prefix="/api", tags=["history"])


class PromptSummary(BaseModel):
    """An exchange without its evidence."""

    prompt_id: str
    parent_id: str | None
    session: str | None
    user: str
    question: str
    standalone: str | None
    answer: str | None
    status: PromptStatus
    state: AnswerState | None
    confidence: float | None
    error: str | None
    created_at: datetime
    completed_at: datetime | None
    collection: str
    generation: int
    model: str
    usage: dict[str, Any]
    timings: dict[str, Any]
    rating: float | None
    """The mean of what each user said of it last, from 0 to 1."""


class PromptPage(BaseModel):
    """Exchanges, newest first."""

    items: list[PromptSummary]
    next_cursor: str | None


class ShownEvidence(BaseModel):
    """A passage that the model was shown; without its text where that is forgotten or not for the
    caller."""

    rank: int
    chunk_id: int
    document_id: int
    score: float
    vector_rank: int | None
    keyword_rank: int | None
    cited: bool
    text: str | None
    title: str | None
    source: str | None
    start: int | None
    end: int | None
    page: int | None
    headings: list[str]


class ShownCitation(BaseModel):
    """A verified span: `quote` is `text[start:end]` of its document."""

    quote: str
    source: str
    document_id: int
    external_id: str
    chunk_id: int
    start: int
    end: int
    answer_start: int
    answer_end: int
    score: float
    page: int | None
    headings: list[str]


class GivenScore(BaseModel):
    value: float
    metric: str
    user: str
    comment: str | None
    correction: str | None
    created_at: datetime | None


class PromptDetail(PromptSummary):
    """An exchange with all that is on record of it."""

    weights_sha256: str
    template_sha256: str
    rendered: str
    sampling: dict[str, Any]
    checks: dict[str, Any] | None
    evidence: list[ShownEvidence]
    citations: list[ShownCitation]
    scores: list[GivenScore]


class LinkedPrompt(PromptSummary):
    children: list[str]
    """Ids of the exchanges that follow this one, oldest first."""


class PromptChain(BaseModel):
    """The tree that an exchange belongs to, parents before children."""

    root: str
    prompt_id: str
    truncated: bool
    prompts: list[LinkedPrompt]


@router.get("/prompts", response_model=PromptPage, dependencies=[Turn])
def list_prompts(
    rag: Rag,
    user: NameQuery = None,
    session: NameQuery = None,
    state: AnswerState | None = None,
    status: PromptStatus | None = None,
    q: Annotated[Text, Query(max_length=1_000)] = "",
    since: TextQuery = None,
    until: TextQuery = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    cursor: CursorText = None,
) -> JSONResponse:
    """List what was asked, newest first; the words of `q` stand in the question or the answer."""
    asked = {"list": "prompts", "of": [user, session, state, status, q, since, until]}
    begins, ends = period(since, until)
    wanted = PromptsWanted(
        principal=rag.principal,
        user=user,
        session=session,
        state=state,
        status=status,
        words=q,
        since=begins,
        before=ends,
    )
    after = None if cursor is None else Place(*time_place(cursor, asked))
    found = rag.browse.prompts(wanted, limit=limit, after=after)
    place = None
    if len(found) == limit:
        last = found[-1].prompt
        place = cursor_at(asked, [last.created_at.isoformat(), last.prompt_id])
    return JSONResponse({"items": [_summary(one) for one in found], "next_cursor": place})


@router.get("/prompts/{prompt_id}", response_model=PromptDetail, dependencies=[Turn])
def show_prompt(prompt_id: Text, rag: Rag) -> JSONResponse:
    """Show one exchange whole; a unique beginning of its id is enough."""
    prompt = rag.history.show(prompt_id)
    chunks = rag.browse.evidence(prompt)
    evidence = [evidence_json(shown, chunks) for shown in prompt.evidence]
    about = {"evidence": evidence, "rating": rating_of(prompt.scores)}
    return JSONResponse(whole_prompt(prompt) | about)


@router.get("/prompts/{prompt_id}/chain", response_model=PromptChain, dependencies=[Turn])
def show_chain(prompt_id: Text, rag: Rag) -> JSONResponse:
    """Show what led to an exchange and what followed."""
    key = rag.history.show(prompt_id).prompt_id
    chain = rag.browse.chain(key)
    children = _children(chain)
    return JSONResponse(
        {
            "root": chain.prompts[0].prompt.prompt_id,
            "prompt_id": key,
            "truncated": chain.is_cut,
            "prompts": [
                _summary(one) | {"children": children[one.prompt.prompt_id]}
                for one in chain.prompts
            ],
        }
    )


def _summary(listed: ListedPrompt) -> dict[str, Any]:
    return listed_prompt(listed.prompt) | {"rating": listed.rating}


def _children(chain: Chain) -> Mapping[str, list[str]]:
    children: dict[str, list[str]] = {one.prompt.prompt_id: [] for one in chain.prompts}
    for one in chain.prompts[1:]:
        # One whose parent may not be read is the root, and has none here.
        children[one.prompt.parent_id or ""].append(one.prompt.prompt_id)
    return children
