"""Past questions asked again: what was as it was comes out as it was, and what differs is told."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import update
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline
from support.tiny_model import write_model_folder

from rag_pipeline.cli import history_replay
from rag_pipeline.cli.main import cli
from rag_pipeline.errors import GenerationError
from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.generation.echo_model import EchoModel
from rag_pipeline.generation.language_model import GREEDY, Sampling, TextStream, Turn
from rag_pipeline.generation.transformers_model import TransformersModel
from rag_pipeline.history.errors import HistoryError
from rag_pipeline.history.replay import Replayed, Replaying
from rag_pipeline.history.replay_report import (
    ReplayReport,
    line,
    read_baseline,
    replay_criterion,
)
from rag_pipeline.pipeline import RagPipeline
from storage.errors import NotFoundError
from storage.models.prompts import PromptRow
from storage.prompts.templates import TemplateText
from storage.records import Principal

KINDS = ("tower", "bridge", "mill", "harbour", "cloister", "orchard")
NOW = Replaying(at="now")


def text_of(kind: str, height: int) -> str:
    return (
        f"The old {kind} of Kesh is {height} metres high. Mara Voss built the {kind} in"
        f" {1800 + height}. Visitors of the {kind} pay nothing."
    )


def ingest(rag: RagPipeline, **heights: int) -> None:
    records = [
        {"_id": kind, "title": "", "text": text_of(kind, heights.get(kind, 30 + at))}
        for at, kind in enumerate(KINDS)
    ]
    rag.ingest_records(records, source="test")


def opened(home: Path, database: str | None = None, **given: object) -> RagPipeline:
    embedder = WordEmbedder(dimension=256)
    return word_pipeline(home, database=database, embedder=embedder, **given)


@pytest.fixture
def rag(tmp_path: Path) -> Iterator[RagPipeline]:
    with opened(tmp_path / "home") as pipeline:
        ingest(pipeline)
        yield pipeline


@pytest.fixture
def any_rag(database_url: str, tmp_path: Path) -> Iterator[RagPipeline]:
    """On each database in turn."""
    with opened(tmp_path / "home", database_url) as pipeline:
        ingest(pipeline)
        yield pipeline


def asked_in_all_ways(rag: RagPipeline) -> list[str]:
    """Answers with a model and without, in conversations and under conditions of their own."""
    first = rag.ask("How high is the old tower of Kesh?", user="ada")
    extractive = rag.ask("How high is the old mill of Kesh?", extractive=True)
    rag.ask("Who built the bridge?", session="walk", user="ada")
    follow = rag.ask("And the harbour?", session="walk", user="ada")
    fork = rag.ask("And the cloister?", parent_id=first.prompt_id, user="bo")
    told = rag.ask(
        "And the orchard?",
        earlier=[Turn("user", "How high is the mill of Kesh?"), Turn("assistant", "32 m")],
        instructions="Answer in one word.",
    )
    sampled = rag.ask(
        "Who built the harbour?",
        sampling=Sampling(temperature=0.8, seed=11, stop=("zzz",)),
        strict=False,
    )
    unknown = rag.ask("What do penguins eat?")
    answers = (first, extractive, follow, fork, told, sampled, unknown)
    return [answer.prompt_id for answer in answers]


def replayed(rag: RagPipeline, keys: Sequence[str], how: Replaying | None = None) -> list[Replayed]:
    return [*rag.history.replay(keys, how)]


def identical(found: Sequence[Replayed]) -> list[bool]:
    return [one.difference is not None and one.difference.is_identical for one in found]


def changed(found: Sequence[Replayed]) -> list[bool]:
    assert [one.error for one in found] == [None] * len(found)
    return [one.difference is not None and one.difference.is_changed for one in found]


def test_answers_at_their_own_generation_come_out_as_they_were(any_rag: RagPipeline) -> None:
    keys = asked_in_all_ways(any_rag)
    before = any_rag.history.count()
    found = replayed(any_rag, keys)
    assert [(one.error, one.notes) for one in found] == [(None, ())] * len(keys)
    assert identical(found) == [True] * len(keys)
    ingest(any_rag, tower=95, mill=96)
    assert identical(replayed(any_rag, keys)) == [True] * len(keys)
    assert any_rag.history.count() == before


def test_a_changed_document_changes_exactly_the_answers_that_had_it_as_evidence(
    tmp_path: Path,
) -> None:
    settings = {"generation": {"passages": 1}}
    with opened(tmp_path, generator="extractive", **settings) as rag:
        ingest(rag)
        keys = [rag.ask(f"How high is the old {kind} of Kesh?").prompt_id for kind in KINDS]
        ingest(rag, mill=77)
        found = replayed(rag, keys, NOW)
        assert changed(found) == [kind == "mill" for kind in KINDS]
        (mill,) = (one.difference for one in found if "mill" in one.record.question)
        assert mill is not None
        assert [part.text for part in mill.words if part.kind != "same"] == [" 32", " 77"]
        assert (len(mill.evidence.came), len(mill.evidence.went)) == (1, 1)
        assert [one.quote for one in mill.citations_came] == [
            "The old mill of Kesh is 77 metres high."
        ]


def test_a_deleted_document_is_lost_and_its_sources_are_named(any_rag: RagPipeline) -> None:
    key = any_rag.ask("Who built the orchard?", extractive=True).prompt_id
    any_rag.remove(KINDS)
    any_rag.ingest_records([{"_id": "x", "text": "Penguins eat krill."}], source="test")
    (found,) = replayed(any_rag, [key], NOW)
    assert found.difference is not None
    assert found.difference.after.state == "no_evidence"
    assert {*found.sources} >= {one.chunk_id for one in found.difference.evidence.went}
    report = ReplayReport()
    report.add(found)
    assert report.figure("lost") == 1


class _Overheard(TransformersModel):
    """Keeps what it writes."""

    written: list[str]

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        text = ""
        stream = super().generate(rendered, sampling=sampling)
        while True:
            try:
                piece = next(stream)
            except StopIteration as ended:
                self.written.append(text)
                return ended.value  # type: ignore[no-any-return]
            text += piece
            yield piece


def test_a_seeded_model_writes_the_same_words_again(tmp_path: Path) -> None:
    folder = write_model_folder(tmp_path / "tiny")
    model = _Overheard(folder, name="tiny", weights_sha256="0" * 64, threads=1)
    model.written = []
    with RagPipeline.open(
        tmp_path / "home", language_model=model, generation={"max_new_tokens": 12, "sentences": 1}
    ) as rag:
        parts_of(rag).embedder = WordEmbedder(dimension=256)
        records = [{"_id": kind, "text": f"A {kind} is old."} for kind in KINDS]
        rag.ingest_records(records, source="test")
        keys = [
            rag.ask(
                f"Is a {kind} old?",
                sampling=Sampling(max_new_tokens=12, temperature=0.9 * (at % 2), seed=at),
            ).prompt_id
            for at, kind in enumerate(KINDS[:4])
        ]
        before = sorted(model.written)
        assert len({*before}) > 1
        model.written.clear()
        assert identical(replayed(rag, keys, Replaying(jobs=3))) == [True] * len(keys)
        assert sorted(model.written) == before


def test_the_fence_on_record_is_used_again_and_only_then(rag: RagPipeline) -> None:
    question = "How high is the old tower of Kesh?"
    keys = [rag.ask(question).prompt_id for _ in range(3)]
    prompts = {rag.history.show(key).rendered for key in keys}
    assert len(prompts) == 3
    assert identical(replayed(rag, keys)) == [True] * 3


def test_a_record_from_before_circumstances_were_kept_is_replayed_by_what_it_holds(
    rag: RagPipeline,
) -> None:
    keys = asked_in_all_ways(rag)
    told = 4
    with rag.parts.database.write() as connection:
        connection.execute(update(PromptRow).values(circumstances=None))
    found = replayed(rag, [*keys[:told], *keys[told + 2 :]])
    assert identical(found) == [True] * (len(keys) - 2)
    assert all("does not say how it was asked" in one.notes[0] for one in found)


def test_whoever_may_read_less_is_not_answered_from_what_they_may_not_read(
    rag: RagPipeline,
) -> None:
    secret = [{"_id": "s", "text": "The vault of Kesh is 500 metres deep."}]
    rag.ingest_records(secret, source="closed", read_labels=frozenset({"board"}))
    question = "How deep is the vault of Kesh?"
    guest = rag.acting_for(Principal(name="gil"))
    board = rag.acting_for(Principal(name="bea", labels=frozenset({"board"})))
    asked = [one.ask(question, user=one.principal.name).prompt_id for one in (guest, board)]
    assert identical(replayed(rag, asked)) == [True, True]
    # Her labels of today decide, not those on her record.
    (found,) = replayed(rag.acting_for(Principal(name="bea")), asked[1:])
    assert found.difference is not None
    assert "500" in (found.difference.before.answer or "")
    assert "500" not in (found.difference.after.answer or "")
    assert not any("closed" in source for source in found.sources.values())
    with pytest.raises(NotFoundError):
        replayed(guest, asked[1:])


def test_what_goes_wrong_with_one_does_not_stop_the_others(rag: RagPipeline) -> None:
    keys = asked_in_all_ways(rag)
    with rag.parts.database.write() as connection:
        statement = update(PromptRow).where(PromptRow.prompt_id == keys[1])
        connection.execute(statement.values(collection="gone"))
        statement = update(PromptRow).where(PromptRow.prompt_id == keys[2])
        connection.execute(statement.values(circumstances={"principal": {}}))
    found = replayed(rag, keys)
    assert [one.error is None for one in found] == [True, False, False, *[True] * 4]
    assert "gone" in (found[1].error or "")
    report = ReplayReport()
    for one in found:
        report.add(one)
    report.judge([replay_criterion("changed > 0")])
    assert report.failures == ["failed > 0: failed is 2, the bound 0"]


def test_a_generation_that_is_not_there_is_told(rag: RagPipeline) -> None:
    key = rag.ask("How high is the old tower of Kesh?").prompt_id
    (found,) = replayed(rag, [key], Replaying(at="99"))
    assert "generation 99 lies in the future" in (found.error or "")
    (found,) = replayed(rag, [key], Replaying(at="yesterday"))
    assert "neither a generation nor a time" in (found.error or "")


def test_another_model_template_or_setting_is_said(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as rag:
        ingest(rag)
        text = TemplateText(
            system="Answer.", question="{text}\n\nAsked: {question}", lead_in="Well,"
        )
        rag.templates.add("terse", text)
        keys = [
            rag.ask("How high is the old tower of Kesh?").prompt_id,
            rag.ask("How high is the old mill of Kesh?", template="terse").prompt_id,
        ]
        assert identical(replayed(rag, keys)) == [True, True]
        found = replayed(rag, keys, Replaying(template="terse"))
        assert [one.notes for one in found] == [("the prompt template is another than then",), ()]
        found = replayed(rag, keys, Replaying(model="extractive"))
        assert all("answered by extractive, then by echo" in one.notes for one in found)
        found = replayed(rag, keys, Replaying(template="nothing"))
        assert all("no prompt template 'nothing'" in (one.error or "") for one in found)
    generation = {"passages": 2, "strict": False}
    with opened(tmp_path / "home", generation=generation) as rag:
        (other, _) = replayed(rag, keys)
        assert other.notes == (
            "settings are others than then: generation.passages, generation.strict",
        )
        assert other.difference is not None
        assert len(other.difference.evidence.went) == 3


def test_a_replay_that_is_kept_stands_beside_what_it_repeats(rag: RagPipeline) -> None:
    keys = asked_in_all_ways(rag)
    found = replayed(rag, keys, Replaying(keep=True))
    assert identical(found) == [True] * len(keys)
    for one in found:
        assert one.kept_as is not None
        kept = rag.history.show(one.kept_as)
        assert (kept.answer, kept.parent_id) == (one.record.answer, one.record.parent_id)
        assert kept.prompt_id != one.record.prompt_id
        assert kept.tags == ("replay",)
    assert identical(replayed(rag, [str(one.kept_as) for one in found])) == [True] * len(keys)


def test_a_file_of_results_is_what_a_later_replay_is_compared_with(
    rag: RagPipeline, tmp_path: Path
) -> None:
    keys = asked_in_all_ways(rag)
    ingest(rag, tower=95)
    path = tmp_path / "then.jsonl"
    path.write_bytes(b"".join(map(line, replayed(rag, keys, NOW))))
    baseline = read_baseline(path)
    assert {*baseline} == {*keys}
    assert identical(replayed(rag, keys, Replaying(at="now", baseline=baseline))) == [True] * 7
    del baseline[keys[0]]
    (found, *_) = replayed(rag, keys, Replaying(at="now", baseline=baseline))
    assert "not in the file to compare with" in found.notes[0]
    path.write_text('{"prompt_id": "x"}\n')
    with pytest.raises(HistoryError, match="line 1 of .* is no replayed exchange"):
        read_baseline(path)
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(HistoryError, match="can't be read"):
        read_baseline(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("changed", "no condition"),
        ("changed == 0", "no condition"),
        ("__import__('os') > 0", "no condition"),
        ("ndcg@10 > 0", "no figure of a replay"),
        ("changed > baseline", "speaks of a baseline"),
    ],
)
def test_a_condition_on_what_is_not_counted_is_refused(text: str, why: str) -> None:
    with pytest.raises(EvaluationError, match=why):
        replay_criterion(text)


class _Silent(EchoModel):
    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        raise GenerationError("it is out of order")


def test_a_model_that_fails_is_a_result(rag: RagPipeline) -> None:
    key = rag.ask("How high is the old tower of Kesh?").prompt_id
    parts_of(rag).language_model = _Silent()
    (found,) = replayed(rag, [key])
    assert found.error == "GenerationError: it is out of order"
    assert rag.history.show(key).status == "completed"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setattr(history_replay, "opened", lambda *_: opened(tmp_path / "home"))
    with opened(tmp_path / "home") as rag:
        ingest(rag)
        for kind in KINDS:
            rag.ask(f"How high is the old {kind} of Kesh?", user="ada", extractive=True)
    return CliRunner()


def test_the_program_is_a_gate(run: CliRunner, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    arguments = ["history", "replay", "--user", "ada", "--fail-if", "changed > 0"]
    result = run.invoke(cli, [*arguments, "--output", str(out)])
    assert (result.exit_code, result.stdout) == (
        0,
        "6 replayed: 6 identical, 0 changed, 0 failed\n",
    )
    assert len(out.read_text().splitlines()) == 6
    again = run.invoke(cli, [*arguments, "--output", str(out)])
    assert again.exit_code == 1
    assert "is there already" in again.stderr
    with opened(tmp_path / "home") as rag:
        ingest(rag, mill=77)
    changed = run.invoke(cli, [*arguments, "--at", "now", "--json"])
    assert changed.exit_code == 1
    assert "failed: changed > 0" in changed.stderr
    told = json.loads(changed.stdout)
    assert told["report"]["answer_changed"] == 1
    assert len(told["prompts"]) == 6
    lines = run.invoke(cli, ["history", "replay", "--limit", "2", "--at", "now", "--jsonl"])
    assert [json.loads(one)["error"] for one in lines.stdout.splitlines()] == [None, None]
    shown = run.invoke(cli, ["history", "replay", "--user", "ada", "--at", "now"])
    assert "[-32-] {+77+}" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 2, "say what to replay"),
        (["--user", "nobody"], 1, "no exchange is like that"),
        (["ffff"], 1, "there is no prompt 'ffff'"),
        (["--limit", "1", "--fail-if", "nonsense"], 1, "no condition"),
        (["--limit", "1", "--baseline", "/nowhere"], 1, "can't be read"),
        (["--limit", "0"], 2, "0 is not in the range"),
        (["--since", "soon"], 1, "neither a date nor a time"),
    ],
)
def test_what_can_not_be_replayed_is_said_in_one_line(
    run: CliRunner, arguments: Sequence[str], status: int, said: str
) -> None:
    result = run.invoke(cli, ["history", "replay", *arguments])
    assert result.exit_code == status, result.output
    assert said in result.stderr
