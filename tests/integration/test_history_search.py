"""Past exchanges by their words, by their meaning, and page by page."""

import csv
import io
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import delete, func, select, update
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.cli.main import cli
from rag_pipeline.errors import QueryError
from rag_pipeline.pipeline import RagPipeline
from storage.engine import Database
from storage.errors import FilterError, InvalidRecordError
from storage.history import History
from storage.models.prompt_search import (
    PromptFactsRow,
    PromptPostingRow,
    PromptQuestionRow,
    QuestionVectorRow,
)
from storage.models.prompts import CitationRow, EvidenceRow, PromptRow, PromptTagRow
from storage.models.rollups import ScoringRow
from storage.prompts.listing import PromptListing, PromptsWanted
from storage.records import LOCAL_OWNER, Principal, PromptEnd, PromptStart, Score
from storage.words import UNSTORABLE
from storage.words_query import MAX_QUERY_CHARACTERS

EVE = Principal(name="eve")
WORDS_ASKED = (
    "lighthouse keeper",
    'the "lighthouse keeper"',
    '"keeper lighthouse"',
    "light*",
    "LIGHTHOUSE",
    "cafe",
    "CAFÉ",
)


def recorded(database: Database, question: str, answer: str | None = None, **given: object) -> str:
    values: dict[str, object] = {
        "user": "eve",
        "session": None,
        "parent_id": None,
        "collection": "default",
        "generation": 1,
        "model": "tiny",
        "weights_sha256": "w",
        "template_sha256": "t",
        "rendered": question,
        "sampling": {},
        "evidence": (),
        **given,
    }
    history = History(database)
    key = history.start(PromptStart(question=question, **values), principal=LOCAL_OWNER)  # type: ignore[arg-type]
    if answer is not None:
        end = PromptEnd(answer=answer, state="no_evidence", citations=(), usage={}, timings={})
        history.complete(key, end)
    return key


def found(database: Database, words: str, **given: object) -> list[str]:
    wanted = PromptsWanted(principal=LOCAL_OWNER, words=words, **given)  # type: ignore[arg-type]
    listed = PromptListing(database).page(wanted, limit=100)
    assert PromptListing(database).count(wanted) == len(listed)
    return [one.prompt.prompt_id for one in listed]


def test_words_phrases_beginnings_and_accents_are_found(database: Database) -> None:
    both = recorded(database, "Who is the lighthouse keeper?", "Nobody knows.")
    apart = recorded(database, "A keeper of which lighthouse?")
    answered = recorded(database, "Where was coffee served?", "In the Café, by e-mail: a@b.org.")
    assert [set(found(database, asked)) for asked in WORDS_ASKED] == [
        {both, apart},
        {both},
        set(),
        {both, apart},
        {both, apart},
        {answered},
        {answered},
    ]
    assert found(database, "a@b.org") == [answered]
    assert found(database, "house") == []


@pytest.mark.parametrize(
    "words",
    [
        '"',
        '""',
        "*",
        "NEAR(a b)",
        "question: tin",
        "tin AND OR NOT",
        "' | ! & <-> :*",
        "{tin} ^mine",
        "\\",
        "tin\\'; --",
        "\x00tin",
        "\ud800tin",
        "(" * 500,
        '"unclosed tin',
        "ti*n",
        "-tin",
        "𝔱𝔦𝔫",
    ],
)
def test_no_text_breaks_a_search(database: Database, words: str) -> None:
    recorded(database, "Where was tin mined?")
    everything = PromptsWanted(principal=LOCAL_OWNER)
    assert len(PromptListing(database).fittest(words, everything, limit=3)) <= 1
    if UNSTORABLE.search(words):
        with pytest.raises(FilterError, match="NUL|surrogate"):
            found(database, words)
    else:
        assert len(found(database, words)) <= 1


def test_a_query_that_is_too_long_is_refused_in_a_line(tmp_path: Path) -> None:
    with word_pipeline(tmp_path / "kb") as rag:
        for asked in (
            "x" * (MAX_QUERY_CHARACTERS + 1),
            "x" * 10_000_000,
            " ".join(map(str, range(200))),
        ):
            with pytest.raises(InvalidRecordError, match="can't be looked for; give") as refused:
                rag.history.search(asked)
            assert len(str(refused.value)) < 200
        with pytest.raises(QueryError, match="no word to look for"):
            rag.history.search(" ?! ")


def test_what_is_said_otherwise_is_found_so_and_no_longer_as_before(database: Database) -> None:
    key = recorded(database, "Where was tin mined?", "In the south.")
    with database.write() as connection:
        changed = {"question": "[gone]", "answer": "[gone]", "user_id": PromptRow.user_id}
        connection.execute(update(PromptRow).where(PromptRow.prompt_id == key).values(changed))
    assert found(database, "tin") == found(database, "south") == []
    assert found(database, "gone") == [key]


def test_a_deleted_exchange_leaves_nothing_to_find_it_by(database: Database) -> None:
    key = recorded(database, "Where was tin mined?", "In the south.", tags=("a", "b"))
    with database.write() as connection:
        for table in (ScoringRow, PromptTagRow, EvidenceRow, CitationRow, PromptRow):
            connection.execute(delete(table).where(table.prompt_id == key))
        for table in (PromptFactsRow, PromptPostingRow, PromptQuestionRow, QuestionVectorRow):
            assert connection.execute(select(func.count()).select_from(table)).scalar() == 0
    assert found(database, "tin") == []


def test_what_fits_best_comes_first(database: Database) -> None:
    once = recorded(database, "Was there anything else but tin?", "Copper, salt, and much else.")
    often = recorded(database, "Tin, tin?", "Tin.")
    for number in range(3):
        recorded(database, f"Something else {number}")
    ranked = PromptListing(database).fittest(
        "tin", PromptsWanted(principal=LOCAL_OWNER, user="eve"), limit=5
    )
    assert [one.prompt.prompt_id for one in ranked] == [often, once]
    assert found(database, "tin") == [often, once]


def test_others_exchanges_are_never_found(database: Database) -> None:
    recorded(database, "Where was tin mined?", user="ann", tags=("secret",))
    listing = PromptListing(database)
    for where in (None, "words = 'tin'", "tag = 'secret'", "not tag = 'x'"):
        from storage.filters import parse

        wanted = PromptsWanted(principal=EVE, where=parse(where) if where else None)
        assert listing.page(wanted, limit=5) == []
        assert listing.count(wanted) == 0
    assert listing.fittest("tin", PromptsWanted(principal=EVE), limit=5) == []


def test_two_who_rate_at_once_are_both_in_the_mean(database: Database) -> None:
    key = recorded(database, "Why?", "So.")
    at_once = threading.Barrier(6)

    def rate(number: int) -> None:
        at_once.wait()
        score = Score(value=number / 5, user=f"u{number}")
        History(database).rate(key, score, principal=LOCAL_OWNER)

    threads = [threading.Thread(target=rate, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        mean = connection.execute(select(PromptFactsRow.rating)).scalar_one()
    assert mean == pytest.approx(0.5)


@pytest.fixture
def rag(tmp_path: Path) -> RagPipeline:
    (tmp_path / "docs").mkdir()
    texts = {"a": "The lighthouse is 30 metres high.", "b": "Tin was mined in the south."}
    for name, text in texts.items():
        (tmp_path / "docs" / f"{name}.txt").write_text(text)
    rag = word_pipeline(tmp_path / "kb")
    rag.ingest(tmp_path / "docs")
    return rag


def test_past_questions_are_found_by_meaning_without_another_forward_pass(
    rag: RagPipeline,
) -> None:
    embedded: list[str] = []
    embedder = parts_of(rag).embedder
    embed = type(embedder).embed
    high, tin = "How high is the lighthouse?", "Where was tin mined?"
    asked = [
        rag.ask(question, user=user).prompt_id
        for question, user in ((high, "eve"), (tin, "eve"), (high, "ann"))
    ]
    first, *_ = rag.history.near(high, limit=3)
    assert [one.listed.prompt.prompt_id for one in rag.history.near(high, limit=2)] == [
        asked[2],
        asked[0],
    ]
    assert first.score == pytest.approx(1, abs=1e-3)
    (of_eve,) = rag.history.near("the lighthouse, how high", limit=1, user="eve")
    assert of_eve.listed.prompt.prompt_id == asked[0]
    with parts_of(rag).database.read() as connection:
        stored = connection.execute(select(QuestionVectorRow.vector)).scalars().all()
    assert len(stored) == 2
    expected = embed(embedder, [high])[0]
    assert any(np.allclose(np.frombuffer(one, "<f2"), expected, atol=2e-3) for one in stored)
    assert embedded == []
    with pytest.raises(QueryError, match="nothing to look for"):
        rag.history.near("  ")
    rag.close()


def test_a_cursor_goes_on_where_its_own_list_ended_and_nowhere_else(rag: RagPipeline) -> None:
    database = parts_of(rag).database
    keys = [recorded(database, f"tin {number}") for number in range(5)][::-1]
    page = rag.history.page(limit=2, words="tin")
    rest = rag.history.page(limit=9, words="tin", cursor=page.next_cursor)
    assert [one.prompt.prompt_id for one in (*page.items, *rest.items)] == keys
    assert rest.next_cursor is None
    assert [one.prompt.prompt_id for one in rag.history.all(words="tin")] == keys
    assert rag.history.count(where={"field": "words", "op": "=", "value": "tin"}) == 5
    for other in ({"words": "copper"}, {}, {"words": "tin", "user": "eve"}):
        with pytest.raises(QueryError, match="belongs to another list"):
            rag.history.page(cursor=page.next_cursor, **other)  # type: ignore[arg-type]
    for garbled in ("", "x", "é", "A" * 600, "bnVsbA", "WzEsMl0"):
        with pytest.raises(QueryError):
            rag.history.page(words="tin", cursor=garbled)
    rag.close()


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("costs > 1", "did you mean cost"),
        ("frobnicated = 1", "there are id, user, session"),
        ("rating > 1.5", "from 0 to 1"),
        ("score.helpful < -1", "from 0 to 1"),
        ("state = 'happy'", "'grounded', 'partial' or 'no_evidence'"),
        ("state > 'grounded'", "compared by = != and in alone"),
        ("seconds = 'long'", "holds numbers"),
        ("asked > 'noon'", "holds times"),
        ("words like 't%'", "looked for by = alone"),
        ("commented = 1", "holds true or false"),
        ("user = 'a' and", "expected"),
        ("x" * 30_000, "at most"),
    ],
)
def test_a_filter_that_means_nothing_is_refused_in_a_line(
    tmp_path: Path, where: str, said: str
) -> None:
    with word_pipeline(tmp_path / "kb") as rag, pytest.raises(FilterError, match=said) as refused:
        rag.history.list(where=where)
    assert "\n" not in str(refused.value)


def test_a_list_is_printed_as_table_json_lines_and_csv(tmp_path: Path) -> None:
    with word_pipeline(tmp_path / "kb") as rag:
        recorded(parts_of(rag).database, "=HYPERLINK(1)", 'said "so",\nand more', tags=("b", "a"))
        recorded(parts_of(rag).database, "Plain?", "Yes.", session="talk")
    run = CliRunner()
    home = ("--home", str(tmp_path / "kb"))

    def printed(*arguments: str) -> str:
        ran = run.invoke(cli, [*home, "history", *arguments], catch_exceptions=False)
        assert ran.exit_code == 0, ran.output
        return ran.stdout

    assert [line.split(": ", 1)[1] for line in printed("list").splitlines()] == [
        "Plain?",
        "=HYPERLINK(1)",
    ]
    assert [one["question"] for one in json.loads(printed("list", "--json"))] == [
        "Plain?",
        "=HYPERLINK(1)",
    ]
    lines = printed("list", "--jsonl", "--fields", "question,tags", "-n", "0").splitlines()
    assert json.loads(lines[1]) == {"question": "=HYPERLINK(1)", "tags": ["a", "b"]}
    rows = list(csv.DictReader(io.StringIO(printed("list", "--csv"))))
    assert (rows[1]["question"], rows[1]["answer"], rows[1]["tags"]) == (
        "'=HYPERLINK(1)",
        'said "so",\nand more',
        "a,b",
    )
    assert json.loads(printed("list", "--cid", "talk", "-q", "plain", "--json"))
    assert printed("list", "--user", "nobody") == "nothing of that was asked\n"
    (hit,) = json.loads(printed("search", "hyperlink", "--json"))
    start, end = hit["matches"][0]
    assert hit["snippet"][start:end] == "HYPERLINK"
    assert json.loads(printed("show", hit["prompt_id"], "--json"))["messages"][0]["role"] == "user"
    misused = run.invoke(cli, [*home, "history", "list", "--json", "--fields", "frob"])
    assert misused.exit_code == 2
    assert "prompt_id" in misused.output
