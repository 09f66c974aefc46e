"""Our side: `RagPipeline.open(home).ingest(corpus)`, until a search finds what was committed.

Run again on the same home, it shows what a second run costs. `--floor` measures instead the bare
forward pass over the texts that ingestion hands to the model, all of them in one call.
"""

import argparse
import hashlib
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TypeVar
from unittest.mock import patch

import numpy as np
from measuring import Laps, arguments, tokens_read

from ingest.embed import Embedder
from ingest.report import IngestReport
from ingest.settings import EmbedSettings
from rag_pipeline.pipeline import RagPipeline
from storage.records import EmbeddingSpace, Vectors

OURS = ("ingest", "storage", "rag_pipeline")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
SAMPLE_S = 0.004
"""Of CPU time; kernels tick no finer."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Passes everything on to an embedder and keeps the texts it was given."""

    embedder: Embedder
    texts: list[str] = field(default_factory=list)

    @property
    def space(self) -> EmbeddingSpace:
        return self.embedder.space

    @property
    def max_tokens(self) -> int:
        return self.embedder.max_tokens

    def count(self, texts: Sequence[str]) -> list[int]:
        return self.embedder.count(texts)

    def offsets(self, text: str) -> list[tuple[int, int]]:
        return self.embedder.offsets(text)

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts.extend(texts)
        return self.embedder.embed(texts)


@dataclass(frozen=True, slots=True)
class HashEmbedder:
    """The tokens of a real embedder, and vectors that are made of a hash of the text.

    Everything but the forward pass costs what it costs with the real one.
    """

    tokens: Embedder

    @property
    def space(self) -> EmbeddingSpace:
        return EmbeddingSpace(
            model="hash", weights_sha256="0" * 64, dimension=self.tokens.space.dimension
        )

    @property
    def max_tokens(self) -> int:
        return self.tokens.max_tokens

    def count(self, texts: Sequence[str]) -> list[int]:
        return self.tokens.count(texts)

    def offsets(self, text: str) -> list[tuple[int, int]]:
        return self.tokens.offsets(text)

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.empty((len(texts), self.space.dimension), np.float32)
        for row, text in enumerate(texts):
            digest = hashlib.shake_128(text.encode()).digest(self.space.dimension)
            vectors[row] = np.frombuffer(digest, np.uint8)
        vectors -= 127.5
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def main() -> None:
    parser = arguments()
    parser.add_argument("--embedder", choices=["minilm", "hash"], default="minilm")
    parser.add_argument("--runtime", default="auto", help="of the embedder, as in the settings")
    parser.add_argument("--cold", action="store_true", help="load the model when it is needed")
    parser.add_argument("--count-tokens", action="store_true", help="keeps all texts in memory")
    parser.add_argument("--floor", action="store_true", help="only the forward pass")
    parser.add_argument("--sample", action="store_true", help="say where the CPU time goes")
    given = parser.parse_args()
    measure = measure_floor if given.floor else measure_ingestion
    measure(given, Laps(given.started))


def measure_ingestion(given: argparse.Namespace, laps: Laps) -> None:
    samples: Counter[str] = Counter()
    with opened(given.home, given) as rag:
        embedder = rag._parts.embedder
        recording = Recording(embedder)
        if given.count_tokens:
            rag._parts.embedder = recording
        if not given.cold:
            embedder.embed(["warm"])
        laps.mark("ready")
        with sampled(samples) if given.sample else unsampled():
            report = rag.ingest(given.corpus)
            laps.mark("ingested")
            embedded = list(recording.texts)
            assert rag.search("a question about what is in there", limit=10).hits
            laps.mark("searchable")
    laps.report(
        documents=looked_at(report),
        texts=report.embedded,
        tokens=tokens_read(embedded, given.model),
        samples=samples,
    )


def measure_floor(given: argparse.Namespace, laps: Laps) -> None:
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder), given) as rag:
        embedder = rag._parts.embedder
        recording = Recording(HashEmbedder(embedder))
        rag._parts.embedder = recording
        documents = rag.ingest(given.corpus).documents.new
        texts = list(recording.texts)
        embedder.embed(texts[:64])
        laps.mark("ready")
        embedder.embed(texts)
        laps.mark("ingested")
        laps.mark("searchable")
    laps.report(documents=documents, texts=len(texts), tokens=tokens_read(texts, given.model))


def looked_at(report: IngestReport) -> int:
    counts = report.documents
    found = counts.new + counts.changed + counts.unchanged
    return found + counts.duplicate + counts.near_duplicate


@contextmanager
def opened(home: Path, given: argparse.Namespace) -> Iterator[RagPipeline]:
    embedding = EmbedSettings.model_validate({"runtime": given.runtime})
    with RagPipeline.open(home, embedding=embedding) as rag:
        if given.embedder == "hash":
            rag._parts.embedder = HashEmbedder(rag._parts.embedder)
        yield rag


@contextmanager
def unsampled() -> Iterator[None]:
    yield


@contextmanager
def sampled(into: Counter[str]) -> Iterator[None]:
    """Counts, every `SAMPLE_S` of CPU time, the innermost function of ours that is running.

    The steps of ingestion then run one after the other: which of several threads uses the time
    can't be told.
    """

    def take(_: int, frame: FrameType | None) -> None:
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if module.partition(".")[0] in OURS:
                into[f"{module}:{frame.f_code.co_qualname}"] += 1
                return
            frame = frame.f_back
        into["elsewhere:"] += 1

    earlier = signal.signal(signal.SIGPROF, take)
    signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)
    with patch("ingest.pipeline.overlapped", in_one_thread):
        yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, earlier)


@contextmanager
def in_one_thread(
    items: Iterable[A], cut: Callable[[A], B], embed: Callable[[B], C], **_threads: object
) -> Iterator[Iterator[C]]:
    yield map(embed, map(cut, items))


if __name__ == "__main__":
    main()
