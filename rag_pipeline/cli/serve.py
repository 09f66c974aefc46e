"""`rag serve`"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import at_home, opened
from rag_pipeline.cli.output import say
from rag_pipeline.cli.stopping import stopped_by_signals

if TYPE_CHECKING:
    from rag_pipeline.pipeline import RagPipeline


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 for any that is free.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that serve; each has models and indexes of its own in memory.",
)
@at_home
def serve(host: str, port: int, workers: int, home: Path | None, database: str | None) -> None:
    """Serve the web page, the API, and OpenAI's protocol, until Ctrl-C or SIGTERM.

    Answers under way are finished first. Other machines may call only if a key is configured
    (RAG_SERVICE__API_KEY). Says on stderr where it listens, then one line a request. Exits with 0
    when it is stopped.

    \b
    Example:
      rag serve --port 8000
    """
    from rag_pipeline.service.exposure import check_exposure

    with stopped_by_signals(), opened(home, database) as rag:
        check_exposure(rag.settings.service, host)
        _serve(rag, host, port, workers)


def _serve(rag: "RagPipeline", host: str, port: int, workers: int) -> None:
    from rag_pipeline.service.listening import (
        address_of,
        listening_socket,
        serve_here,
        serve_in_workers,
    )

    with listening_socket(host, port) as listening:
        say(f"serving on {address_of(listening)}; stop with Ctrl-C")
        if workers == 1:
            serve_here(rag, listening)
        else:
            rag.close()
            serve_in_workers(rag.settings, listening, workers=workers)
