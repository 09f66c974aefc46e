"""What a process of several serves: a pipeline of its own, opened from the environment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.app import create_app
from rag_pipeline.service.listening import share_interpreter


def worker() -> FastAPI:
    """The service over a pipeline that is closed when it ends.

    `RAG_HOME` and its like say which; nothing open is shared with the process that started this.
    """
    share_interpreter()
    rag = RagPipeline.open()
    app = create_app(rag)
    serve = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with serve(app):
            yield
        rag.close()

    app.router.lifespan_context = lifespan
    return app
