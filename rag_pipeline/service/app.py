"""The HTTP service: which routes there are, and what stands around them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.admission import Admission
from rag_pipeline.service.dependencies import Service
from rag_pipeline.service.problems import answer_errors


def create_app(rag: RagPipeline) -> FastAPI:
    """The service over `rag`, which it leaves open; its settings are those of `rag`."""
    settings = rag.settings.service

    def admission(running: int) -> Admission:
        return Admission(running=running, waiting=settings.waiting, patience_s=settings.patience_s)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = Service(
            rag=rag,
            settings=settings,
            answering=admission(settings.answering),
            searching=admission(settings.searching),
        )
        yield

    app = FastAPI(title="rag-pipeline-service", lifespan=lifespan)
    answer_errors(app)
    return app
