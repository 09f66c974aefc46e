"""What each side of `benchmarks/ingestion.py` says of itself, in one form.

Only the standard library and what every side has anyway: it runs in each side's own environment.
"""

import argparse
import json
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

MODEL_TOKENS = 256
"""What MiniLM reads of a text, with the marks at both ends."""
CHUNK_TOKENS = MODEL_TOKENS - 2
"""What a text may have so that the model reads all of it."""


@dataclass(frozen=True, slots=True)
class Record:
    """A document of the corpus."""

    key: str
    title: str
    text: str

    @property
    def whole(self) -> str:
        return f"{self.title}\n{self.text}".strip()


def read_records(corpus: Path) -> list[Record]:
    with corpus.open(encoding="utf-8") as lines:
        records = map(json.loads, lines)
        return [Record(r["_id"], r.get("title", ""), r["text"]) for r in records]


def arguments() -> argparse.ArgumentParser:
    """The options that every side takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True, help="the weights, as a folder")
    parser.add_argument("--started", type=float, required=True, help="on the monotonic clock")
    return parser


@dataclass(frozen=True, slots=True)
class Laps:
    """How far a process had come: seconds since it was started, CPU seconds, peak memory."""

    started: float
    """On the monotonic clock, which the parent and this process share."""
    passed: dict[str, dict[str, float]] = field(default_factory=dict)

    def mark(self, name: str) -> None:
        below = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.passed[name] = {
            "wall_s": time.monotonic() - self.started,
            "cpu_s": time.process_time() + below.ru_utime + below.ru_stime,
            "peak_mb": _peak_mb(),
        }

    def report(self, **figures: object) -> None:
        """Print everything as the one line of JSON that the parent reads."""
        print(json.dumps({"laps": self.passed, **figures}))


def _peak_mb() -> float:
    """Of this process; unlike `ru_maxrss` it starts anew at exec."""
    status = Path("/proc/self/status").read_text("ascii")
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def tokens_read(texts: Sequence[str], model: Path) -> int:
    """Tokens that the model reads of `texts`: it cuts each at `MODEL_TOKENS`."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    step = 1000
    return sum(
        min(len(encoding.ids), MODEL_TOKENS)
        for start in range(0, len(texts), step)
        for encoding in tokenizer.encode_batch(list(texts[start : start + step]))
    )
