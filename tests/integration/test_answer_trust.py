"""How sure answers are, measured on questions whose answers are known, and what is marked."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.embedding import WordEmbedder
from support.pipelines import parts_of, word_pipeline

from rag_pipeline.cli.eval_answers import answers as answers_command
from rag_pipeline.errors import SettingsError
from rag_pipeline.evaluation.answers import AnswersWanted, Asking
from rag_pipeline.evaluation.answers_report import named
from rag_pipeline.evaluation.criteria import Criterion
from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.evaluation.record import read_evaluation
from rag_pipeline.generation.calibration import DEFAULT
from rag_pipeline.generation.checking import NO_EVIDENCE_ANSWER
from rag_pipeline.generation.echo_model import EchoModel
from rag_pipeline.generation.language_model import Completion
from rag_pipeline.pipeline import RagPipeline
from storage.collection import set_answering

NAMES = (
    "Arnmouth Birchport Carrow Dunholt Elmstead Farness Gorsey Hallick Invers Jarrowby Kelling"
    " Lowick Marsden Nethy Orston Penrith Quarley Ravenport Selby Thurso"
)
TOWNS = NAMES.split()
MASTERS = ("Adler", "Brandt", "Cole", "Dorn", "Eriksen", "Falk")


def document(number: int, town: str) -> str:
    master = MASTERS[number % len(MASTERS)]
    return (
        f"The old harbour of {town} was dredged in {1801 + number}. The master of the harbour of"
        f" {town} was Johanna {master}. The pier is made of oak."
    )


def questions() -> list[dict[str, object]]:
    asked: list[dict[str, object]] = []
    for number, town in enumerate(TOWNS):
        asked += [
            {"_id": f"{town}-when", "question": f"When was the old harbour of {town} dredged?",
             "answers": [str(1801 + number)], "group": town},
            {"_id": f"{town}-who", "question": f"Who was the master of the harbour of {town}?",
             "answers": [f"Johanna {MASTERS[number % len(MASTERS)]}"], "group": town},
            {"_id": f"{town}-never", "question": f"Who never sold the glass abbey of {town}?",
             "answers": [], "group": town},
            {"_id": f"{town}-far", "question": "Which quantum coupling proves zebra symmetry?",
             "answers": [], "group": town},
        ]  # fmt: skip
    return asked


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("known") / "known.jsonl"
    path.write_text("\n".join(map(json.dumps, questions())), "utf-8")
    return path


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RagPipeline]:
    home = tmp_path_factory.mktemp("home")
    with word_pipeline(home, embedder=WordEmbedder(dimension=256)) as rag:
        rag.ingest_records(
            [{"_id": town, "text": document(n, town)} for n, town in enumerate(TOWNS)],
            source="towns",
        )
        yield rag


def test_answers_to_known_questions_are_judged_and_compared(
    towns: RagPipeline, known: Path, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    asking = Asking(extractive=True, sample=20)
    first = towns.evaluate_answers(
        known, asking, on_progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(n, 20) for n in range(1, 21)]
    totals = first.evaluation.totals
    assert totals["verbatim"] == 1
    assert totals["grounded_precision"] == 1
    assert totals["abstention_auroc"] > 0.9
    assert first.evaluation.mean("right") > 0.8
    assert all(
        one.state == "no_evidence" for one in first.answers if "far" in one.question.question_id
    )
    assert 0 < totals["bleu"] < totals["rouge_l"] <= 1
    first.evaluation.saved(tmp_path / "before.json")
    baseline = read_evaluation(tmp_path / "before.json")
    criteria = [
        Criterion.parse(text, named)
        for text in ("f1 < baseline", "abstention_auroc <= baseline", "verbatim < 1", "BLEU > 0")
    ]
    again = towns.evaluate_answers(
        known, asking, AnswersWanted(criteria=criteria, baseline=baseline)
    )
    failed = [failure.partition(":")[0] for failure in again.failures]
    assert failed == ["abstention_auroc <= baseline", "BLEU > 0"]
    said = again.as_json()
    assert said["metrics"]["f1"]["ties"] == 20
    assert said["states"]["grounded"] == sum(one.state == "grounded" for one in first.answers)
    json.dumps(said, allow_nan=False)


@pytest.mark.parametrize("text", ["ndcg@10 < 0.4", "charm < 1"])
def test_a_condition_on_what_answers_do_not_have_is_refused(text: str) -> None:
    with pytest.raises(EvaluationError, match="is no figure of answers"):
        Criterion.parse(text, named)


def test_a_condition_on_what_the_questions_do_not_tell_is_refused(
    towns: RagPipeline, tmp_path: Path
) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps({"_id": "a", "question": "Which zebra?"}))
    wanted = AnswersWanted(criteria=[Criterion.parse("abstention_auroc < 1", named)])
    with pytest.raises(EvaluationError, match="abstention_auroc was not measured"):
        towns.evaluate_answers(path, Asking(extractive=True), wanted)


def test_a_collection_keeps_what_was_calibrated_until_it_is_reset(
    towns: RagPipeline, known: Path
) -> None:
    question = "When was the old harbour of Selby dredged?"
    before = towns.ask(question, extractive=True)
    dry = towns.calibrate(known, dry_run=True)
    assert not dry.is_stored
    assert towns.ask(question, extractive=True).confidence == before.confidence
    stored = towns.calibrate(known)
    assert stored.is_stored
    assert stored.calibration == dry.calibration
    assert stored.calibration.questions == len(questions())
    assert stored.after["auroc"] >= 0.9
    assert stored.grounded is None or stored.grounded.risk(stored.certainty) <= stored.risk
    after = towns.ask(question, extractive=True)
    assert after.confidence != before.confidence
    assert after.confidence > 0.5
    assert towns.history.show(after.prompt_id).confidence == after.confidence
    assert towns.reset_calibration()
    assert not towns.reset_calibration()
    assert towns.ask(question, extractive=True).confidence == before.confidence


def test_too_few_questions_or_of_one_kind_are_refused(towns: RagPipeline, tmp_path: Path) -> None:
    path = tmp_path / "known.jsonl"
    path.write_text("\n".join(map(json.dumps, questions()[:8])))
    with pytest.raises(EvaluationError, match="too few to calibrate on"):
        towns.calibrate(path)
    hopeless = [one for one in questions() if not one["answers"]] * 2
    lines = [{**one, "_id": str(n)} for n, one in enumerate(hopeless)]
    path.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(EvaluationError, match="all right or all wrong"):
        towns.calibrate(path)


def test_a_calibration_that_was_damaged_is_named_with_the_remedy(towns: RagPipeline) -> None:
    parts = parts_of(towns)
    collection = parts.reader.collection("default", principal=towns.principal)
    set_answering(parts.database, collection, {**DEFAULT.as_json(), "bias": None})
    try:
        with pytest.raises(SettingsError, match="rag eval calibrate --reset -c default"):
            towns.ask("When was the old harbour of Selby dredged?")
    finally:
        assert towns.reset_calibration()


class Saying(EchoModel):
    """Writes what it is told to."""

    said = ""

    def generate(self, rendered, **given):
        return super().generate(self.said)


DREDGED = "The old harbour of Selby was dredged in 1819."
MADE_UP = "Its gold was stolen by pirates of Zanzibar."
WHEN = "When was the old harbour of Selby dredged?"


@pytest.fixture
def saying(towns: RagPipeline, monkeypatch: pytest.MonkeyPatch) -> Saying:
    model = Saying()
    monkeypatch.setattr(parts_of(towns), "language_model", model)
    return model


def test_what_nothing_bears_out_is_left_out_or_replaced(towns: RagPipeline, saying: Saying) -> None:
    saying.said = MADE_UP
    answer = towns.ask(WHEN)
    assert "pirates" not in answer.text
    assert answer.unsupported == ()
    assert "1819" in answer.text


def test_a_question_with_nothing_to_go_by_has_a_small_confidence(towns: RagPipeline) -> None:
    answer = towns.ask("Which quantum coupling proves zebra symmetry?")
    assert (answer.text, answer.state) == (NO_EVIDENCE_ANSWER, "no_evidence")
    assert answer.confidence < DEFAULT.abstain_below
    assert answer.unsupported == ()


def test_with_no_risk_allowed_nothing_is_grounded(tmp_path: Path) -> None:
    for risk, state in ((0.05, "grounded"), (0.0001, "partial")):
        with word_pipeline(
            tmp_path / "home", embedder=WordEmbedder(dimension=256), generation={"risk": risk}
        ) as rag:
            rag.ingest_records([{"_id": "a", "text": document(18, "Selby")}], source="towns")
            assert rag.ask(WHEN, extractive=True).state == state


def test_the_command_shows_figures_and_writes_what_is_asked_for(
    towns: RagPipeline, known: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = towns.settings.home
    lines = tmp_path / "answers.jsonl"
    with pytest.raises(SystemExit) as ended:
        answers_command.main(
            [str(known), "--extractive", "--sample", "4", "--home", str(home), "--per-question",
             str(lines), "--fail-if", "f1 > 1", "--nonsense"],
        )  # fmt: skip
    assert ended.value.code == 2
    assert "--nonsense" in capsys.readouterr().err
    assert not lines.exists()


def test_what_nothing_bears_out_stays_and_is_marked_where_that_is_wanted(tmp_path: Path) -> None:
    with word_pipeline(
        tmp_path / "home", embedder=WordEmbedder(dimension=256), generation={"answer_sentences": 2}
    ) as rag:
        rag.ingest_records([{"_id": "a", "text": document(18, "Selby")}], source="towns")
        parts_of(rag).language_model = Two(DREDGED, MADE_UP)
        strict = rag.ask(WHEN)
        assert (strict.text, strict.state, strict.unsupported) == (DREDGED, "grounded", ())
        marked = rag.ask(WHEN, strict=False)
        assert marked.text == f"{DREDGED} {MADE_UP}"
        assert marked.state == "partial"
        ((start, end),) = marked.unsupported
        assert marked.text[start:end] == MADE_UP
        (citation,) = marked.citations
        assert marked.text[citation.answer_start : citation.answer_end] == DREDGED


class Two(EchoModel):
    """Writes two sentences."""

    def __init__(self, *said: str) -> None:
        super().__init__()
        self.said = said

    def generate(self, rendered, **given):
        yield from (f"{one} " for one in self.said)
        return Completion(prompt_tokens=1, completion_tokens=2, finish_reason="stop")
