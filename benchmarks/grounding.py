"""How often the citation checker accepts faithful answers, and answers with one fact changed.

Reads SQuAD's JSON form (`--data`). Each question comes with its own context and with others of the
same article, which share most of its words and names. A plain baseline, half of the answer's words
in one sentence, runs beside it on the same answers.

    python benchmarks/grounding.py --data dev-v2.0.json
"""

import argparse
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.sentences import sentences
from rag_pipeline.generation.grounding import ground
from storage.records import ChunkId, DocumentId, Origin, SourceRef, StoredChunk

_NUMBER = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}(?: [A-Z][a-z]+)*")
_AUXILIARY = re.compile(
    r"\b(?:is|was|are|were|has|had|can|could|will|would|may|must|should)\b(?! not)"
)
_ASKS_SUBJECT = re.compile(
    r"(?:What|Who)(?P<rest> (?!(?:do|does|did|is|are|was|were)\b)[a-z]+(?:s|ed) .*)\?$"
)
_ASKS_WHAT_IS = re.compile(r"(?:What|Who) (?P<verb>is|was|are|were) (?P<subject>[^,]*)\?$")


@dataclass(frozen=True, slots=True)
class Case:
    """A question about `gold`, the sentence of `context` that has the answer."""

    question: str
    answer: str
    gold: str
    context: str
    title: str
    distractors: tuple[str, ...]
    elsewhere: str
    """A sentence of another article."""


Article = dict[str, Any]
"""One of SQuAD's articles, as its JSON form has it."""

Change = Callable[[Case, random.Random], str | None]
"""Makes an answer of a case; None where it does not apply."""


def verbatim(case: Case, _: random.Random) -> str:
    return case.gold


def bare_answer(case: Case, _: random.Random) -> str:
    return case.answer


def trimmed(case: Case, _: random.Random) -> str | None:
    """Without brackets and without the last part after a comma, if the answer stands before it."""
    kept = re.sub(r" ?\([^()]*\)", "", case.gold)
    head, comma, _tail = kept.rpartition(", ")
    short = f"{head}." if comma and len(head.split()) > 5 else kept
    return short if short != case.gold and case.answer in short else None


def restated(case: Case, _: random.Random) -> str | None:
    """The question turned into a statement, where its form allows it."""
    if found := _ASKS_SUBJECT.match(case.question):
        return f"{case.answer}{found['rest']}."
    if found := _ASKS_WHAT_IS.match(case.question):
        return (
            f"{found['subject'][:1].upper()}{found['subject'][1:]} {found['verb']} {case.answer}."
        )
    return None


def led_in(case: Case, _: random.Random) -> str:
    return f"Based on the provided passages, the answer is: {case.answer}."


def number_changed(case: Case, rng: random.Random) -> str | None:
    """One number replaced by another of the passage, or by a near one."""
    found = list(_NUMBER.finditer(case.gold))
    if not found:
        return None
    chosen = rng.choice(found)
    others = sorted(set(_NUMBER.findall(case.context)) - set(_NUMBER.findall(case.gold)))
    near = str(int(re.sub(r"\D", "", chosen[0])) + rng.randint(1, 9))
    return _put(case.gold, chosen, rng.choice([near, *others]))


def name_swapped(case: Case, rng: random.Random) -> str | None:
    """One name replaced by another of the same passage."""
    found = list(_NAME.finditer(case.gold))
    others = sorted({name for name in _NAME.findall(case.context) if name not in case.gold})
    return _put(case.gold, rng.choice(found), rng.choice(others)) if found and others else None


def roles_swapped(case: Case, _: random.Random) -> str | None:
    """Two names of one sentence in each other's place: the same bag of words."""
    found = list(_NAME.finditer(case.gold))
    if len(found) < 2 or found[0][0] == found[-1][0]:
        return None
    return _put(_put(case.gold, found[-1], found[0][0]), found[0], found[-1][0])


def negated(case: Case, rng: random.Random) -> str | None:
    found = list(_AUXILIARY.finditer(case.gold))
    if not found:
        return None
    chosen = rng.choice(found)
    return _put(case.gold, chosen, f"{chosen[0]} not")


def half_true(case: Case, _: random.Random) -> str:
    """The first half of the sentence, and the second half of one of another article."""
    ours, theirs = case.gold.split(), case.elsewhere.split()
    return " ".join(ours[: len(ours) // 2] + theirs[len(theirs) // 2 :])


def from_another_article(case: Case, _: random.Random) -> str:
    return case.elsewhere


def number_of_another_sentence(case: Case, rng: random.Random) -> str | None:
    """As a bare answer, a number of the passages that does not stand with the right one."""
    if not _NUMBER.fullmatch(case.answer):
        return None
    others = sorted(set(_NUMBER.findall(case.context)) - set(_NUMBER.findall(case.gold)))
    return rng.choice(others) if others else None


FAITHFUL: tuple[Change, ...] = (verbatim, trimmed, restated, bare_answer, led_in)
CORRUPTED: tuple[Change, ...] = (
    number_changed,
    name_swapped,
    roles_swapped,
    negated,
    half_true,
    from_another_article,
    number_of_another_sentence,
)


def _put(text: str, place: re.Match[str], replacement: str) -> str:
    return text[: place.start()] + replacement + text[place.end() :]


def read_cases(path: Path, *, limit: int, rng: random.Random) -> list[Case]:
    """`limit` answerable questions, drawn from all articles."""
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    cases = [case for article in articles for case in _cases(article, articles, rng)]
    return rng.sample(cases, min(limit, len(cases)))


def _cases(article: Article, articles: Sequence[Article], rng: random.Random) -> Iterator[Case]:
    others = [other for other in articles if other is not article]
    contexts = [paragraph["context"] for paragraph in article["paragraphs"]]
    for paragraph in article["paragraphs"]:
        context = paragraph["context"]
        for asked in paragraph["qas"]:
            if asked["is_impossible"]:
                continue
            answer = asked["answers"][0]
            foreign = rng.choice(rng.choice(others)["paragraphs"])["context"]
            yield Case(
                question=asked["question"],
                answer=answer["text"],
                gold=_sentence_at(context, answer["answer_start"]),
                context=context,
                title=article["title"].replace("_", " "),
                distractors=tuple(rng.sample([c for c in contexts if c != context], 4)),
                elsewhere=_sentence_at(foreign, rng.randrange(len(foreign))),
            )


def _sentence_at(text: str, offset: int) -> str:
    start, end = next(span for span in reversed(sentences(text)) if span[0] <= offset)
    return text[start:end]


def passages_of(case: Case) -> list[StoredChunk]:
    """The distractors first: the checker must find the right passage by itself."""
    return [
        _chunk(key, text, case.title) for key, text in enumerate((*case.distractors, case.context))
    ]


def _chunk(key: int, text: str, title: str) -> StoredChunk:
    source = SourceRef(
        source=title, external_id=str(key), title=title, metadata={}, origin=Origin.REAL
    )
    return StoredChunk(
        chunk_id=ChunkId(key),
        document_id=DocumentId(key),
        text=text,
        title=title,
        start=0,
        end=len(text),
        sources=(source,),
    )


def accepted(answer: str, case: Case) -> bool:
    return ground(answer, question=case.question, passages=passages_of(case)).state == "grounded"


def accepted_by_overlap(answer: str, case: Case) -> bool:
    """Every sentence has half of its words in one sentence of the passages."""
    texts = [passage.text for passage in passages_of(case)]
    shown = [_words(text[start:end]) for text in texts for start, end in sentences(text)]
    said = [_words(answer[start:end]) for start, end in sentences(answer)]
    return all(
        any(2 * len(words & other) >= len(words) for other in shown) for words in said if words
    )


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def rates(
    changes: Iterable[Change], cases: Sequence[Case], seed: int
) -> Iterator[tuple[str, Counter[str]]]:
    """For each kind of answer how many there are and how many each checker accepts."""
    for change in changes:
        rng, counted = random.Random(seed), Counter[str]()
        for case in cases:
            if (answer := change(case, rng)) is not None:
                counted["answers"] += 1
                counted["ours"] += accepted(answer, case)
                counted["overlap"] += accepted_by_overlap(answer, case)
        yield change.__name__, counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="SQuAD 2.0 in its JSON form")
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    cases = read_cases(chosen.data, limit=chosen.questions, rng=random.Random(chosen.seed))
    began = time.perf_counter()
    for label, changes in (("faithful", FAITHFUL), ("corrupted", CORRUPTED)):
        print(f"{label:32}{'answers':>8}{'accepted':>10}{'by overlap':>12}")
        for name, counted in rates(changes, cases, chosen.seed):
            total = counted["answers"]
            ours, overlap = counted["ours"] / total, counted["overlap"] / total
            print(f"  {name:30}{total:8}{ours:10.1%}{overlap:12.1%}")
    print(f"{time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
