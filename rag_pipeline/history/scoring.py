"""Works off the queue of answers that wait for automatic judges: safe to kill, and to run twice."""

from dataclasses import dataclass
from typing import Any

from rag_pipeline.history.judges import Rule
from storage.engine import Database
from storage.prompts.export import whole_prompts
from storage.prompts.scoring import ScoringQueue

_AT_A_TIME = 200


@dataclass(frozen=True, slots=True)
class Scored:
    """What was done, and what is left."""

    answers: int
    waiting: int
    judges: tuple[Rule, ...]

    def as_json(self) -> dict[str, Any]:
        """The stable interface; keys may be added, none is changed."""
        return {
            "answers": self.answers,
            "waiting": self.waiting,
            "judges": [
                {"name": one.name, "version": one.version, "metric": one.metric}
                for one in self.judges
            ],
        }


def score_waiting(
    database: Database,
    rules: tuple[Rule, ...],
    *,
    limit: int | None = None,
    again: bool = False,
) -> Scored:
    """Judge the answers in the queue, or `limit` of them, oldest first.

    With `again`, first queue every answer that one of the judges has not scored in its version.
    """
    queue = ScoringQueue(database)
    if again:
        queue.again({rule.name: rule.version for rule in rules})
    done = 0
    while limit is None or done < limit:
        room = _AT_A_TIME if limit is None else min(_AT_A_TIME, limit - done)
        keys = queue.next(room)
        if not keys:
            break
        judged = {
            prompt.prompt_id: [rule.score(prompt) for rule in rules]
            for prompt in whole_prompts(database, keys)
        }
        done += queue.settle(judged)
    return Scored(done, queue.waiting(), rules)
