"""`rag tune`: train models of one's own on what is here."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.context import ANY_PATH, as_json_option, at_home, in_collection, opened
from rag_pipeline.cli.on_demand import OnDemand
from rag_pipeline.cli.output import print_json, say
from rag_pipeline.cli.training import seed_option, told

if TYPE_CHECKING:
    from rag_pipeline.defaults import Mode
    from rag_pipeline.tuning.embedder import TunedEmbedder


_COMMANDS = OnDemand(
    {"generator": "tune_generator:generator", "preference": "tune_generator:preference"}
)


@click.group(commands=_COMMANDS)
def tune() -> None:
    """Train models of your own; each is kept as a version, and used only if it is better."""


@tune.command("embedder")
@click.option(
    "--data",
    "triples",
    type=ANY_PATH,
    metavar="FILE",
    help="Triples, as `rag history export --format triples` writes them.",
)
@click.option("--from-history", is_flag=True, help="Learn from what was asked and cited.")
@click.option("--from-documents", is_flag=True, help="Learn from documents alone: the default.")
@click.option(
    "--min-score", type=float, metavar="0…1", help="With --from-history: only answers rated so."
)
@click.option(
    "--judged",
    type=ANY_PATH,
    metavar="DIR",
    help="Stop and judge by judged questions (queries.jsonl, qrels.tsv), half of them each.",
)
@click.option("--base", metavar="MODEL", help="What to begin with; else the embedder that is set.")
@click.option(
    "--name", default="embedder", show_default=True, help="Of the versions that come of it."
)
@click.option(
    "--decide-by",
    "decides",
    type=click.Choice(["hybrid", "vector"]),
    default="hybrid",
    show_default=True,
    help="The search that has to become better.",
)
@click.option(
    "--activate/--no-activate",
    "activates",
    default=True,
    show_default=True,
    help="Let it become what `version:NAME` means, if it is surely better.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Questions made of documents, at most; 2000 unless given.",
)
@click.option(
    "--frozen-layers",
    type=click.IntRange(min=0),
    metavar="N",
    help="Lower layers that stay as they are, and cost less; 3 unless given.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="How often all is seen, at most.")
@click.option("--learning-rate", type=float, metavar="RATE", help="At its highest.")
@click.option("--batch-size", type=click.IntRange(min=2), help="Triples in one step.")
@click.option("--patience", type=click.IntRange(min=1), help="Validations without a gain.")
@seed_option
@click.option("--threads", type=click.IntRange(min=1), help="Of the processor; 1 unless given.")
@click.option("--plot", type=ANY_PATH, metavar="FILE", help="Draw the training as PNG or SVG.")
@in_collection
@as_json_option
@at_home
def embedder(
    triples: Path | None,
    from_history: bool,
    from_documents: bool,
    min_score: float | None,
    judged: Path | None,
    base: str | None,
    name: str,
    decides: "Mode",
    activates: bool,
    limit: int | None,
    frozen_layers: int | None,
    epochs: int | None,
    learning_rate: float | None,
    batch_size: int | None,
    patience: int | None,
    seed: int,
    threads: int | None,
    plot: Path | None,
    collection: str,
    as_json: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Train the embedder, and keep what comes of it as a version.

    Questions that nothing was trained on judge it before and after. Broken off, the same command
    goes on. A collection holds the vectors of one embedder: to use the new one, set `embedder` and
    ingest into another collection.

    \b
    Example:
      rag tune embedder --judged judged/
      rag tune embedder --data triples.jsonl --name manuals
    """
    if sum((triples is not None, from_history, from_documents)) > 1:
        raise click.UsageError("give one of --data, --from-history and --from-documents")
    if min_score is not None and not from_history:
        raise click.UsageError("--min-score goes with --from-history")
    from dataclasses import replace

    from rag_pipeline.tuning.embedder import ENCODER, MOST_TRIPLES, TRAINING, EmbedderWanted

    given: dict[str, Any] = {
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "patience": patience,
        "threads": threads,
    }
    chosen = {key: value for key, value in given.items() if value is not None}
    encoder = ENCODER if frozen_layers is None else replace(ENCODER, frozen_layers=frozen_layers)
    with opened(home, database) as rag:
        wanted = EmbedderWanted(
            triples=triples,
            from_history=from_history,
            min_score=min_score,
            judged=judged,
            collection=collection,
            base=base,
            name=name,
            decides=decides,
            activates=activates,
            training=replace(TRAINING, seed=seed, **chosen),
            encoder=encoder,
            most=limit or MOST_TRIPLES,
            plot=plot,
        )
        tuned = rag.tune_embedder(wanted, observe=told(), tell=say)
    if as_json:
        print_json(tuned.as_json())
    else:
        for line in _lines(tuned):
            click.echo(line)


def _lines(tuned: "TunedEmbedder") -> Iterator[str]:
    trained = tuned.trained
    early = ", stopped early" if trained.stopped_early else ""
    yield (
        f"{tuned.model.reference}: {tuned.triples} triples, {len(trained.losses)} steps{early},"
        f" best after {trained.best.step}"
    )
    yield f"ndcg@10 of {tuned.questions} questions held out, against {tuned.stands}:"
    for mode, one in tuned.judged.by_mode.items():
        gain = one.difference
        yield (
            f"  {mode:<7} {one.baseline:.4f} to {one.value:.4f}, gain {gain.mean:+.4f}"
            f" ({gain.low:+.4f} to {gain.high:+.4f}); {one.wins} better, {one.losses} worse,"
            f" {one.ties} same"
        )
    if tuned.is_activated:
        model = tuned.model
        yield f"activated: {model.reference}; a collection for it is made by"
        yield f"  RAG_EMBEDDER={model.reference} rag ingest --collection {model.name} PATH…"
    elif tuned.is_surely_better:
        yield "surely better; kept and not activated, as you wished"
    else:
        yield "not surely better: kept, and not activated"
