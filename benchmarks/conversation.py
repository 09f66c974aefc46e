"""How many questions that follow others find their passage, by how they are made to stand alone.

    python benchmarks/conversation.py [--ways off,rules,model]

Reads `tests/support/conversations.jsonl`: what was asked and answered before, a question, and the
document with its answer, among those of `conversation_documents.jsonl`. "found" counts questions
whose document is the first that is found, "answered" those whose answer, of sentences of the
documents, has what it should have.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rag_pipeline.generation.conversation import Exchange
from rag_pipeline.generation.language_model import Turn
from rag_pipeline.pipeline import RagPipeline

SUPPORT = Path(__file__).parent.parent / "tests" / "support"
Row = Mapping[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ways", default="off,rules,model")
    parser.add_argument("--show", action="store_true", help="print what was not found")
    given = parser.parse_args()
    conversations = rows(SUPPORT / "conversations.jsonl")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with RagPipeline.open(home) as rag:
            rag.ingest(SUPPORT / "conversation_documents.jsonl")
        for way in given.ways.split(","):
            with RagPipeline.open(home, generation={"rewrite": way}) as rag:
                measure(rag, way, conversations, show=given.show)


def rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def measure(rag: RagPipeline, way: str, conversations: Sequence[Row], *, show: bool) -> None:
    found = answered = 0
    rewrite = rag.parts._rewrite(extractive=False)
    for row in conversations:
        before = [Exchange(one["question"], one["answer"]) for one in row["before"]]
        question = rewrite(row["question"], before)
        hits = rag.search(question, limit=1).hits
        is_found = bool(hits) and hits[0].chunk.sources[0].external_id == row["document"]
        found += is_found
        earlier = [
            turn
            for one in before
            for turn in (Turn("user", one.question), Turn("assistant", one.answer))
        ]
        if way != "model":
            answer = rag.ask(row["question"], earlier=earlier, extractive=True)
            answered += row["answer"].casefold() in answer.text.casefold()
        if show and not is_found:
            print(f"   not found: {row['_id']} {row['question']!r} as {question!r}")
    told = f", answered {answered}" if way != "model" else ""
    print(f"{way}: found {found}/{len(conversations)}{told}", flush=True)


if __name__ == "__main__":
    main()
