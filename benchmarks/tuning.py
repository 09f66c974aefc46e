"""What training the embedder on documents alone gains, on collections in the BEIR layout.

    python benchmarks/tuning.py FOLDER... [--limit N] [--home HOME]

FOLDER holds corpus.jsonl, queries.jsonl and qrels.tsv. Questions are made of the documents; of the
judged queries half stop the training, and the other half judges, once, the variant that did best on
the first half. The gain is told with its 95 % interval, and whether it was activated.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.training.progress import Progress
from rag_pipeline.tuning.embedder import ENCODER, TRAINING, EmbedderWanted, TunedEmbedder

VARIANTS = {
    "upper half, 2e-5": (TRAINING, ENCODER),
    "upper half, 5e-6": (replace(TRAINING, learning_rate=5e-6), ENCODER),
    "last layer, 2e-5": (TRAINING, replace(ENCODER, frozen_layers=5)),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folders", nargs="+", type=Path)
    options.add_argument("--limit", type=int, default=480, help="questions made of documents")
    options.add_argument("--home", type=Path, help="where to keep what is ingested")
    options.add_argument("--variants", nargs="*", choices=[*VARIANTS], default=[*VARIANTS])
    given = options.parse_args()
    for folder in given.folders:
        with tempfile.TemporaryDirectory() as scratch:
            measure(
                folder, (given.home or Path(scratch)) / folder.name, given.limit, given.variants
            )


def measure(folder: Path, home: Path, limit: int, variants: list[str]) -> None:
    with RagPipeline.open(home, generator="extractive") as rag:
        rag.ingest(folder / "corpus.jsonl")
        print(f"{folder.name}: {limit} questions made of documents")
        tuned = {name: run(rag, folder, limit, name) for name in variants}
    best = max(tuned, key=lambda name: tuned[name].trained.best.value)
    print(f"best on the queries that stop: {best}")
    print(json.dumps(tuned[best].as_json(), indent=2))


def run(rag: RagPipeline, folder: Path, limit: int, name: str) -> TunedEmbedder:
    training, encoder = VARIANTS[name]
    started = time.process_time()
    values: list[float] = []

    def observe(progress: Progress) -> None:
        if progress.validation is not None:
            values.append(progress.validation)

    tuned = rag.tune_embedder(
        EmbedderWanted(
            judged=folder,
            most=limit,
            training=training,
            encoder=encoder,
            name=f"{folder.name}-{[*VARIANTS].index(name)}",
            activates=False,
        ),
        observe=observe,
    )
    shown = ", ".join(f"{value:.4f}" for value in values)
    seconds = time.process_time() - started
    print(f"  {name}: queries that stop {shown}; {seconds:.0f} CPU s", flush=True)
    return tuned


if __name__ == "__main__":
    main()
