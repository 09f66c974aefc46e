"""What training the generator gains on questions about articles that it was not trained on.

    python benchmarks/tuning_generator.py FOLDER [--each N] [--kind answers|preferences]
        [--epochs N] [--seed N]

FOLDER holds contexts.jsonl and questions.jsonl of SQuAD. Of each article N answerable questions are
taken, and an article is on one side alone. An example is a question about the sentence that has the
answer and the one before it; the answer is SQuAD's short one. For preferences it is better than the
sentence that it stands in. Told are the figures, CPU seconds a step, and the most memory.
"""

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ingest.sentences import sentences
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.training.progress import Progress
from rag_pipeline.tuning.courses import AnswerCourse, PreferenceCourse
from rag_pipeline.tuning.generator_report import GeneratorWanted, TunedGenerator

_LONGEST = 400
"""Characters of what is shown."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folder", type=Path)
    options.add_argument("--each", type=int, default=10, help="questions of an article")
    options.add_argument("--kind", choices=["answers", "preferences"], default="answers")
    options.add_argument("--epochs", type=int, default=2)
    options.add_argument("--seed", type=int, default=4)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "examples.jsonl"
        rows = [*examples(given.folder, given.each)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        with RagPipeline.open(Path(scratch) / "home") as rag:
            tuned = run(rag, path, given.kind, given.epochs, given.seed)
    print(json.dumps(tuned.as_json(), indent=2))


def examples(folder: Path, each: int) -> Iterator[dict[str, Any]]:
    """Rows that both trainings can read, each with its article as its group."""
    contexts = {row["_id"]: row for row in _rows(folder / "contexts.jsonl")}
    found: dict[str, list[dict[str, Any]]] = {}
    for question in _rows(folder / "questions.jsonl"):
        if not question["is_impossible"]:
            context = contexts[question["context_id"]]
            row = _example(question, context["text"])
            if row is not None:
                found.setdefault(context["title"], []).append({**row, "group": context["title"]})
    drawn = random.Random(0)
    for title in sorted(found):
        yield from drawn.sample(found[title], min(each, len(found[title])))


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _example(question: dict[str, Any], text: str) -> dict[str, Any] | None:
    """None where the answer is most of its sentence, or that is long."""
    answer, at = question["answers"][0], question["answer_starts"][0]
    spans = sentences(text)
    place = next(n for n, (start, end) in enumerate(spans) if start <= at < end)
    sentence = text[slice(*spans[place])]
    shown = text[spans[max(0, place - 1)][0] : spans[place][1]]
    if 2 * len(answer) >= len(sentence) or len(shown) > _LONGEST:
        return None
    prompt = f"{shown}\n\nQuestion: {question['question']}"
    return {"prompt": prompt, "completion": answer, "chosen": answer, "rejected": sentence}


def run(rag: RagPipeline, path: Path, kind: str, epochs: int, seed: int) -> TunedGenerator:
    started = time.process_time()

    def observe(progress: Progress) -> None:
        if progress.validation is not None:
            spent, most = time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF)
            print(
                f"step {progress.step} of {progress.steps}: held back {progress.validation:.4f};"
                f" {spent:.0f} CPU s, {most.ru_maxrss / 2**20:.1f} GiB at most",
                flush=True,
            )

    wanted = GeneratorWanted(examples=path)
    if kind == "answers":
        course = AnswerCourse()
        course = replace(course, settings=replace(course.settings, epochs=epochs, seed=seed))
        return rag.tune_generator(wanted, course, observe=observe, tell=print)
    other = PreferenceCourse()
    other = replace(other, settings=replace(other.settings, epochs=epochs, seed=seed))
    return rag.tune_preference(wanted, other, observe=observe, tell=print)


if __name__ == "__main__":
    main()
