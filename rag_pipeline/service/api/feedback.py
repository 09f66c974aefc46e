"""`/api/feedback`: what people say of answers, and how answers came out over time."""

from datetime import date
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from rag_pipeline.service.api.asking import Body, Name, NameQuery, Text, TextQuery, Turn
from rag_pipeline.service.dependencies import Rag
from rag_pipeline.service.errors import ForbiddenError
from storage.feedback import Bucket, Counted, Period
from storage.prompt_listing import period
from storage.records import AnswerState, PromptStatus

MAX_COMMENT = 20_000

router = APIRouter(prefix="/api", tags=["history"])


class Feedback(Body):
    """What somebody says of an answer."""

    prompt_id: Annotated[Text, Field(min_length=1, max_length=32)]
    score: Annotated[float, Field(ge=0, le=1)]
    """From 0 (wrong) to 1 (right)."""
    comment: Annotated[Text, Field(max_length=MAX_COMMENT)] | None = None
    correction: Annotated[Text, Field(max_length=MAX_COMMENT)] | None = None
    """What the answer should have been."""
    metric: Name = "rating"
    user: Name | None = None
    """Who says it, where the owner passes on what others say."""


class FeedbackKept(BaseModel):
    """What is on record now; the newest score of a user counts."""

    prompt_id: str
    metric: str
    score: float


class FeedbackBucket(BaseModel):
    """The exchanges of one day, week or month."""

    first_day: Annotated[date, Field(alias="from")]
    """In UTC."""
    prompts: int
    states: dict[AnswerState, int]
    statuses: dict[PromptStatus, int]
    scores: int
    mean_score: float | None


class FeedbackSummary(BaseModel):
    """Days, weeks or months in which anything was asked, oldest first."""

    by: Period
    metric: str
    buckets: list[FeedbackBucket]


@router.post("/feedback", status_code=HTTPStatus.CREATED, dependencies=[Turn])
def give_feedback(said: Feedback, rag: Rag) -> FeedbackKept:
    """Put on record what somebody says of an answer."""
    if said.user is not None and not rag.principal.is_owner and said.user != rag.principal.name:
        raise ForbiddenError("only the owner passes on what others say", param="user")
    rag.history.rate(
        said.prompt_id,
        said.score,
        metric=said.metric,
        user=said.user,
        comment=said.comment,
        correction=said.correction,
    )
    return FeedbackKept(prompt_id=said.prompt_id, metric=said.metric, score=said.score)


@router.get("/feedback/summary", dependencies=[Turn])
def summarise_feedback(
    rag: Rag,
    by: Period = "day",
    metric: Annotated[Name, Query()] = "rating",
    collection: NameQuery = None,
    since: TextQuery = None,
    until: TextQuery = None,
) -> FeedbackSummary:
    """Count answers by their states, and what people said of them."""
    begins, ends = period(since, until)
    counted = Counted(
        principal=rag.principal,
        by=by,
        metric=metric,
        collection=collection,
        since=begins,
        before=ends,
    )
    buckets = [_bucket(bucket) for bucket in rag.browse.feedback(counted)]
    return FeedbackSummary(by=by, metric=metric, buckets=buckets)


def _bucket(bucket: Bucket) -> FeedbackBucket:
    return FeedbackBucket.model_validate(
        {
            "from": bucket.first_day,
            "prompts": bucket.prompts,
            "states": bucket.states,
            "statuses": bucket.statuses,
            "scores": bucket.scores,
            "mean_score": bucket.mean_score,
        }
    )
