"""A small collection with judged queries, whose answers are plain to a search by words."""

import json
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
