"""The protocol over stdin and stdout, for the one program that has started this one."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import cast

import anyio
from mcp.server.stdio import stdio_server

from rag_pipeline.integrations.mcp.server import mcp_server
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.dependencies import opened

_BLOCK_BYTES = 2**16


def serve_stdio(rag: RagPipeline, *, allow_ingest: bool = False) -> None:
    """Answer until stdin is closed; nothing but the protocol is written to stdout."""
    asyncio.run(_serve(rag, _taken_stdin(), allow_ingest=allow_ingest))


async def _serve(rag: RagPipeline, stdin: int, *, allow_ingest: bool) -> None:
    served = opened(rag)
    server = mcp_server(lambda: served, lambda _context: rag, allow_ingest=allow_ingest)
    # The library's own reader can't be stopped while it waits. It asks of a file only its lines.
    lines = cast("anyio.AsyncFile[str]", _lines(stdin))
    async with stdio_server(stdin=lines) as (read, write):
        await server.run(read, write, server.create_initialization_options())


def _taken_stdin() -> int:
    """What was stdin, which from now on is empty for whatever else reads it."""
    taken, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return taken


async def _lines(file: int) -> AsyncIterator[str]:
    """The lines of a file, read by a thread that nobody has to wait for."""
    blocks: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        # A loop that is closed wants no more.
        with suppress(RuntimeError):
            while block := os.read(file, _BLOCK_BYTES):
                loop.call_soon_threadsafe(blocks.put_nowait, block)
            loop.call_soon_threadsafe(blocks.put_nowait, b"")

    threading.Thread(target=read, name="stdin", daemon=True).start()
    begun: list[bytes] = []
    while block := await blocks.get():
        head, *rest = block.split(b"\n")
        begun.append(head)
        for piece in rest:
            yield b"".join(begun).decode("utf-8", "replace")
            begun = [piece]
    if any(begun):
        yield b"".join(begun).decode("utf-8", "replace")
