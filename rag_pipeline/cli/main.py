"""The program `rag`. A command parses its arguments, calls one function, and prints.

Nothing heavy is imported here: help and history answer at once.
"""

from pathlib import Path
from typing import Any

import click

from rag_pipeline.cli.context import ANY_PATH, Given
from rag_pipeline.cli.on_demand import OnDemand
from rag_pipeline.cli.output import one_line_errors


class Program(click.Group):
    """Commands whose errors are one line; click's own handling would hide what we have to say."""

    def invoke(self, context: click.Context) -> Any:
        with one_line_errors(debug=context.params["debug"]):
            return super().invoke(context)


_COMMANDS = OnDemand(
    {
        "ingest": "ingest:ingest",
        "sync": "sync:sync",
        "watch": "watch:watch",
        "runs": "runs:runs",
        "search": "search:search",
        "ask": "ask:ask",
        "history": "history:history",
        "forget": "forget:forget",
        "serve": "serve:serve",
        "export": "export:export",
        "eval": "eval:evaluation",
        "dedup": "dedup:dedup",
        "entities": "entities:entities",
        "doctor": "doctor:doctor",
        "parse": "parse:parse",
        "datasets": "datasets:datasets",
        "models": "models:models",
        "tune": "tune:tune",
        "synth": "synth:synth",
        "prompts": "prompts:prompts",
        "mcp": "mcp:mcp",
        "db": "db:db",
    }
)


@click.group(
    cls=Program,
    commands=_COMMANDS,
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
