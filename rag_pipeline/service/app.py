"""The HTTP service: which routes there are, and what stands around them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service import (
    asking,
    chat,
    completions,
    data_routes,
    embeddings,
    health,
    models,
    responses,
)
from rag_pipeline.service.callers import KnownCallers
from rag_pipeline.service.dependencies import CurrentPrincipal, principal
from rag_pipeline.service.middleware import LimitedBodies, NamedRequests
from rag_pipeline.service.operations import Operations
from rag_pipeline.service.page import page
from rag_pipeline.service.problems import PROBLEMS, answer_errors
from rag_pipeline.service.turning_away import TurnedAway

_API_VERSION = "1"
_ROUTERS: tuple[APIRouter, ...] = (
    chat.router,
    completions.router,
    responses.router,
    embeddings.router,
    models.router,
    asking.router,
    *data_routes.ROUTERS,
)
"""A family of routes a line; none of them can be had without a principal."""
_OPEN_ROUTERS: tuple[APIRouter, ...] = (health.router, page.router)
"""What shows nothing that is stored, or asks for a principal itself."""


def create_app(rag: RagPipeline) -> FastAPI:
    """The service over `rag`, which it leaves open; its settings are those of `rag`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with operations.running(app):
            yield

    # The pages that FastAPI has for its own description are made of what other hosts serve.
    app = FastAPI(
        title="rag-pipeline-service",
        version=_API_VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    limits = rag.settings.service
    # The last one added is the outermost.
    app.add_middleware(
        LimitedBodies, body_bytes=limits.body_bytes, upload_bytes=limits.upload_bytes
    )
    app.add_middleware(KnownCallers)
    operations = Operations(rag, app)
    app.add_middleware(TurnedAway)
    app.add_middleware(NamedRequests)
    answer_errors(app)
    for router in _ROUTERS:
        app.include_router(router, dependencies=[Depends(principal)], responses=PROBLEMS)
    for router in _OPEN_ROUTERS:
        app.include_router(router)
    app.add_api_route("/openapi.json", _described, include_in_schema=False)
    return app


def _described(request: Request, _who: CurrentPrincipal) -> JSONResponse:
    """What can be asked of this service, as OpenAPI has it."""
    app: FastAPI = request.app
    return JSONResponse(app.openapi())
