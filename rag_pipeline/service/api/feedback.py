"""`/api/feedback`: what people say of answers, and how answers came out over time."""

from datetime import date
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from rag_pipeline.history.statistics import group_json
from rag_pipeline.service.api.asking import Body, Name, NameQuery, Text, TextQuery, Turn
from rag_pipeline.service.dependencies import Rag
from rag_pipeline.service.errors import ForbiddenError
from storage.prompts.counting import Opinions
from storage.prompts.statistics import Group, Period
from storage.records import AnswerState, PromptStatus

MAX_COMMENT = 20_000

router = APIRouter(prefix="/api", tags=["history"])


class Feedback(Body):
    """What somebody says of an answer."""

    prompt_id: Annotated[Text, Field(min_length=1, max_length=32)]
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    """From 0 (wrong) to 1 (right); without one, a label, a comment or a correction."""
    label: Name | None = None
    """A word for what is right or wrong with it."""
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
    score: float | None
    label: str | None


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
    key = rag.history.rate(
        said.prompt_id,
        said.score,
        metric=said.metric,
        user=said.user,
        label=said.label,
        comment=said.comment,
        correction=said.correction,
    )
    return FeedbackKept(prompt_id=key, metric=said.metric, score=said.score, label=said.label)


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
    found = rag.history.stats(by=by, collection=collection, since=since, until=until)
    buckets = [_bucket(group, metric) for group in found.groups]
    return FeedbackSummary(by=by, metric=metric, buckets=buckets)


def _bucket(group: Group, metric: str) -> FeedbackBucket:
    told = group_json(group)
    said = group.totals.opinions.get(("human", metric), Opinions())
    return FeedbackBucket.model_validate(
        {
            "from": group.key,
            "prompts": told["prompts"],
            "states": told["states"],
            "statuses": told["statuses"],
            "scores": said.scores,
            "mean_score": said.mean,
        }
    )
