"""What people and rules say of answers: scores by metric, labels, comments, corrections."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection, Row, insert, select

from storage.bulk import rows_where
from storage.clock import now
from storage.engine import Database
from storage.errors import InvalidRecordError
from storage.models.access import UserRow
from storage.models.prompts import ScoreRow
from storage.names import check_name, check_text
from storage.prompts.access import resolved
from storage.prompts.askers import asker
from storage.prompts.rollups import recounted
from storage.records import Judge, Principal, PromptId, Score

_NEW = insert(ScoreRow)
_SCORES = (
    select(ScoreRow.__table__, UserRow.name.label("user"))
    .outerjoin(UserRow, UserRow.user_id == ScoreRow.user_id)
    .order_by(ScoreRow.score_id)
)


def rate(database: Database, prompt_id: str, score: Score, *, principal: Principal) -> PromptId:
    """Put on record what a person says of an answer; a unique beginning of its id is enough.

    Raises `NotFoundError` for a prompt that the principal may not read, `InvalidRecordError` for
    a value that is not from 0 to 1, and for a score that says nothing.
    """
    check_score(score)
    if score.user is None:
        raise InvalidRecordError("a person's score names no user; say who gives it")
    with database.write() as connection:
        key = resolved(connection, prompt_id, principal)
        user_id = asker(connection, score.user).user_id
        with recounted(connection, [key]):
            add_scores(connection, key, [score], user_id=user_id)
    return key


def check_score(score: Score) -> None:
    """Raise `InvalidRecordError` for what can't be kept."""
    for name, what in (
        (score.user, "a user"),
        (score.metric, "a metric"),
        (score.label, "a label"),
        (score.judge_name, "a judge"),
        (score.judge_version, "a judge's version"),
    ):
        check_name(name, what)
    check_text(score.comment, "the comment")
    check_text(score.correction, "the correction")
    if score.value is not None and not 0 <= score.value <= 1:
        raise InvalidRecordError(f"a score of {score.value} is out of range; use 0 to 1")
    if (score.value, score.label, score.comment, score.correction) == (None,) * 4:
        raise InvalidRecordError(
            "a score says nothing; give a value, a label, a comment or a correction"
        )


def add_scores(
    connection: Connection, prompt_id: str, scores: Sequence[Score], *, user_id: int | None
) -> None:
    """Put scores on record, by a user or, without one, by an automatic judge.

    To count them is for the caller.
    """
    rows = [
        {
            "prompt_id": prompt_id,
            "judge": score.judge,
            "user_id": user_id,
            "judge_name": score.judge_name,
            "judge_version": score.judge_version,
            "metric": score.metric,
            "value": score.value,
            "label": score.label,
            "comment": score.comment,
            "correction": score.correction,
            "created_at": score.created_at or now(),
        }
        for score in scores
    ]
    if rows:
        connection.execute(_NEW, rows)


def all_scores(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[Score, ...]]:
    """What was said of each of these prompts' answers, oldest first."""
    found: dict[str, list[Score]] = {}
    for row in rows_where(connection, _SCORES, ScoreRow.prompt_id, keys):
        found.setdefault(row.prompt_id, []).append(_score(row))
    return {key: tuple(scores) for key, scores in found.items()}


def _score(row: Row[*tuple[Any, ...]]) -> Score:
    return Score(
        value=row.value,
        metric=row.metric,
        judge=cast(Judge, row.judge),
        user=row.user,
        judge_name=row.judge_name,
        judge_version=row.judge_version,
        label=row.label,
        comment=row.comment,
        correction=row.correction,
        created_at=row.created_at,
    )
