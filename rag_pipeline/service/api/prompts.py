"""`/api/prompts`: what was asked and answered, from which evidence, and what followed."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from rag_pipeline.history.as_json import evidence_json, found_part, listed_with_rating, whole_prompt
from rag_pipeline.history.looking_up import FoundPrompt as Found
from rag_pipeline.history.matching import Filters
from rag_pipeline.service.api.asking import (
    MAX_TEXT,
    NameQuery,
    Text,
    TextQuery,
    Turn,
    filter_of,
)
from rag_pipeline.service.api.paging import CursorText
from rag_pipeline.service.dependencies import Rag
from storage.errors import FilterError
from storage.filters import Filter
from storage.prompts.listing import Chain, ListedPrompt, rating_of
from storage.records import AnswerState, Judge, PromptStatus

MAX_LISTED = 200
ScoreQuery = Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)]

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


class FoundPrompt(PromptSummary):
    """An exchange that was searched for."""

    snippet: str
    """Of the question or the answer, on one line."""
    matches: list[tuple[int, int]]
    """Where in the snippet the words stand, as starts and ends."""
    score: float | None
    """The cosine to what was meant, where it was searched for by meaning."""


class FoundPrompts(BaseModel):
    """Exchanges, those that fit best first."""

    items: list[FoundPrompt]


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
    origin: Literal["real", "synthetic"]


class GivenScore(BaseModel):
    """What a person or a rule said of the answer."""

    value: float | None
    metric: str
    judge: Judge
    user: str | None
    judge_name: str | None
    judge_version: str | None
    label: str | None
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


def _matching(
    user: NameQuery = None,
    session: NameQuery = None,
    application: NameQuery = None,
    model: TextQuery = None,
    collection: NameQuery = None,
    category: NameQuery = None,
    tag: NameQuery = None,
    state: AnswerState | None = None,
    status: PromptStatus | None = None,
    min_score: ScoreQuery = None,
    max_score: ScoreQuery = None,
    metric: NameQuery = None,
    since: TextQuery = None,
    until: TextQuery = None,
    cites: TextQuery = None,
    ungrounded: bool = False,
    slower_than: Annotated[float | None, Query(ge=0, allow_inf_nan=False)] = None,
    where: Annotated[TextQuery, Query(description="A filter, as text or as a JSON object.")] = None,
) -> Filters:
    return Filters(
        user=user,
        session=session,
        application=application,
        model=model,
        collection=collection,
        category=category,
        tag=tag,
        state=state,
        status=status,
        min_score=min_score,
        max_score=max_score,
        metric=metric,
        since=since,
        until=until,
        cites=cites,
        ungrounded=ungrounded,
        slower_than=slower_than,
        where=_where(where),
    )


MatchingQuery = Annotated[Filters, Depends(_matching)]


def _where(text: str | None) -> Filter | None:
    if text is None or not text.lstrip().startswith("{"):
        return filter_of(text)
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FilterError(f"the filter is no JSON: {error}; mend it, or write it as text") from None
    return filter_of(told)


@router.get("/prompts", response_model=PromptPage, dependencies=[Turn])
def list_prompts(
    rag: Rag,
    matching: MatchingQuery,
    q: Annotated[Text, Query(max_length=MAX_TEXT)] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 20,
    cursor: CursorText = None,
) -> JSONResponse:
    """List what was asked, newest first; the words of `q` stand in the question or the answer."""
    page = rag.history.page(limit=limit, cursor=cursor, words=q, **matching)
    items = [_summary(one) for one in page.items]
    return JSONResponse({"items": items, "next_cursor": page.next_cursor})


@router.get("/prompts/search", response_model=FoundPrompts, dependencies=[Turn])
def search_prompts(
    rag: Rag,
    matching: MatchingQuery,
    q: Annotated[Text, Query(min_length=1, max_length=MAX_TEXT)],
    order: Literal["rank", "newest", "meaning"] = "rank",
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 20,
) -> JSONResponse:
    """Search past exchanges by the words of `q`, or by what it means.

    Those that fit best come first, or the newest. With the order `meaning` they are those whose
    questions are nearest to `q`.
    """
    if order == "meaning":
        found = rag.history.near(q, limit=limit, **matching)
    else:
        found = rag.history.search(q, limit=limit, order=order, **matching)
    return JSONResponse({"items": [_found(one) for one in found]})


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


def _found(found: Found) -> dict[str, Any]:
    return _summary(found.listed) | found_part(found)


def _summary(listed: ListedPrompt) -> dict[str, Any]:
    return listed_with_rating(listed)


def _children(chain: Chain) -> Mapping[str, list[str]]:
    children: dict[str, list[str]] = {one.prompt.prompt_id: [] for one in chain.prompts}
    for one in chain.prompts[1:]:
        # One whose parent may not be read is the root, and has none here.
        children[one.prompt.parent_id or ""].append(one.prompt.prompt_id)
    return children
