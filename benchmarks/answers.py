"""How right answers are, beside plain generation with the same model and the same passages.

    python benchmarks/answers.py --data FOLDER [--sample 400] [--seed 0] [--parts model,withheld]

FOLDER holds contexts.jsonl, the documents, and squad_format.json, the questions. `model`: a sample,
half of it unanswerable, answered by the default generator and by plain generation, which is shown
the whole passages in a chat and checks nothing. `extractive`: all questions, without a model.
`withheld`: every second context is left out, so that half of the answerable questions can't be
answered; and every second article. An unanswerable question is got right by no answer.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rag_pipeline.evaluation.answers import answered
from rag_pipeline.evaluation.answers_questions import KnownQuestion, read_questions, sample
from rag_pipeline.evaluation.answers_report import Answered, totals
from rag_pipeline.evaluation.answers_scores import auroc, exact_match, token_f1
from rag_pipeline.generation.language_model import Sampling, Turn, complete
from rag_pipeline.pipeline import RagPipeline
from storage.records import LOCAL_OWNER

SYSTEM = "Answer the question using only the given passages. Reply with one short sentence."
PLAIN = Sampling(max_new_tokens=96)
PASSAGES = 5


@dataclass(frozen=True)
class Contexts:
    """The records, and which context each question is asked of."""

    records: Sequence[dict[str, str]]
    of_question: dict[str, str]
    title: dict[str, str]


def read_contexts(folder: Path) -> Contexts:
    records = [json.loads(line) for line in (folder / "contexts.jsonl").open(encoding="utf-8")]
    key = {record["text"]: record["_id"] for record in records}
    squad = json.loads((folder / "squad_format.json").read_text("utf-8"))
    of_question = {
        asked["id"]: key[paragraph["context"]]
        for article in squad["data"]
        for paragraph in article["paragraphs"]
        for asked in paragraph["qas"]
    }
    return Contexts(records, of_question, {record["_id"]: record["title"] for record in records})


def plainly(rag: RagPipeline, question: str) -> tuple[str, float]:
    """What the model says to the passages in a chat, and the seconds that it took."""
    began = time.perf_counter()
    hits = rag.search(question, limit=PASSAGES, collapse=True).hits
    shown = "\n\n".join(hit.chunk.text for hit in hits)
    turns = [Turn("system", SYSTEM), Turn("user", f"{shown}\n\nQuestion: {question}")]
    model = rag.parts.language_model
    text, _ = complete(model.generate(model.render(turns), sampling=PLAIN))
    return text.strip(), time.perf_counter() - began


def figures(said: Sequence[tuple[str, KnownQuestion]]) -> str:
    """EM and F1 over all questions and over those that can be answered."""
    answerable = [(text, one) for text, one in said if one.golds]
    cells = []
    for pairs in (said, answerable):
        exact = np.mean([exact_match(text, one.golds) for text, one in pairs])
        f1 = np.mean([token_f1(text, one.golds) for text, one in pairs])
        cells += [f"{100 * exact:6.1f}", f"{100 * f1:6.1f}"]
    return " ".join(cells)


def row(name: str, said: Sequence[tuple[str, KnownQuestion]], seconds: Iterable[float]) -> None:
    middle = np.percentile([*seconds], 50)
    print(f"{name:24}{len(said):6} {figures(said)} {middle:8.2f}", flush=True)


def more(answers: Sequence[Answered]) -> None:
    found = totals(answers)
    shown = ("abstention_auroc", "grounded_precision", "answered_precision", "verbatim",
             "citation_precision", "calibration_error")  # fmt: skip
    said = ", ".join(f"{name} {found[name]:.3f}" for name in shown if name in found)
    states = [one.state for one in answers]
    counts = {name: states.count(name) for name in ("grounded", "partial", "no_evidence")}
    print(f"    {counts}; {said}", flush=True)


def as_said(answers: Sequence[Answered]) -> list[tuple[str, KnownQuestion]]:
    return [(one.said, one.question) for one in answers]


def with_model(rag: RagPipeline, questions: Sequence[KnownQuestion], report_every: int) -> None:
    """Both, question by question, so that both see the same machine."""
    answerer = rag.parts.answerer("default", principal=LOCAL_OWNER)
    ours: list[Answered] = []
    plain: list[tuple[str, KnownQuestion]] = []
    took: list[float] = []
    for number, question in enumerate(questions, start=1):
        ours += answered(answerer, [question], LOCAL_OWNER)
        text, seconds = plainly(rag, question.text)
        plain.append((text, question))
        took.append(seconds)
        if number % report_every == 0 or number == len(questions):
            row("ours, default generator", as_said(ours), (one.seconds for one in ours))
            more(ours)
            row("plain generation", plain, took)


def extractive(rag: RagPipeline, questions: Sequence[KnownQuestion]) -> list[Answered]:
    answerer = rag.parts.answerer("default", principal=LOCAL_OWNER, extractive=True)
    return [*answered(answerer, questions, LOCAL_OWNER)]


def withheld(
    home: Path, contexts: Contexts, questions: Sequence[KnownQuestion], *, whole_articles: bool
) -> None:
    """How well confidence tells the questions of what is there from those of what was left out."""
    names = sorted(set(contexts.title.values()))
    order = {record["_id"]: place for place, record in enumerate(contexts.records)}

    def is_kept(key: str) -> bool:
        place = names.index(contexts.title[key]) if whole_articles else order[key]
        return place % 2 == 0

    with RagPipeline.open(home) as rag:
        kept = [record for record in contexts.records if is_kept(record["_id"])]
        rag.ingest_records(kept, source="contexts")
        asked = [
            one if is_kept(contexts.of_question[one.question_id]) else replace(one, golds=())
            for one in questions
            if one.golds
        ]
        answers = extractive(rag, asked)
    there = np.array([bool(one.question.golds) for one in answers])
    found = auroc(np.array([one.confidence for one in answers]), there)
    left_out = "articles" if whole_articles else "contexts"
    print(f"half of the {left_out} withheld: {len(asked)} questions, AUROC {found:.3f}", flush=True)
    more(answers)


def chosen_parts(text: str) -> Iterator[str]:
    for name in text.split(","):
        if name not in ("model", "extractive", "withheld"):
            raise SystemExit(f"there is no part {name!r}")
        yield name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", default="model,extractive,withheld")
    parser.add_argument("--report-every", type=int, default=100)
    chosen = parser.parse_args()
    parts = [*chosen_parts(chosen.parts)]
    contexts = read_contexts(chosen.data)
    questions = read_questions(chosen.data / "squad_format.json")
    few = sample(questions, chosen.sample, chosen.seed)
    print(f"{'':24}{'asked':>6} {'EM':>6} {'F1':>6} {'EM ans':>6} {'F1 ans':>6} {'p50 s':>8}")
    with tempfile.TemporaryDirectory() as folder:
        with RagPipeline.open(Path(folder) / "whole") as rag:
            rag.ingest_records(contexts.records, source="contexts")
            if "extractive" in parts:
                answers = extractive(rag, questions)
                row("ours, extractive", as_said(answers), (one.seconds for one in answers))
                more(answers)
                ids = {one.question_id for one in few}
                again = [one for one in answers if one.question.question_id in ids]
                row("  the sample of it", as_said(again), (one.seconds for one in again))
                more(again)
            if "model" in parts:
                with_model(rag, few, chosen.report_every)
        if "withheld" in parts:
            withheld(Path(folder) / "contexts", contexts, questions, whole_articles=False)
            withheld(Path(folder) / "articles", contexts, questions, whole_articles=True)


if __name__ == "__main__":
    main()
