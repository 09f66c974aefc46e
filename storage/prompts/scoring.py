"""The queue of completed answers that automatic judges have yet to see.

An answer is put into it with its completion and taken out with its scores, each in one
transaction: whatever is killed in between, no answer is forgotten and none is scored twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, func, insert, or_, select

from storage.bulk import rows_where
from storage.engine import Database
from storage.inserting import leave_known
from storage.models.prompts import PromptRow, ScoreRow
from storage.models.rollups import ScoringRow
from storage.prepared import change
from storage.prompts.rollups import recounted
from storage.prompts.scores import add_scores, check_score
from storage.records import PromptId, Score

_NEW = insert(ScoringRow)


def enqueue(connection: Connection, prompt_id: str) -> None:
    """Let the automatic judges see an answer that was just completed."""
    change(connection, _NEW, [{"prompt_id": prompt_id}])


@dataclass(frozen=True, slots=True)
class ScoringQueue:
    """What waits to be judged, oldest first."""

    database: Database

    def waiting(self) -> int:
        """How many answers."""
        with self.database.read() as connection:
            found: int = connection.execute(select(func.count(ScoringRow.prompt_id))).scalar_one()
            return found

    def next(self, limit: int) -> list[PromptId]:
        """The first of them; they stay in the queue until `settle`."""
        statement = select(ScoringRow.prompt_id).order_by(ScoringRow.prompt_id).limit(limit)
        with self.database.read() as connection:
            return [PromptId(key) for key in connection.execute(statement).scalars()]

    def settle(self, judged: Mapping[PromptId, Sequence[Score]]) -> int:
        """Keep what was judged of answers, and take them out of the queue.

        What somebody else has settled in the meantime, or deleted, is left as it is. Returns how
        many answers were settled.
        """
        for scores in judged.values():
            for score in scores:
                check_score(score)
        # Exchanges are locked before their places in the queue, as by whoever deletes both.
        with self.database.write() as connection, recounted(connection, sorted(judged)):
            waiting = self._taken(connection, sorted(judged))
            for prompt_id in waiting:
                add_scores(connection, prompt_id, judged[prompt_id], user_id=None)
        return len(waiting)

    def again(self, versions: Mapping[str, str]) -> int:
        """Put every completed answer into the queue that one of these judges, by name and
        version, has not scored. Returns how many are in the queue then."""
        lacking = [
            ~exists().where(
                ScoreRow.prompt_id == PromptRow.prompt_id,
                ScoreRow.judge_name == name,
                ScoreRow.judge_version == version,
            )
            for name, version in versions.items()
        ]
        wanted = select(PromptRow.prompt_id).where(PromptRow.status == "completed", or_(*lacking))
        with self.database.write() as connection:
            new = leave_known(ScoringRow, connection.dialect.name)
            connection.execute(new.from_select(["prompt_id"], wanted))
        return self.waiting()

    def _taken(self, connection: Connection, keys: Sequence[PromptId]) -> list[PromptId]:
        """Those of `keys` that were in the queue until now."""
        statement = select(ScoringRow.prompt_id).order_by(ScoringRow.prompt_id).with_for_update()
        found = [
            PromptId(row.prompt_id)
            for row in rows_where(connection, statement, ScoringRow.prompt_id, keys)
        ]
        connection.execute(delete(ScoringRow).where(ScoringRow.prompt_id.in_(found)))
        return found
