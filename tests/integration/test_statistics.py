"""Scores, counts and conversations, on both databases."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from click.testing import CliRunner
from sqlalchemy import text, update
from support.exchanges import answered, asked

from rag_pipeline.cli.main import cli
from rag_pipeline.errors import QueryError
from rag_pipeline.history.judges import Rule
from rag_pipeline.history.scoring import score_waiting
from rag_pipeline.history.sessions import conversation_page
from rag_pipeline.history.trends import trends
from storage import schema
from storage.engine import Database
from storage.errors import InvalidRecordError, NotFoundError
from storage.filters import parse
from storage.history import History
from storage.models.prompts import PromptRow
from storage.prompts.rollups import differences, recount, recounted
from storage.prompts.scoring import ScoringQueue
from storage.prompts.statistics import Counted, statistics
from storage.prompts.tags import PromptTags
from storage.records import LOCAL_OWNER, Principal, PromptId, Score

ANNA = Principal(name="anna")
PARTS = (
    "prompt_scoring",
    "prompt_scores",
    "prompt_tags",
    "citations",
    "prompt_evidence",
    "prompts",
)


def ask(
    database: Database, question: str = "Why?", at: datetime | None = None, **about
) -> PromptId:
    """The id of a completed exchange, begun at that time."""
    history = History(database)
    key = history.start(asked(question, **about), principal=LOCAL_OWNER)
    history.complete(key, answered(seconds=1.0))
    if at is not None:
        move(database, key, at)
    return key


def move(database: Database, key: PromptId, at: datetime) -> None:
    with database.write() as connection, recounted(connection, [key]):
        row = update(PromptRow).where(PromptRow.prompt_id == key)
        connection.execute(row.values(created_at=at))


def figures(database: Database, **about) -> dict[str, int]:
    counted = Counted(**{"principal": LOCAL_OWNER, **about})
    return {one.key: one.totals.of("prompts") for one in statistics(database, counted).groups}


def unlike(database: Database) -> list[str]:
    with database.read() as connection:
        return differences(connection)


def test_many_that_write_at_once_neither_wait_in_a_ring_nor_lose_a_count(
    database: Database,
) -> None:
    history, tags, queue = History(database), PromptTags(database), ScoringQueue(database)
    shared = [ask(database, user=name) for name in ("anna", "bert")]
    judged = Score(value=0.5, metric="m", judge="automatic", judge_name="j", judge_version="1")

    def work(number: int) -> None:
        mine = ask(database, user=f"user {number % 3}", tags=(f"t{number % 2}", "all"))
        for key in (mine, *shared[:: 1 if number % 2 else -1]):
            history.rate(key, Score(value=number % 2, user="judge"), principal=LOCAL_OWNER)
            tags.change(key, add=[f"t{number % 4}"], remove=["all"], principal=LOCAL_OWNER)
        queue.settle({key: [judged] for key in queue.next(3)})
        if number % 4 == 0:
            with database.write() as connection:
                with recounted(connection, [mine]):
                    for table in PARTS:
                        deleted = text(f"DELETE FROM {table} WHERE prompt_id = :key")
                        connection.execute(deleted, {"key": mine})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))
    assert unlike(database) == []
    assert sum(figures(database).values()) == 2 + 18


def test_who_settles_scores_and_who_deletes_the_same_exchange_wait_in_one_order(
    database: Database,
) -> None:
    key = ask(database, user="anna")
    judged = Score(value=0.5, metric="m", judge="automatic", judge_name="j", judge_version="1")
    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection, recounted(connection, [key]):
            settling = pool.submit(ScoringQueue(database).settle, {key: [judged]})
            time.sleep(0.3)  # until it waits
            for table in PARTS:
                deleted = text(f"DELETE FROM {table} WHERE prompt_id = :key")
                connection.execute(deleted, {"key": key})
        assert settling.result() == 0
    assert unlike(database) == []


def test_any_span_of_days_counts_the_same_from_months_as_from_days(database: Database) -> None:
    days = [
        datetime(2026, month, day, 12, tzinfo=UTC) for month in (1, 2, 4) for day in (1, 15, 28)
    ]
    for day in days:
        ask(database, at=day, model=f"m{day.day}")
    ends = [None, *(datetime(2026, m, d, tzinfo=UTC) for m, d in ((1, 1), (1, 2), (2, 1), (4, 28)))]
    for since in ends:
        for before in ends:
            expected = sum(
                (since is None or day >= since) and (before is None or day < before) for day in days
            )
            for by in ("model", "month"):
                found = figures(database, by=by, since=since, before=before)
                assert sum(found.values()) == expected, (since, before, by)


def test_what_rollups_cant_tell_is_counted_from_the_exchanges(database: Database) -> None:
    ask(database, user="anna", model="small", at=datetime(2026, 3, 1, 9, tzinfo=UTC))
    ask(database, user="anna", model="large", at=datetime(2026, 3, 1, 15, tzinfo=UTC))
    ask(database, user="bert", model="small", at=datetime(2026, 3, 2, 9, tzinfo=UTC))
    both = {"by": "day", "having": {"user": "anna", "model": "small"}}
    assert figures(database, **both) == {"2026-03-01": 1}
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert figures(database, by="model", since=noon) == {"large": 1, "small": 1}
    where = parse("user = 'anna' and model like 'l%'")
    assert figures(database, by="user", where=where) == {"anna": 1}
    counted = Counted(principal=LOCAL_OWNER, by="user", where=where)
    assert not statistics(database, counted).is_from_rollups


def test_others_than_the_owner_count_their_own_alone(database: Database) -> None:
    ask(database, user="anna", model="small")
    ask(database, user="bert", model="large", tags=("secret",))
    assert figures(database, by="model", principal=ANNA) == {"small": 1}
    assert figures(database, by="tag", principal=ANNA) == {}
    assert figures(database, by="user", principal=ANNA) == {"anna": 1}
    assert figures(database, by="day", principal=ANNA, having={"user": "bert"}) == {}
    assert figures(database, by="tag", principal=ANNA, having={"tag": "secret"}) == {}


def test_what_is_open_counts_until_it_ends(database: Database) -> None:
    history = History(database)
    key = history.start(asked(), principal=LOCAL_OWNER)
    (group,) = statistics(database, Counted(principal=LOCAL_OWNER)).groups
    assert (group.totals.started, group.totals.of("completed")) == (1, 0)
    history.fail(key, error="no")
    (group,) = statistics(database, Counted(principal=LOCAL_OWNER)).groups
    assert (group.totals.started, group.totals.of("failed")) == (0, 1)


def test_wrong_counts_are_found_and_made_anew(database: Database) -> None:
    ask(database, tags=("odd",))
    with database.write() as connection:
        connection.execute(text("UPDATE prompt_rollups SET grounded = 7 WHERE dimension = 'tag'"))
        connection.execute(text("DELETE FROM prompt_latency_rollups WHERE dimension = 'model'"))
    found = unlike(database)
    assert len(found) == 2
    assert "--recount" in found[0]
    with database.write() as connection:
        recount(connection)
    assert unlike(database) == []


def test_a_removed_tag_is_named_nowhere_in_the_counts(database: Database) -> None:
    key = ask(database, tags=("a name",))
    PromptTags(database).change(key, remove=["a name"], principal=LOCAL_OWNER)
    with database.read() as connection:
        found = connection.execute(text("SELECT DISTINCT value FROM prompt_rollups")).scalars()
        assert "a name" not in set(found)


def test_a_label_a_comment_or_a_correction_needs_no_value(database: Database) -> None:
    history, key = History(database), ask(database)
    history.rate(key[:20], Score(value=None, user="anna", label="too long"), principal=ANNA)
    history.rate(key, Score(value=1.0, user="anna"), principal=ANNA)
    history.rate(key, Score(value=None, user="anna", comment="Still."), principal=ANNA)
    assert history.show(key, principal=ANNA).scores[0].label == "too long"
    (group,) = statistics(database, Counted(principal=ANNA)).groups
    assert group.totals.opinions["human", "rating"].mean == 1.0
    for nothing in (Score(value=None, user="anna"), Score(value=1.0), Score(value=2, user="anna")):
        with pytest.raises(InvalidRecordError):
            history.rate(key, nothing, principal=ANNA)
    with pytest.raises(NotFoundError):
        history.rate(key, Score(value=1.0, user="bert"), principal=Principal(name="bert"))
    assert len(history.show(key, principal=ANNA).scores) == 3


class Killed(BaseException):
    """Stands for the end of the process."""


def test_judging_that_is_killed_goes_on_where_it_was_and_judges_nothing_twice(
    database: Database,
) -> None:
    keys = [ask(database) for _ in range(5)]
    seen: list[str] = []

    def judge(prompt) -> float:
        if len(seen) == 3:
            raise Killed
        seen.append(prompt.prompt_id)
        return 0.5

    rules = (Rule("j", "1", "m", judge),)
    assert score_waiting(database, rules, limit=2).waiting == 3
    with pytest.raises(Killed):
        score_waiting(database, rules)
    assert ScoringQueue(database).waiting() == 3
    steady = (Rule("j", "1", "m", lambda prompt: 0.5),)
    assert score_waiting(database, steady).answers == 3
    assert score_waiting(database, steady).answers == 0
    assert score_waiting(database, steady, again=True).answers == 0
    newer = (Rule("j", "2", "m", lambda prompt: None),)
    assert score_waiting(database, newer, again=True).answers == 5
    for key in keys:
        said = History(database).show(key, principal=LOCAL_OWNER).scores
        assert [(one.judge_version, one.value) for one in said] == [("1", 0.5), ("2", None)]
    assert unlike(database) == []


def test_conversations_come_page_by_page_for_those_who_may_read_them(database: Database) -> None:
    for number in range(5):
        for _ in range(number + 1):
            ask(database, f"Question {number}?", session=f"s{number}")
    ask(database, user="bert", session="s0")
    ask(database)
    first = conversation_page(database, ANNA, limit=3)
    rest = conversation_page(database, ANNA, limit=3, cursor=first.next_cursor)
    found = [(one.session, one.prompts) for one in (*first.items, *rest.items)]
    assert found == [("s4", 5), ("s3", 4), ("s2", 3), ("s1", 2), ("s0", 1)]
    assert rest.next_cursor is None
    newest = first.items[0]
    assert (newest.last_question, newest.last_state) == ("Question 4?", "grounded")
    assert newest.first_at < newest.last_at
    assert conversation_page(database, LOCAL_OWNER, limit=1).items[0].user == "bert"
    with pytest.raises(QueryError):
        conversation_page(database, LOCAL_OWNER, limit=3, cursor=first.next_cursor)


def test_trends_name_what_rose_and_what_fell(database: Database) -> None:
    noon = datetime.now(UTC).replace(hour=12)
    for number in range(30):
        ask(database, "How high is the lighthouse?", noon - timedelta(days=10 + number % 5))
        ask(database, "Where is my refund?", noon - timedelta(days=1 + number % 5))
        ask(database, "Is the harbour open?", noon - timedelta(days=1 + number % 12))
    found = trends(database, LOCAL_OWNER, days=8)
    assert (found.now.prompts, found.before.prompts) == (30 + 20, 30 + 10)
    assert "refund" in {term.term for term in found.risen}
    assert "lighthouse" in {term.term for term in found.fallen}
    moved = {term.term for term in (*found.risen, *found.fallen)}
    assert not moved & {"harbour", "where", "how"}
    json.dumps(found.as_json())
    for days in (0, 10_000):
        with pytest.raises(InvalidRecordError):
            trends(database, LOCAL_OWNER, days=days)


def test_scores_survive_the_way_up_and_down(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    with database.write() as connection:
        command.upgrade(schema.alembic_config(connection), "0006")
    with database.write() as connection:
        for statement in _RATED:
            connection.execute(text(statement))
    schema.upgrade(database)
    with database.read() as connection:
        rows = connection.execute(text("SELECT judge, value FROM prompt_scores")).all()
        waiting = connection.execute(text("SELECT prompt_id FROM prompt_scoring")).scalars().all()
    assert [tuple(row) for row in rows] == [("human", 0.25)]
    assert waiting == ["0" * 24]
    (group,) = statistics(database, Counted(principal=LOCAL_OWNER)).groups
    assert (group.key, group.totals.opinions["human", "rating"].mean) == ("2026-01-02", 0.25)
    score_waiting(database, (Rule("j", "1", "m", lambda prompt: 0.5),))
    with database.write() as connection:
        command.downgrade(schema.alembic_config(connection), "0006")
    with database.read() as connection:
        rows = connection.execute(text("SELECT user_id, value, comment FROM prompt_scores")).all()
    assert [tuple(row) for row in rows] == [(1, 0.25, "No.")]
    schema.upgrade(database)
    assert unlike(database) == []
    database.close()


_RATED = (
    "INSERT INTO users (user_id, name, created_at) VALUES (1, 'anna', '2026-01-01 00:00:00')",
    "INSERT INTO prompts (prompt_id, user_id, collection, generation, question, rendered, model,"
    " weights_sha256, template_sha256, sampling, status, answer, state, created_at) VALUES"
    " ('000000000000000000000000', 1, 'default', 1, 'Why?', 'Why?', 'm', 'a', 'b', '{}',"
    " 'completed', 'Because.', 'grounded', '2026-01-02 10:00:00')",
    "INSERT INTO prompt_scores (prompt_id, user_id, metric, value, comment, created_at) VALUES"
    " ('000000000000000000000000', 1, 'rating', 0.25, 'No.', '2026-01-02 11:00:00')",
)


def run(home: Path, *words: str) -> str:
    done = CliRunner().invoke(cli, ["--home", str(home), "history", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_program_rates_judges_counts_and_draws(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    database = Database.in_file(home / "rag.db")
    schema.prepare(database)
    key = ask(database, session="tea", user="owner", tags=("a,b", "=1+1"))
    database.close()
    run(home, "rate", key[:20], "up", "--label", "exact", "--user", "owner")
    run(home, "rate", key, "0.25", "--metric", "clarity", "--comment", "Hm.", "--user", "owner")
    scored = json.loads(run(home, "score", "--json"))
    assert (scored["answers"], scored["waiting"]) == (1, 0)
    (group,) = json.loads(run(home, "stats", "--by", "model", "--json"))["groups"]
    means = {(one["judge"], one["metric"]): one["mean"] for one in group["scores"]}
    assert means["human", "rating"] == 1.0
    assert means["human", "clarity"] == 0.25
    assert means["automatic", "groundedness"] == 1.0
    assert '"a,b",1,1,1,0,0,0,7' in run(home, "stats", "--by", "tag", "--csv")
    assert "\n'=1+1,1,1," in run(home, "stats", "--by", "tag", "--csv")
    assert "tea" in run(home, "sessions")
    assert "30 days from" in run(home, "trends")
    for name in ("stats.png", "stats.svg"):
        run(home, "stats", "--by", "user", "--plot", str(tmp_path / name))
        assert (tmp_path / name).stat().st_size > 5_000
    run(home, "trends", "--plot", str(tmp_path / "trends.png"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rate", "x", "2"], "from 0 to 1"),
        (["rate", "x", "sideways"], "up or down"),
        (["rate", "x", "nan"], "from 0 to 1"),
        (["rate", "ffff", "up"], "no prompt"),
        (["stats", "--plot", "a.pdf"], "png"),
        (["stats", "--json", "--csv"], "two forms"),
        (["stats", "--where", "colour = 'red'"], "colour"),
        (["stats", "--since", "soon"], "neither a date"),
        (["trends", "--days", "0"], "out of range"),
        (["sessions", "--cursor", "garbled"], "cursor"),
        (["sessions", "-n", "0"], "out of range"),
    ],
)
def test_the_program_says_what_is_wrong(tmp_path: Path, words: list[str], said: str) -> None:
    done = CliRunner().invoke(cli, ["--home", str(tmp_path), "history", *words])
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
