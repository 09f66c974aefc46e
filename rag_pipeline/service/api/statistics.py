"""`/api/stats`, `/api/trends`, `/api/sessions`: the history in figures."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from rag_pipeline.history.matching import Matching
from rag_pipeline.history.sessions import conversation_json
from rag_pipeline.history.statistics import as_json
from rag_pipeline.service.api.asking import MAX_TEXT, NameQuery, Text, TextQuery, Turn, filter_of
from rag_pipeline.service.api.paging import CursorText
from rag_pipeline.service.dependencies import Rag
from storage.prompts.statistics import By
from storage.records import AnswerState, Judge, PromptStatus

MAX_GROUPS = 1_000
MAX_PAGE = 200

router = APIRouter(prefix="/api", tags=["history"])


class Durations(BaseModel):
    """Seconds of completed answers; the quantiles to within 5 %."""

    timed: int
    mean: float | None
    p50: float | None
    p95: float | None


class MeanScore(BaseModel):
    judge: Judge
    metric: str
    scores: int
    """One of each judge for each answer: what was said last."""
    mean: float | None
    ups: int
    """Scores above one half."""
    downs: int


class StatisticsGroup(BaseModel):
    """The exchanges of one day, week or month, or of one user, model …"""

    key: str
    prompts: int
    statuses: dict[PromptStatus, int]
    states: dict[AnswerState, int]
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    seconds: Durations
    scores: list[MeanScore]


class StatisticsReport(BaseModel):
    """Days, weeks or months oldest first; anything else by how much was asked, most first."""

    by: By
    from_rollups: bool
    total: int
    """How many groups there are, told or not."""
    groups: list[StatisticsGroup]


class PeriodFigures(BaseModel):
    """What one period comes to; shares and scores from 0 to 1."""

    prompts: int
    users: int
    answered: int
    grounded_share: float | None
    groundedness: float | None
    rating: float | None
    ratings: int
    ups: int
    downs: int
    failed_share: float | None
    p50_s: float | None
    p95_s: float | None
    cost: float | None


class MovedTerm(BaseModel):
    """A term of questions, in how many it stands, and how far it moved in standard deviations."""

    term: str
    now: int
    before: int
    z: float


class Topics(BaseModel):
    risen: list[MovedTerm]
    fallen: list[MovedTerm]
    distance: float | None
    """Of the mean questions, in cosine distance."""
    p_value: float | None


class TrendsReport(BaseModel):
    """A period against the one before it."""

    first_day: Annotated[date, Field(alias="from")]
    days: int
    now: PeriodFigures
    before: PeriodFigures
    series: list[StatisticsGroup]
    topics: Topics


class SessionSummary(BaseModel):
    session: str
    user: str
    prompts: int
    first_at: datetime
    last_at: datetime
    last_prompt_id: str
    last_question: str
    last_status: PromptStatus
    last_state: AnswerState | None


class SessionPage(BaseModel):
    """Conversations, those that began last first."""

    items: list[SessionSummary]
    next_cursor: str | None


def _wanted(
    user: NameQuery = None,
    session: NameQuery = None,
    state: AnswerState | None = None,
    status: PromptStatus | None = None,
    q: Annotated[Text, Query(max_length=MAX_TEXT)] = "",
    model: NameQuery = None,
    collection: NameQuery = None,
    application: NameQuery = None,
    category: NameQuery = None,
    tag: NameQuery = None,
    until: TextQuery = None,
    where: TextQuery = None,
) -> Matching:
    return Matching(
        user=user,
        session=session,
        state=state,
        status=status,
        words=q,
        model=model,
        collection=collection,
        application=application,
        category=category,
        tag=tag,
        until=until,
        where=filter_of(where),
    )


Wanted = Annotated[Matching, Depends(_wanted)]


@router.get("/stats", response_model=StatisticsReport, dependencies=[Turn])
def count_prompts(
    rag: Rag,
    wanted: Wanted,
    by: By = "day",
    since: TextQuery = None,
    limit: Annotated[int, Query(ge=1, le=MAX_GROUPS)] = 100,
) -> JSONResponse:
    """Count exchanges: how they came out, how long they took, and what was said of them."""
    wanted["since"] = since
    found = rag.history.stats(by=by, limit=limit, **wanted)
    return JSONResponse({"by": by} | as_json(found))


@router.get("/trends", response_model=TrendsReport, dependencies=[Turn])
def compare_periods(
    rag: Rag, wanted: Wanted, days: Annotated[int, Query(ge=1, le=366)] = 30
) -> JSONResponse:
    """Compare the last days with as many before them."""
    return JSONResponse(rag.history.trends(days=days, **wanted).as_json())


@router.get("/sessions", response_model=SessionPage, dependencies=[Turn])
def list_sessions(
    rag: Rag,
    user: NameQuery = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: CursorText = None,
) -> JSONResponse:
    """List conversations, those that began last first."""
    page = rag.history.sessions(limit=limit, user=user, cursor=cursor)
    items = [conversation_json(one) for one in page.items]
    return JSONResponse({"items": items, "next_cursor": page.next_cursor})
