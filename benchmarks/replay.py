"""Whether past answers come out again as they were, and what one changed document changes.

    python benchmarks/replay.py --data FOLDER [--extractive 200] [--written 200] [--jobs 4]

FOLDER holds contexts.jsonl, the documents, and squad_format.json, the questions. The contexts are
ingested, the questions asked: some without a model, some of the default generator, of these every
second one at temperature 0.8 with a seed of its own, and every fourth question follows the one
before it. All are replayed at their own generation. Then one document is changed, and all are
replayed twice: at their own generation, and as the documents are now. Affected is an exchange whose
evidence had a chunk of that document, or would have one now.
"""

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rag_pipeline.evaluation.answers_questions import read_questions
from rag_pipeline.generation.answer import Answer
from rag_pipeline.generation.language_model import Sampling
from rag_pipeline.history.replay import Replayed, Replaying
from rag_pipeline.pipeline import RagPipeline

SOURCE = "contexts"


def asked(
    rag: RagPipeline, questions: Sequence[str], *, extractive: bool, part: str
) -> Iterator[Answer]:
    """The questions, answered one after the other."""
    before: Answer | None = None
    for at, question in enumerate(questions):
        follows = before.prompt_id if before is not None and at % 4 == 3 else None
        sampling = Sampling(max_new_tokens=96, temperature=0.8, seed=at) if at % 2 else None
        before = rag.ask(
            question, user=part, parent_id=follows, sampling=sampling, extractive=extractive
        )
        yield before


def replayed(rag: RagPipeline, keys: Sequence[str], how: Replaying) -> list[Replayed]:
    """All of them, with the processor's time."""
    began, wall = time.process_time(), time.perf_counter()
    found = [*rag.history.replay(keys, how)]
    took, passed = time.process_time() - began, time.perf_counter() - wall
    each = f"{1000 * took / len(keys):.0f} ms of processor each" if keys else ""
    print(f"  replayed --at {how.at}, {how.jobs} at once: {passed:.1f} s, {each}")
    return found


def told(name: str, found: Sequence[Replayed]) -> None:
    """How many of each group came out as they were."""
    for user in sorted({one.record.user for one in found}):
        group = [one for one in found if one.record.user == user]
        same = sum(one.difference is not None and one.difference.is_identical for one in group)
        changed = sum(one.difference is not None and one.difference.is_changed for one in group)
        failed = sum(one.error is not None for one in group)
        print(
            f"  {name}, {user}: {same} of {len(group)} identical,"
            f" {changed} changed, {failed} failed"
        )


def affected(one: Replayed, documents: set[int]) -> bool:
    """Whether its evidence had, or has now, a chunk of one of these documents."""
    assert one.difference is not None
    shown = (*one.difference.before.evidence, *one.difference.after.evidence)
    return any(evidence.document_id in documents for evidence in shown)


def most_shown(rag: RagPipeline, keys: Sequence[str]) -> int:
    """The document that most of the exchanges had as evidence."""
    shown = Counter(
        evidence.document_id
        for key in keys
        for evidence in {one.document_id: one for one in rag.history.show(key).evidence}.values()
    )
    return shown.most_common(1)[0][0]


def change(rag: RagPipeline, records: list[dict[str, str]], document_id: int) -> set[int]:
    """Give one document other words; its ids before and after."""
    names = [record["_id"] for record in records]
    documents = rag.documents(names)
    (name,) = (one.source.external_id for one in documents if one.document_id == document_id)
    record = next(record for record in records if record["_id"] == name)
    first, _, rest = record["text"].partition(". ")
    record["text"] = f"{rest} Nobody has looked into it since 1875. {first}."
    rag.ingest_records(records, source=SOURCE)
    return {document_id, rag.documents([name])[0].document_id}


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--data", type=Path, required=True)
    given.add_argument("--extractive", type=int, default=200)
    given.add_argument("--written", type=int, default=200)
    given.add_argument("--jobs", type=int, default=4)
    given.add_argument("--seed", type=int, default=0)
    options = given.parse_args()
    lines = (options.data / "contexts.jsonl").open(encoding="utf-8")
    records = [json.loads(line) for line in lines]
    known = read_questions(options.data / "squad_format.json")
    texts = [one.text for one in known]
    random.Random(options.seed).shuffle(texts)
    with tempfile.TemporaryDirectory() as home, RagPipeline.open(home) as rag:
        rag.ingest_records(records, source=SOURCE)
        keys: list[str] = []
        for part, count in (("extractive", options.extractive), ("written", options.written)):
            began = time.process_time()
            own, texts = texts[:count], texts[count:]
            answers = [*asked(rag, own, extractive=part == "extractive", part=part)]
            states = dict(Counter(answer.state for answer in answers))
            print(f"{count} answers, {part}: {states}, {time.process_time() - began:.0f} s")
            keys += [answer.prompt_id for answer in answers]
        told("same generation", replayed(rag, keys, Replaying(jobs=options.jobs)))
        documents = change(rag, records, most_shown(rag, keys))
        told("after a change, at their own", replayed(rag, keys, Replaying(jobs=options.jobs)))
        now = replayed(rag, keys, Replaying(at="now", jobs=options.jobs))
        told("after a change, now", now)
        judge(now, documents)


def judge(now: Sequence[Replayed], documents: set[int]) -> None:
    """Are those that changed those that are affected?"""
    groups: Counter[tuple[bool, bool]] = Counter()
    for one in now:
        assert one.difference is not None, one.error
        is_affected = affected(one, documents)
        groups[is_affected, one.difference.is_changed] += 1
        if is_affected != one.difference.is_changed:
            moved = one.difference.evidence.moved
            print(f"  unlike: affected {is_affected}, {one.record.question!r}, moved {moved}")
    print(
        f"  affected and changed {groups[True, True]}, affected and not changed"
        f" {groups[True, False]}, not affected and changed {groups[False, True]}, neither"
        f" {groups[False, False]}"
    )
    reordered = sum(
        one.difference is not None and one.difference.evidence.is_reordered for one in now
    )
    print(f"  the same evidence in another order: {reordered}")
    shifts = [one.difference.evidence.largest_shift for one in now if one.difference is not None]
    print(f"  largest shift of a score: {max(shifts):.4f}")


if __name__ == "__main__":
    main()
