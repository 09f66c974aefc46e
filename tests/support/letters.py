"""Questions in small letters and passages in capitals: a tiny encoder can learn that they answer
each other, and knows nothing of it before."""

import json
import random
import string
from pathlib import Path

_LETTERS = 3


def letter_triples(count: int, *, seed: int = 1) -> list[dict[str, str]]:
    """Lines of a file of triples; each passage has the letters of its question, in capitals."""
    rng = random.Random(seed)
    found: dict[str, dict[str, str]] = {}
    while len(found) < count:
        letters, others = (rng.sample(string.ascii_lowercase, _LETTERS) for _ in range(2))
        question = " ".join(sorted(letters))
        found[question] = {
            "anchor": question,
            "positive": " ".join(letters).upper(),
            "negative": " ".join(others).upper(),
        }
    return [*found.values()]


def write_triples(path: Path, count: int, *, seed: int = 1) -> Path:
    """Them in a file of JSONL."""
    lines = (json.dumps(row) + "\n" for row in letter_triples(count, seed=seed))
    path.write_text("".join(lines), "utf-8")
    return path
