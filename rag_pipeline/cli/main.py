"""The program `rag`. A command parses its arguments, calls one function, and prints.

Nothing heavy is imported here: help and history answer at once.
"""

from pathlib import Path
from typing import Any

import click

from rag_pipeline.cli.ask import ask
from rag_pipeline.cli.context import ANY_PATH, Given
from rag_pipeline.cli.datasets import datasets
from rag_pipeline.cli.db import db
from rag_pipeline.cli.dedup import dedup
from rag_pipeline.cli.doctor import doctor
from rag_pipeline.cli.entities import entities
from rag_pipeline.cli.eval import evaluation
from rag_pipeline.cli.export import export
from rag_pipeline.cli.forget import forget
from rag_pipeline.cli.history import history
from rag_pipeline.cli.history_chain import chain
from rag_pipeline.cli.history_diff import diff
from rag_pipeline.cli.history_export import export as export_history
from rag_pipeline.cli.history_import import import_history
from rag_pipeline.cli.history_prune import prune, redact
from rag_pipeline.cli.history_rate import rate, score
from rag_pipeline.cli.history_replay import replay
from rag_pipeline.cli.history_stats import sessions, stats, trends
from rag_pipeline.cli.history_tag import tag as tag_history
from rag_pipeline.cli.ingest import ingest
from rag_pipeline.cli.mcp import mcp
from rag_pipeline.cli.models import models
from rag_pipeline.cli.output import one_line_errors
from rag_pipeline.cli.parse import parse
from rag_pipeline.cli.prompts import prompts
from rag_pipeline.cli.runs import runs
from rag_pipeline.cli.search import search
from rag_pipeline.cli.serve import serve
from rag_pipeline.cli.sync import sync
from rag_pipeline.cli.synth import synth
from rag_pipeline.cli.tune import tune
from rag_pipeline.cli.tune_generator import generator, preference
from rag_pipeline.cli.watch import watch


class Program(click.Group):
    """Commands whose errors are one line; click's own handling would hide what we have to say."""

    def invoke(self, context: click.Context) -> Any:
        with one_line_errors(debug=context.params["debug"]):
            return super().invoke(context)


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--home", type=ANY_PATH, help="Folder of database and indexes.")
@click.option("--database", metavar="URL", help="Keep the truth in this database instead.")
@click.option("--debug", is_flag=True, help="Show errors whole, with their traceback.")
@click.version_option(package_name="rag-pipeline-service", message="rag %(version)s")
@click.pass_context
def cli(context: click.Context, home: Path | None, database: str | None, debug: bool) -> None:
    """Ingest documents, search them, and ask questions that they answer.

    \b
    Example:
      rag ingest docs/
      rag ask "How high is the lighthouse?"
    """
    context.obj = Given(home=home, database=database, debug=debug)


for command in (
    ingest,
    sync,
    watch,
    runs,
    search,
    ask,
    history,
    forget,
    serve,
    export,
    evaluation,
    dedup,
    entities,
    doctor,
    parse,
    datasets,
    models,
    tune,
    synth,
    prompts,
    mcp,
    db,
):
    cli.add_command(command)


for about_history in (
    rate,
    score,
    stats,
    trends,
    sessions,
    export_history,
    tag_history,
    chain,
    diff,
    replay,
    import_history,
    prune,
    redact,
):
    history.add_command(about_history)


tune.add_command(generator)
tune.add_command(preference)
