"""`rag mcp`"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.context import at_home, opened
from rag_pipeline.cli.output import say
from rag_pipeline.cli.stopping import stopped_by_signals

if TYPE_CHECKING:
    from rag_pipeline.pipeline import RagPipeline


@click.command()
@click.option("--http", is_flag=True, help="Listen on a port instead of stdin and stdout.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True)
@click.option("--allow-ingest", is_flag=True, help="Offer a tool that adds documents, too.")
@at_home
def mcp(
    http: bool,
    host: str,
    port: int,
    allow_ingest: bool,
    home: Path | None,
    database: str | None,
) -> None:
    """Let a program that speaks the Model Context Protocol search the documents and ask.

    It may only read, unless you allow more. Nothing but the protocol is written to stdout.

    \b
    Example:
      rag mcp
      rag mcp --http --port 8765
    """
    from rag_pipeline.integrations.mcp.installed import check_installed

    check_installed()
    with stopped_by_signals(), opened(home, database) as rag:
        if http:
            _listen(rag, host, port, allow_ingest=allow_ingest)
        else:
            from rag_pipeline.integrations.mcp.stdio import serve_stdio

            serve_stdio(rag, allow_ingest=allow_ingest)


def _listen(rag: "RagPipeline", host: str, port: int, *, allow_ingest: bool) -> None:
    from rag_pipeline.integrations.mcp.http import PATH, mcp_app
    from rag_pipeline.service.exposure import check_exposure
    from rag_pipeline.service.listening import address_of, listening_socket, serve_app

    check_exposure(rag.settings.service, host)
    with listening_socket(host, port) as listening:
        say(f"listening on {address_of(listening)}{PATH}; stop with Ctrl-C")
        serve_app(mcp_app(rag, allow_ingest=allow_ingest), rag.settings, listening)
