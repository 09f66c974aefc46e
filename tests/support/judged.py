"""A small collection with judged queries, whose answers are plain to a search by words."""

import json
import random
from collections.abc import Mapping
from pathlib import Path

TOPICS = {
    "bees": "Bees dance to show where flowers are.",
    "tea": "Tea is made from the leaves of a shrub.",
    "rye": "Rye bread is baked from sourdough.",
    "whales": "Whales sing under water for hours.",
    "clocks": "Clocks with a pendulum lose time in summer.",
    "glass": "Glass is molten sand that was cooled.",
}
QUERIES = {name: " ".join(text.split()[:3]) for name, text in TOPICS.items()}


def write_topics(folder: Path, texts: Mapping[str, str] = TOPICS) -> Path:
    """A file for each topic; its name is the external id."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def write_judgments(folder: Path, queries: Mapping[str, str] = QUERIES) -> Path:
    """Each topic is the one answer to its query."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"_id": name, "text": text}) + "\n" for name, text in queries.items())
    (folder / "queries.jsonl").write_text("".join(lines), "utf-8")
    qrels = (f"{name}\t{name}.txt\t1\n" for name in queries)
    (folder / "qrels.tsv").write_text("".join(["query-id\tcorpus-id\tscore\n", *qrels]), "utf-8")
    return folder


def named_topics(count: int) -> dict[str, str]:
    """Eight words each that mean nothing."""
    rng = random.Random(3)
    words = [f"{a}{b}{c}" for a in "bdfg" for b in "aeiou" for c in "klmnr"]
    return {f"t{n:02}": " ".join(rng.sample(words, 8)) for n in range(count)}


_MIRRORED = 24


def write_mirrored(folder: Path) -> Path:
    """Topics of which each has an older text beside it with the same words, the last one first: who
    only counts words can't tell them apart. And as many notes that stand alone."""
    topics = named_topics(_MIRRORED)
    mirrored = {f"a-{name}": " ".join(text.split()[::-1]) for name, text in topics.items()}
    notes = {f"z{n:02}": f"key{n}x key{n}y" for n in range(_MIRRORED)}
    return write_topics(folder, {**mirrored, **topics, **notes})


def judge_mirrored(folder: Path) -> Path:
    """Each query is two words of a topic in their order."""
    topics = named_topics(_MIRRORED)
    return write_judgments(
        folder, {name: " ".join(text.split()[:2]) for name, text in topics.items()}
    )


def judge_notes(folder: Path) -> Path:
    """Queries whose one answer is plain to see."""
    return write_judgments(folder, {f"z{n:02}": f"key{n}x" for n in range(_MIRRORED)})
