"""`rag.history`: what was asked and answered, for whoever asks about it."""

import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag_pipeline.composition import Composition
from storage.records import (
    LOCAL_OWNER,
    AnswerState,
    Principal,
    PromptRecord,
    PromptStatus,
    Score,
)

if TYPE_CHECKING:
    from rag_pipeline.history.export import TrainingData, TrainingReport

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class PromptHistory:
    """What was asked and answered, as far as one principal may know."""

    parts: Composition
    principal: Principal

    def list(
        self,
        *,
        limit: int = 20,
        user: str | None = None,
        session: str | None = None,
        state: AnswerState | None = None,
        status: PromptStatus | None = None,
    ) -> Sequence[PromptRecord]:
        """The newest exchanges, newest first, without their evidence."""
        return self.parts.history.latest(
            principal=self.principal,
            limit=limit,
            user=user,
            session=session,
            state=state,
            status=status,
        )

    def show(self, prompt_id: str) -> PromptRecord:
        """One exchange, whole; a unique beginning of its id is enough.

        Raises `NotFoundError`.
        """
        return self.parts.history.show(prompt_id, principal=self.principal)

    def rate(
        self,
        prompt_id: str,
        value: float,
        *,
        metric: str = "rating",
        user: str | None = None,
        comment: str | None = None,
        correction: str | None = None,
    ) -> None:
        """Say how good an answer is, from 0 (wrong) to 1 (right), and what it should have been.

        Raises `NotFoundError`, `InvalidRecordError`.
        """
        score = Score(
            value=value,
            metric=metric,
            user=user or default_user(self.principal),
            comment=comment,
            correction=correction,
        )
        self.parts.history.rate(prompt_id, score, principal=self.principal)

    def export(
        self,
        path: PathLike,
        data: "TrainingData | None" = None,
        *,
        user: str | None = None,
        session: str | None = None,
        state: AnswerState | None = None,
        words: str = "",
        since: str | None = None,
        until: str | None = None,
        overwrite: bool = False,
    ) -> "TrainingReport":
        """Write exchanges as training data to `path`, a .jsonl or .parquet file.

        `since` and `until` are dates or times in ISO 8601. Raises `DatasetError`,
        `InvalidRecordError`.
        """
        from rag_pipeline.history.export import TrainingData, export_training_data
        from storage.prompt_listing import PromptsWanted, period

        begins, ends = period(since, until)
        wanted = PromptsWanted(
            principal=self.principal,
            user=user,
            session=session,
            state=state,
            status="completed",
            words=words,
            since=begins,
            before=ends,
        )
        return export_training_data(
            self.parts.database, wanted, Path(path), data or TrainingData(), overwrite=overwrite
        )


def default_user(principal: Principal) -> str:
    """The principal's name; for the local owner the name of the account."""
    if principal != LOCAL_OWNER:
        return principal.name
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return principal.name
