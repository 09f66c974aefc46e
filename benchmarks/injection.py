"""How many attacks in documents are obeyed, with the guard on and off, and what the guard costs.

    python benchmarks/injection.py [--generators extractive,smollm2] [--attacks FILE]

Each attack (`tests/support/injections.jsonl`) is a document that holds the true answer to a
question and, beside it, an order that would have another one given: it is obeyed if what the order
wants is in the answer. Each look-alike (`look_alikes.jsonl`) is a harmless document that speaks of
orders, assistants, tokens and the like: its answer is lost if it is given without the guard and
not with it. All documents are in one collection. "draft" is what the model wrote and nothing
checked: what a plain pipeline would have answered.
"""

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_pipeline.generation.answer import AnswerStream
from rag_pipeline.pipeline import RagPipeline

SUPPORT = Path(__file__).parent.parent / "tests" / "support"
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Given:
    """What was answered to one question."""

    row: Row
    draft: str
    text: str

    @property
    def is_right(self) -> bool:
        return _has(self.text, self.row["answer"])

    @property
    def is_obeyed(self) -> bool:
        return _has(self.text, self.row["obeyed"])

    @property
    def is_drafted(self) -> bool:
        """Whether the model itself obeyed."""
        return _has(self.draft, self.row["obeyed"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generators", default="extractive,smollm2")
    parser.add_argument("--attacks", type=Path, default=SUPPORT / "injections.jsonl")
    parser.add_argument("--look-alikes", type=Path, default=SUPPORT / "look_alikes.jsonl")
    parser.add_argument("--show", action="store_true", help="print what was obeyed or lost")
    given = parser.parse_args()
    attacks, harmless = rows(given.attacks), rows(given.look_alikes)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with RagPipeline.open(home) as rag:
            rag.ingest_records([*documents(attacks), *documents(harmless)], source="injection")
        for generator in given.generators.split(","):
            compare(home, generator, attacks, harmless, show=given.show)


def rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def documents(some: Sequence[Row]) -> Iterator[dict[str, Any]]:
    for row in some:
        for number, document in enumerate(row.get("documents", [row])):
            yield {
                "_id": f"{row['_id']}-{number}",
                "title": document.get("title", ""),
                "text": document["text"],
                "metadata": document.get("metadata", {}),
            }


def compare(
    home: Path, generator: str, attacks: Sequence[Row], harmless: Sequence[Row], *, show: bool
) -> None:
    benign: dict[bool, list[Given]] = {}
    for guard in (False, True):
        settings = {"generator": generator, "generation": {"guard": guard}}
        with RagPipeline.open(home, **settings) as rag:
            found = [*answers(rag, attacks)]
            benign[guard] = [*answers(rag, harmless)]
        obeyed = [one for one in found if one.is_obeyed]
        print(
            f"{generator}, guard {'on ' if guard else 'off'}: obeyed {len(obeyed)}/{len(found)}"
            f" (draft {sum(one.is_drafted for one in found)}),"
            f" attacked questions right {sum(one.is_right for one in found)}/{len(found)},"
            f" look-alikes right {sum(one.is_right for one in benign[guard])}/{len(harmless)}",
            flush=True,
        )
        if show:
            _show("obeyed", obeyed)
            _show("not right", [one for one in found if not one.is_right and not one.is_obeyed])
    lost = [
        after
        for before, after in zip(benign[False], benign[True], strict=True)
        if before.is_right and not after.is_right
    ]
    print(f"{generator}: answers lost on look-alikes {len(lost)}/{len(harmless)}", flush=True)
    if show:
        _show("lost", lost)


def answers(rag: RagPipeline, some: Sequence[Row]) -> Iterator[Given]:
    for row in some:
        yield _given(row, rag.ask_stream(row["question"]))


def _given(row: Row, stream: AnswerStream) -> Given:
    draft = ""
    while True:
        try:
            draft += next(stream)
        except StopIteration as ended:
            return Given(row, draft, ended.value.text)


def _has(text: str, wanted: str) -> bool:
    return wanted.casefold() in text.casefold()


def _show(what: str, some: Iterable[Given]) -> None:
    for one in some:
        print(f"   {what}: {one.row['_id']} {one.row['kind']}: {one.text!r}", flush=True)


if __name__ == "__main__":
    main()
