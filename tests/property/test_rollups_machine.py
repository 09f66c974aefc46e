"""Statistics against a plain list of what was asked, whatever happens to it in whatever order."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, update

from storage.engine import Database
from storage.history import History
from storage.models.prompts import PromptRow, PromptTagRow, ScoreRow
from storage.models.rollups import ScoringRow
from storage.prompts.latency import RELATIVE_ERROR, quantile
from storage.prompts.rollups import differences, recount, recounted
from storage.prompts.scoring import ScoringQueue
from storage.prompts.statistics import Counted, statistics
from storage.prompts.tags import PromptTags
from storage.records import LOCAL_OWNER, Principal, PromptEnd, PromptId, PromptStart, Score

FIRST = date(2026, 1, 30)
days = st.integers(0, 40).map(lambda more: FIRST + timedelta(days=more))
values = st.sampled_from([0.0, 0.25, 0.5, 1.0, 1 / 3])


@dataclass(frozen=True)
class Known:
    user: str
    model: str
    application: str | None
    category: str | None
    day: date
    status: str = "started"
    state: str | None = None
    seconds: float | None = None
    tags: frozenset[str] = frozenset()
    said: dict[tuple[str, str, str], float] = field(default_factory=dict)
    """By judge, metric and who."""

    def keys(self, by: str) -> set[str]:
        if by == "day":
            return {self.day.isoformat()}
        if by == "month":
            return {self.day.replace(day=1).isoformat()}
        if by == "week":
            return {(self.day - timedelta(days=self.day.weekday())).isoformat()}
        if by == "tag":
            return set(self.tags)
        return {getattr(self, by)} - {None}


class Rollups(RuleBasedStateMachine):
    prompts = Bundle("prompts")

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database, self.history, self.known = database, History(database), {}
        with database.write() as connection:
            for table in (ScoringRow, ScoreRow, PromptTagRow, PromptRow):
                connection.execute(delete(table))
            recount(connection)

    @rule(
        target=prompts,
        user=st.sampled_from(["anna", "bert"]),
        model=st.sampled_from(["small", "x" * 300]),
        application=st.sampled_from([None, "shop"]),
        category=st.sampled_from([None, "price"]),
        tags=st.sets(st.sampled_from(["a", "b"])),
        day=days,
    )
    def ask(self, user, model, application, category, tags, day):
        prompt = PromptStart(
            question="Why?",
            user=user,
            session=None,
            parent_id=None,
            collection="default",
            generation=1,
            model=model,
            weights_sha256="a" * 64,
            template_sha256="b" * 64,
            rendered="Why?",
            sampling={},
            evidence=(),
            application=application,
            category=category,
            tags=tuple(tags),
        )
        key = self.history.start(prompt, principal=LOCAL_OWNER)
        at = datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC)
        with self.database.write() as connection, recounted(connection, [key]):
            connection.execute(
                update(PromptRow).where(PromptRow.prompt_id == key).values(created_at=at)
            )
        self.known[key] = Known(user, model[:200], application, category, day, tags=frozenset(tags))
        return key

    @rule(
        key=prompts,
        state=st.sampled_from(["grounded", "partial", "no_evidence"]),
        seconds=st.none() | st.floats(0, 500),
        cost=st.sampled_from([None, 0.125]),
    )
    def complete(self, key, state, seconds, cost):
        if self.known[key].status != "started":
            return
        end = PromptEnd(
            answer="Because.",
            state=state,
            citations=(),
            usage={"prompt_tokens": 3, "completion_tokens": 2},
            timings={},
            seconds=seconds,
            cost=cost,
        )
        self.history.complete(key, end)
        self.known[key] = replace(self.known[key], status="completed", state=state, seconds=seconds)

    @rule(key=prompts, status=st.sampled_from(["failed", "cancelled"]))
    def fail(self, key, status):
        if self.known[key].status == "started":
            self.history.fail(key, error="no", status=status)
            self.known[key] = replace(self.known[key], status=status)

    @rule(key=prompts, user=st.sampled_from(["anna", "carl"]), value=st.none() | values)
    def rate(self, key, user, value):
        score = Score(value=value, user=user, label="odd")
        self.history.rate(key, score, principal=LOCAL_OWNER)
        if value is not None:
            self.known[key].said["human", "rating", user] = value

    @rule(value=values, version=st.sampled_from(["1", "2"]))
    def judge(self, value, version):
        queue = ScoringQueue(self.database)
        waiting = queue.next(100)
        assert set(waiting) <= {k for k, known in self.known.items() if known.status == "completed"}
        score = Score(
            value=value, metric="clarity", judge="automatic", judge_name="j", judge_version=version
        )
        assert queue.settle({key: [score] for key in waiting}) == len(waiting)
        assert queue.settle({key: [score] for key in waiting}) == 0
        for key in waiting:
            self.known[key].said["automatic", "clarity", "j"] = value

    @rule()
    def judge_again(self):
        done = {key for key, known in self.known.items() if known.status == "completed"}
        assert ScoringQueue(self.database).again({"j": "9"}) == len(done)

    @rule(
        key=prompts,
        add=st.sets(st.sampled_from(["a", "b", "c"])),
        remove=st.sets(st.sampled_from(["a", "b", "c"])),
    )
    def tag(self, key, add, remove):
        PromptTags(self.database).change(key, principal=LOCAL_OWNER, add=add, remove=remove)
        known = self.known[key]
        self.known[key] = replace(known, tags=(known.tags | add) - remove)

    @rule(key=prompts, category=st.sampled_from([None, "delay"]))
    def categorise(self, key, category):
        PromptTags(self.database).categorise(key, category, principal=LOCAL_OWNER)
        self.known[key] = replace(self.known[key], category=category)

    @rule(keys=st.lists(consumes(prompts), max_size=3, unique=True))
    def forget(self, keys: list[PromptId]):
        with self.database.write() as connection, recounted(connection, keys):
            for table in (ScoringRow, ScoreRow, PromptTagRow, PromptRow):
                connection.execute(delete(table).where(table.prompt_id.in_(keys)))
        for key in keys:
            del self.known[key]

    @invariant()
    def nothing_differs(self):
        with self.database.read() as connection:
            assert differences(connection) == []

    @rule(
        by=st.sampled_from(
            [
                "day",
                "week",
                "month",
                "user",
                "model",
                "collection",
                "application",
                "category",
                "tag",
            ]
        ),
        who=st.sampled_from([LOCAL_OWNER, Principal(name="anna")]),
        having=st.sampled_from([{}, {"tag": "a"}, {"user": "anna"}, {"user": "bert", "tag": "b"}]),
        since=st.none() | days,
        before=st.none() | days,
        hour=st.sampled_from([0, 23]),
    )
    def count(self, by, who, having, since, before, hour):
        begins, ends = (
            None if day is None else datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
            for day in (since, before)
        )
        asked = Counted(principal=who, by=by, having=having, since=begins, before=ends)
        found = {group.key: group.totals for group in statistics(self.database, asked).groups}
        expected: dict[str, list[Known]] = {}
        for known in self.known.values():
            at = datetime(known.day.year, known.day.month, known.day.day, 23, 59, tzinfo=UTC)
            if (
                (who.is_owner or known.user == who.name)
                and known.user == having.get("user", known.user)
                and ("tag" not in having or having["tag"] in known.tags)
                and (begins is None or at >= begins)
                and (ends is None or at < ends)
            ):
                for key in ("default",) if by == "collection" else known.keys(by):
                    if by != "tag" or key == having.get("tag", key):
                        expected.setdefault(key, []).append(known)
        assert found.keys() == expected.keys()
        for key, totals in found.items():
            self.same(totals, expected[key])

    def same(self, totals, those):
        assert totals.of("prompts") == len(those)
        statuses = Counter(known.status for known in those)
        for status in ("completed", "failed", "cancelled"):
            assert totals.of(status) == statuses[status]
        assert totals.started == statuses["started"]
        states = Counter(known.state for known in those)
        for state in ("grounded", "partial", "no_evidence"):
            assert totals.of(state) == states[state]
        assert totals.of("prompt_tokens") == 3 * statuses["completed"]
        times = sorted(known.seconds for known in those if known.seconds is not None)
        assert totals.of("timed") == len(times)
        if times:
            middle = times[(len(times) - 1) // 2]
            about = quantile(totals.latencies, 0.5)
            assert abs(about - max(middle, 1e-6)) <= RELATIVE_ERROR * max(middle, 1e-6) + 1e-6
        for judge, metric in (("human", "rating"), ("automatic", "clarity")):
            said = [v for one in those for k, v in one.said.items() if k[:2] == (judge, metric)]
            opinion = totals.opinions.get((judge, metric))
            assert (opinion.scores if opinion else 0) == len(said)
            if opinion and said:
                assert abs(opinion.mean - sum(said) / len(said)) < 1e-6
                assert opinion.ups == sum(value > 0.5 for value in said)
                assert opinion.downs == sum(value < 0.5 for value in said)


def test_statistics_are_what_counting_the_exchanges_gives(database: Database) -> None:
    run_state_machine_as_test(
        lambda: Rollups(database),
        settings=settings(
            max_examples=12,
            stateful_step_count=30,
            suppress_health_check=list(HealthCheck),
        ),
    )
