"""From a question to an answer on record: what is said, what it cites, and what is remembered."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text, update
from support.cli import PACKAGES, Program
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.errors import GenerationError, QueryError
from rag_pipeline.generation.answer import Answer
from rag_pipeline.generation.checking import NO_EVIDENCE_ANSWER
from rag_pipeline.generation.language_model import GREEDY, Completion, Sampling, TextStream, Turn
from rag_pipeline.pipeline import RagPipeline
from storage.errors import InvalidRecordError, NotFoundError
from storage.models.corpus import DocumentRow
from storage.outline import as_json
from storage.records import Citation, Heading, Outline, Principal, PromptRecord

DREDGED = "灯台 🚢🚢 The harbour of Ravenport was dredged in 1874."
MASTER = "The master of Ravenport was Johanna Lindqvist."
HARBOUR = f"{DREDGED} {MASTER} The old pier is made of oak."
BEES = "A hive of bees holds forty thousand workers."
WHEN = "When was the harbour of Ravenport dredged?"
WHO = "Who was the master of Ravenport?"
FOREIGN = "Which quantum coupling proves zebra symmetry?"


class ScriptedModel:
    """Writes what it was told to, piece by piece, and may fail in the middle."""

    name = "scripted"
    weights_sha256 = hashlib.sha256(b"scripted").hexdigest()
    context_tokens = 4096

    def __init__(self, *pieces: str, error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.read: list[str] = []
        self.closed = False

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def render(self, turns: Sequence[Turn], *, begun: str = "") -> str:
        return "\n\n".join(turn.text for turn in turns) + begun

    def generate(self, rendered: str, *, sampling: Sampling = GREEDY) -> TextStream:
        self.read.append(rendered)
        try:
            yield from self.pieces
            if self.error is not None:
                raise self.error
        except GeneratorExit:
            self.closed = True
            raise
        return Completion(
            prompt_tokens=self.count_tokens(rendered),
            completion_tokens=len(self.pieces),
            finish_reason="stop",
        )


def opened(home: Path, *, model: ScriptedModel | None = None, **given: object) -> RagPipeline:
    rag = word_pipeline(home, embedder=WordEmbedder(dimension=256), **given)
    if model is not None:
        parts_of(rag).language_model = model
    return rag


def with_model(rag: RagPipeline, model: ScriptedModel) -> ScriptedModel:
    parts_of(rag).language_model = model
    return model


def write_documents(folder: Path) -> Path:
    documents = folder / "documents"
    documents.mkdir()
    (documents / "harbour.txt").write_text(HARBOUR, "utf-8")
    (documents / "bees.txt").write_text(BEES, "utf-8")
    return documents


@pytest.fixture
def rag(database_url: str, tmp_path: Path) -> Iterator[RagPipeline]:
    with opened(tmp_path / "home", database=database_url) as pipeline:
        pipeline.ingest(write_documents(tmp_path))
        yield pipeline


def tamper(rag: RagPipeline, table: str, old: str, new: str) -> None:
    """Change stored text behind the program's back."""
    with parts_of(rag).database.write() as connection:
        changed = connection.execute(
            text(f"UPDATE {table} SET text = replace(text, :old, :new)"), {"old": old, "new": new}
        )
        assert changed.rowcount


def assert_verbatim(citations: tuple[Citation, ...], answer: str) -> None:
    stored = {"harbour.txt": HARBOUR, "bees.txt": BEES}
    for citation in citations:
        assert stored[citation.external_id][citation.start : citation.end] == citation.quote
        assert answer[citation.answer_start : citation.answer_end].strip()


def test_a_supported_answer_is_grounded_and_wholly_on_record(rag: RagPipeline) -> None:
    model = with_model(rag, ScriptedModel("the harbour of Ravenport ", "was dredged in 1874."))
    answer = rag.ask(WHEN, user="eve", session="tour")
    assert (answer.text, answer.state) == (
        "The harbour of Ravenport was dredged in 1874.",
        "grounded",
    )
    (citation,) = answer.citations
    assert citation.quote == DREDGED
    assert_verbatim(answer.citations, answer.text)
    assert (citation.answer_start, citation.answer_end) == (0, len(answer.text))
    record = rag.history.show(answer.prompt_id)
    assert (record.question, record.user, record.session) == (WHEN, "eve", "tour")
    assert (record.status, record.state, record.answer) == ("completed", "grounded", answer.text)
    assert record.citations == answer.citations
    assert record.generation == answer.generation == rag.doctor().served
    assert (record.model, record.weights_sha256) == (model.name, model.weights_sha256)
    assert [record.rendered] == model.read
    assert DREDGED in record.rendered
    assert record.sampling["temperature"] == 0
    assert dict(record.timings) == dict(answer.timings)
    assert dict(record.usage) == dict(answer.usage)
    assert record.completed_at is not None
    assert record.completed_at >= record.created_at


def test_what_was_shown_is_kept_with_its_scores_and_what_was_cited_is_marked(
    rag: RagPipeline,
) -> None:
    found = rag.search(WHEN, limit=5).hits
    answer = rag.ask(WHEN)
    evidence = rag.history.show(answer.prompt_id).evidence
    assert [(e.chunk_id, e.rank, e.vector_rank, e.keyword_rank) for e in evidence] == [
        (hit.chunk.chunk_id, hit.rank, hit.vector_rank, hit.keyword_rank) for hit in found
    ]
    assert [e.score for e in evidence] == pytest.approx([hit.score for hit in found])
    cited = {e.chunk_id for e in evidence if e.cited}
    assert cited == {citation.chunk_id for citation in answer.citations}
    assert len(evidence) > len(cited) > 0


@pytest.mark.parametrize(
    "draft",
    [
        "The harbour of Ravenport was dredged in 1922.",
        "The harbour of Ravenport was never dredged in 1874.",
        "A hive of bees holds forty thousand workers.",
        "I can't say.",
        "",
    ],
)
def test_a_draft_without_support_gives_way_to_a_quotation(rag: RagPipeline, draft: str) -> None:
    with_model(rag, ScriptedModel(*draft.split()))
    answer = rag.ask(WHEN)
    assert (answer.text, answer.state) == (DREDGED, "grounded")
    assert [citation.quote for citation in answer.citations] == [DREDGED]
    assert_verbatim(answer.citations, answer.text)


def test_without_evidence_the_model_is_not_asked(rag: RagPipeline) -> None:
    model = with_model(rag, ScriptedModel("Zebras prove it."))
    answer = rag.ask(FOREIGN)
    assert (answer.text, answer.state, answer.citations) == (NO_EVIDENCE_ANSWER, "no_evidence", ())
    assert model.read == []
    record = rag.history.show(answer.prompt_id)
    assert (record.status, record.state, record.rendered) == ("completed", "no_evidence", "")
    assert not [shown for shown in record.evidence if shown.cited]
    assert rag.history.list(state="no_evidence")[0].prompt_id == answer.prompt_id


def test_a_model_is_stopped_after_its_first_sentence(rag: RagPipeline) -> None:
    first = "The harbour of Ravenport was dredged in 1874."
    model = with_model(rag, ScriptedModel(first, " It sank.", " And more.", " And more."))
    stream = rag.ask_stream(WHEN)
    pieces, answer = drained(stream)
    assert answer.text == first
    assert model.closed
    assert len(pieces) < 4


def drained(stream: object) -> tuple[list[str], Answer]:
    pieces: list[str] = []
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as ended:
            return pieces, ended.value


def test_a_reader_who_leaves_half_way_stops_the_model_and_is_on_record(rag: RagPipeline) -> None:
    model = with_model(rag, ScriptedModel("The ", "harbour ", "of "))
    stream = rag.ask_stream(WHEN)
    assert next(stream) == "The "
    (started,) = rag.history.list()
    assert started.status == "started"
    stream.close()
    assert model.closed
    record = rag.history.show(started.prompt_id)
    assert (record.status, record.answer, record.state) == ("cancelled", None, None)
    assert record.error == "stopped by the reader"
    assert record.evidence


def test_a_model_that_fails_half_way_is_on_record_and_its_error_reaches_the_caller(
    rag: RagPipeline,
) -> None:
    failure = GenerationError("the model lost its thread")
    with_model(rag, ScriptedModel("The harbour", error=failure))
    stream = rag.ask_stream(WHEN)
    assert next(stream) == "The harbour"
    with pytest.raises(GenerationError) as caught:
        next(stream)
    assert caught.value is failure
    (record,) = rag.history.list(status="failed")
    assert record.error == "GenerationError: the model lost its thread"
    assert record.answer is None
    with_model(rag, ScriptedModel(DREDGED))
    assert rag.ask(WHEN).state == "grounded"


def test_a_question_that_cant_be_searched_for_is_not_recorded(rag: RagPipeline) -> None:
    for question in ("", "light " * 5_000):
        with pytest.raises(QueryError):
            rag.ask(question)
    with pytest.raises(NotFoundError):
        rag.ask(WHEN, parent_id="nope")
    with pytest.raises(InvalidRecordError):
        rag.ask(WHEN, user="two\nlines")
    assert rag.history.list() == []


def test_an_exchange_knows_its_session_and_the_one_before_it(rag: RagPipeline) -> None:
    first = rag.ask(WHEN, user="eve", session="tour")
    second = rag.ask(WHO, user="eve", session="tour", parent_id=first.prompt_id)
    rag.ask(WHO, user="eve", session="other")
    rag.ask(WHO, user="adam", session="tour")
    listed = rag.history.list(user="eve", session="tour")
    assert [(p.prompt_id, p.parent_id) for p in listed] == [
        (second.prompt_id, first.prompt_id),
        (first.prompt_id, None),
    ]


def test_a_citation_of_a_text_that_was_changed_is_dropped(rag: RagPipeline) -> None:
    with_model(rag, ScriptedModel("The harbour of Ravenport was dredged in 1874."))
    assert rag.ask(WHEN).state == "grounded"
    tamper(rag, "documents", "1874", "1875")
    answer = rag.ask(WHEN)
    assert (answer.text, answer.state, answer.citations) == (NO_EVIDENCE_ANSWER, "no_evidence", ())
    record = rag.history.show(answer.prompt_id)
    assert not [shown for shown in record.evidence if shown.cited]


def test_a_chunk_that_was_forged_is_never_quoted(rag: RagPipeline) -> None:
    tamper(rag, "chunks", "1874", "1999")
    answer = rag.ask(WHEN)
    assert "1999" not in answer.text
    assert_verbatim(answer.citations, answer.text)


def divide(rag: RagPipeline, page_of_master: int, heading: str) -> None:
    """Give the harbour's document, which is one chunk, pages and headings."""
    master = HARBOUR.index(MASTER)
    outline = Outline(
        headings=(Heading(0, 1, "Port"), Heading(master, 2, heading)),
        page_starts=(0, *[master] * (page_of_master - 1)),
    )
    with parts_of(rag).database.write() as connection:
        connection.execute(
            update(DocumentRow).where(DocumentRow.text == HARBOUR).values(outline=as_json(outline))
        )


def test_a_citation_names_page_and_headings_of_its_quote_and_not_of_the_chunk(
    rag: RagPipeline,
) -> None:
    (plain,) = rag.ask(WHO).citations
    assert (plain.page, plain.headings) == (None, ())
    divide(rag, 3, "Masters")
    (chunk,) = [hit.chunk for hit in rag.search(WHO).hits if MASTER in hit.chunk.text]
    assert (chunk.start, chunk.page, chunk.last_page, chunk.headings) == (0, 1, 3, ("Port",))
    answer = rag.ask(WHO)
    (citation,) = answer.citations
    assert (citation.quote, citation.page, citation.headings) == (MASTER, 3, ("Port", "Masters"))
    (dredged,) = rag.ask(WHEN).citations
    assert (dredged.quote, dredged.page, dredged.headings) == (DREDGED, 1, ("Port",))
    divide(rag, 5, "Renamed")
    assert rag.history.show(answer.prompt_id).citations == answer.citations


def test_page_and_headings_are_shown_to_people_and_to_programs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with opened(home) as rag:
        rag.ingest(write_documents(tmp_path))
        divide(rag, 3, "Masters\n" + "and " * 40)
        answer = rag.ask(WHO)
        (citation,) = answer.citations
    program = Program(cwd=tmp_path, home=home)
    shown = program("history", "show", answer.prompt_id)
    place = f" · page 3 · Port › Masters {'and ' * 13}…"[:-3]
    assert place in shown.out, shown.out
    assert f"[{citation.start}–{citation.end}]" in shown.out
    (recorded,) = program("history", "show", answer.prompt_id, "--json").json["citations"]
    assert (recorded["page"], recorded["headings"]) == (3, list(citation.headings))


def test_who_lacks_the_label_gets_no_word_of_it(
    rag: RagPipeline, database_url: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("The vault code of Ravenport is 4711.")
    rag.ingest(secret, read_labels=frozenset({"treasury"}))
    question = "What is the vault code of Ravenport?"
    assert "4711" in rag.ask(question).text
    labels = {"eve": frozenset({"kitchen"}), "ada": frozenset({"treasury"})}
    answers: dict[str, PromptRecord] = {}
    for name in labels:
        principal = Principal(name=name, labels=labels[name])
        with opened(tmp_path / name, database=database_url, principal=principal) as theirs:
            answers[name] = theirs.history.show(theirs.ask(question).prompt_id)
            assert [p.user for p in theirs.history.list()] == [name]
    assert "4711" in (answers["ada"].answer or "")
    assert "4711" not in answers["eve"].rendered + (answers["eve"].answer or "")
    secret_document = answers["ada"].citations[0].document_id
    assert secret_document not in {shown.document_id for shown in answers["eve"].evidence}


def test_an_answer_is_explained_by_the_text_it_was_given_from_after_that_has_changed(
    rag: RagPipeline, tmp_path: Path
) -> None:
    answer = rag.ask(WHO)
    (tmp_path / "documents" / "harbour.txt").write_text("The master of Ravenport was Otto Brandt.")
    rag.ingest(tmp_path / "documents")
    assert "Otto Brandt" in rag.ask(WHO).text
    record = rag.history.show(answer.prompt_id)
    assert record.citations[0].quote == MASTER
    assert record.generation == answer.generation < rag.doctor().served


ANSWERS_FOR_EVER = """
import sys, time
from pathlib import Path
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline
from rag_pipeline.generation.echo_model import EchoModel

class Endless(EchoModel):
    def generate(self, rendered, **given):
        yield "The"
        print("WRITING", flush=True)
        time.sleep(600)

with word_pipeline(Path(sys.argv[1]), embedder=WordEmbedder(dimension=256)) as rag:
    rag.ingest(sys.argv[2])
    parts_of(rag).language_model = Endless()
    rag.ask(sys.argv[3], user="eve")
"""


def test_a_program_killed_in_mid_answer_leaves_a_record_that_says_so(tmp_path: Path) -> None:
    home = tmp_path / "home"
    tests = Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", ANSWERS_FOR_EVER, home, write_documents(tmp_path), WHEN],
        env={"PYTHONPATH": f"{PACKAGES}:{tests}"},
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"WRITING\n"
        process.kill()
    program = Program(cwd=tmp_path, home=home)
    (record,) = program("history", "list", "--json").json
    assert (record["status"], record["question"], record["answer"]) == ("started", WHEN, None)
    shown = program("history", "show", record["prompt_id"])
    assert "started, not completed: the program was stopped" in shown.out
    assert "evidence    1." in shown.out
    with opened(home) as rag:
        assert rag.ask(WHEN).state == "grounded"
        assert rag.history.show(record["prompt_id"]).status == "started"
