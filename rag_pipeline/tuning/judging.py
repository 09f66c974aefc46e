"""How good an embedder is: its own collection, made for the purpose, searched as users search.

Vectors of two embedders can't be compared, and a collection holds those of one. So the documents
are brought into a fresh home, with the user's settings of cutting and searching, and judged by the
project's own evaluation; then that home is gone.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ingest.feeds.records import RecordsFeed
from ingest.pipeline import Observer
from ingest.read import SourceDefaults
from ingest.settings import DedupSettings
from rag_pipeline.composition import Composition
from rag_pipeline.defaults import DEFAULT_COLLECTION, Mode
from rag_pipeline.evaluation.comparison import Compared, compare
from rag_pipeline.evaluation.evaluate import Searching, evaluated_at
from rag_pipeline.evaluation.record import Evaluation
from rag_pipeline.settings import Settings
from rag_pipeline.tuning.data import HeldOut
from rag_pipeline.tuning.ranking import MEASURE

MODES: tuple[Mode, ...] = ("vector", "hybrid")
SURE_FROM = 20
"""Questions; of fewer the bootstrap draws the same few again and again, and is too sure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of each way to search, from one embedder to another, on held-out questions."""

    by_mode: Mapping[Mode, Compared]

    def is_surely_better(self, mode: Mode) -> bool:
        """Whether the interval of the gain lies above 0, of questions enough to believe it."""
        one = self.by_mode[mode]
        return one.difference.low > 0 and one.wins + one.losses + one.ties >= SURE_FROM

    def as_json(self) -> dict[str, Any]:
        return {
            mode: {
                "before": one.baseline,
                "after": one.value,
                "gain": {
                    "mean": one.difference.mean,
                    "low": one.difference.low,
                    "high": one.difference.high,
                },
                "wins": one.wins,
                "losses": one.losses,
                "ties": one.ties,
            }
            for mode, one in self.by_mode.items()
        }


def judge(
    settings: Settings, folder: Path, held_out: HeldOut, *, modes: Sequence[Mode] = MODES
) -> dict[Mode, Evaluation]:
    """The figures of the embedder in `folder` on the questions held out to judge by."""
    with _fresh(settings, folder, held_out.records) as parts:
        position = parts.reader.served()
        return {
            mode: evaluated_at(
                parts,
                held_out.test,
                Searching(mode=mode, depth=MEASURE.cutoff or 1),
                (MEASURE,),
                position,
            )[1]
            for mode in modes
        }


def compared(before: Mapping[Mode, Evaluation], after: Mapping[Mode, Evaluation]) -> Judged:
    """`after` against `before`, paired by question."""
    return Judged(
        by_mode={
            mode: compare(found, before[mode]).by_measure[MEASURE.name]
            for mode, found in after.items()
        }
    )


@contextmanager
def _fresh(
    settings: Settings, folder: Path, records: Sequence[Mapping[str, Any]]
) -> Iterator[Composition]:
    with TemporaryDirectory(prefix="rag-judging-") as home:
        own = settings.model_copy(
            update={
                "home": Path(home),
                "database_url": None,
                "embedder": str(folder),
                # Each document is judged as itself.
                "dedup": DedupSettings(near_duplicates="keep"),
                "collections": {},
            }
        )
        parts = Composition(own)
        try:
            with parts.ingestion(
                DEFAULT_COLLECTION, defaults=SourceDefaults(), observer=Observer()
            ) as ingestion:
                ingestion.run(RecordsFeed(records, "held-out"))
            yield parts
        finally:
            parts.close()
