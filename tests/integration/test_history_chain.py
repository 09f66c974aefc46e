"""What led to an exchange and what followed, and two exchanges side by side."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import event
from support.embedding import WordEmbedder
from support.pipelines import word_pipeline

from rag_pipeline.cli.main import cli
from rag_pipeline.pipeline import RagPipeline
from storage.errors import NotFoundError
from storage.prompts.conversations import chain_to
from storage.records import LOCAL_OWNER, Principal, PromptId

TEXTS = ("The mill of Kesh is 32 metres high.", "Mara Voss built the mill of Kesh in 1832.")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def rag(home: Path) -> Iterator[RagPipeline]:
    with word_pipeline(home, embedder=WordEmbedder(dimension=256)) as pipeline:
        ingest(pipeline)
        yield pipeline


@pytest.fixture
def any_rag(home: Path, database_url: str) -> Iterator[RagPipeline]:
    embedder = WordEmbedder(dimension=256)
    with word_pipeline(home, database=database_url, embedder=embedder) as pipeline:
        ingest(pipeline)
        yield pipeline


def ingest(rag: RagPipeline) -> None:
    records = [{"_id": str(at), "title": "", "text": text} for at, text in enumerate(TEXTS)]
    rag.ingest_records(records, source="test")


def ask(rag: RagPipeline, question: str, after: str | None = None, user: str = "ada") -> str:
    return rag.ask(question, parent_id=after, user=user, extractive=True).prompt_id


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--home", str(home), "history", *arguments])


def test_a_chain_of_any_length_is_asked_for_in_one_statement(any_rag: RagPipeline) -> None:
    keys = [ask(any_rag, "How high is the mill of Kesh?")]
    for _ in range(7):
        keys.append(ask(any_rag, "Who built it?", keys[-1]))
    database = any_rag.parts.database
    statements: list[str] = []
    listener = lambda *given: statements.append(given[2])  # noqa: E731 - SQLAlchemy hands over six
    event.listen(database.engine, "before_cursor_execute", listener)
    found = chain_to(database, PromptId(keys[-1]), principal=LOCAL_OWNER, limit=100)
    assert [one.prompt_id for one in found] == keys
    assert sum("prompts" in statement for statement in statements) == 1
    last = chain_to(database, PromptId(keys[-1]), principal=LOCAL_OWNER, limit=3)
    assert [one.prompt_id for one in last] == keys[-3:]
    (alone,) = chain_to(database, PromptId(keys[-1]), principal=LOCAL_OWNER, limit=1)
    assert alone.prompt_id == keys[-1]


def test_a_chain_ends_where_somebody_elses_exchange_begins(any_rag: RagPipeline) -> None:
    first = ask(any_rag, "How high is the mill of Kesh?", user="ada")
    second = ask(any_rag, "Who built it?", first, user="bo")
    third = ask(any_rag, "And when?", second, user="bo")
    database, bo = any_rag.parts.database, Principal(name="bo")
    found = chain_to(database, PromptId(third), principal=bo, limit=9)
    assert [one.prompt_id for one in found] == [second, third]
    with pytest.raises(NotFoundError):
        chain_to(database, PromptId(first), principal=bo, limit=9)
    with pytest.raises(NotFoundError):
        chain_to(database, PromptId("f" * 24), principal=LOCAL_OWNER, limit=9)


def test_the_tree_is_drawn_with_what_came_before_and_after(rag: RagPipeline, home: Path) -> None:
    root = ask(rag, "How high is the mill of Kesh?")
    left = ask(rag, "Who built it?", root)
    ask(rag, "And when?", left)
    right = ask(rag, "Is it old?", root)
    rag.history.rate(right, 0.5)
    result = run(home, "chain", left)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line[:8].rstrip("0123456789abcdef") for line in lines] == ["", "├─ * ", "│  └─ ", "└─ "]
    assert left in lines[1]
    assert "rated 0.50" in lines[3]
    told = json.loads(run(home, "chain", left, "--json").stdout)
    assert (told["root"], told["prompt_id"], len(told["prompts"])) == (root, left, 4)
    assert [one["is_asked"] for one in told["prompts"]].count(True) == 1
    # A long conversation needs no deep stack.
    for _ in range(8):
        left = ask(rag, "And when?", left)
    assert len(run(home, "chain", root).stdout.splitlines()) == 12
    assert "no prompt" in run(home, "chain", "nothing").stderr


def test_two_exchanges_are_told_apart_word_by_word(rag: RagPipeline, home: Path) -> None:
    before = ask(rag, "How high is the mill of Kesh?")
    after = rag.ask("Who built the mill of Kesh?").prompt_id
    result = run(home, "diff", before, after)
    assert result.exit_code == 0
    assert "question    [-How high is-]{+Who built+} the mill of Kesh?" in result.stdout
    assert "model       extractive → echo" in result.stdout
    told = json.loads(run(home, "diff", before, after, "--json").stdout)
    assert told["answer"]["changed"] is True
    assert (
        "".join(text for kind, text in told["answer"]["words"] if kind != "gone")
        == (told["after"]["answer"])
    )
    assert {"model", "weights_sha256"} <= {*told["made_with"]}
    assert told["identical"] is False
    same = run(home, "diff", before, before)
    assert same.stdout.splitlines()[-1] == "nothing differs"
    assert run(home, "diff", before, "nothing").exit_code == 1
