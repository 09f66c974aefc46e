"""The protocol over streamable HTTP, for whoever the service would answer.

Each request is answered for the principal that sent it, in a session or not. Clients of versions
before 2026-07-28 need one to cancel what they asked; as it is kept by one process, there is none
where several share a port. Later clients cancel by closing the stream.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from rag_pipeline.integrations.mcp.server import Context, mcp_server
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.dependencies import Service, opened, principal
from rag_pipeline.service.errors import UnauthorisedError
from rag_pipeline.service.problems import answer_errors
from rag_pipeline.service.settings import ServiceSettings

PATH = "/mcp"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_WHO = "principal"
_ALLOWED = {"Allow": "POST, DELETE"}


class Endpoint:
    """One ASGI application that answers clients; only while it is `running`."""

    path = PATH

    def __init__(self, *, allow_ingest: bool = False, keeps_sessions: bool = True) -> None:
        self._allow_ingest = allow_ingest
        self._keeps_sessions = keeps_sessions
        self._served: Service | None = None
        self._manager: StreamableHTTPSessionManager | None = None

    @asynccontextmanager
    async def running(self, served: Service) -> AsyncIterator[None]:
        """Answer from `served` as long as this is open."""

        def acting(context: Context) -> RagPipeline:
            assert context.request is not None
            return served.rag.acting_for(context.request.scope["state"][_WHO])

        server = mcp_server(lambda: served, acting, allow_ingest=self._allow_ingest)
        self._served = served
        self._manager = StreamableHTTPSessionManager(
            server,
            stateless=not self._keeps_sessions,
            security_settings=_security(served.settings),
            max_request_body_size=served.settings.body_bytes,
        )
        async with self._manager.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises `UnauthorisedError`."""
        if self._manager is None or self._served is None:
            raise UnauthorisedError("the service has not started yet; try again after a moment")
        who = await principal(Request(scope), self._served)
        if scope["method"] == "GET":
            # A stream that stays open for what a server says unasked, which this one never does;
            # it would keep the service from stopping.
            refused = Response(status_code=HTTPStatus.METHOD_NOT_ALLOWED, headers=_ALLOWED)
            await refused(scope, receive, send)
            return
        scope.setdefault("state", {})[_WHO] = who
        await self._manager.handle_request(scope, receive, send)


def mounted(app: FastAPI, endpoint: Endpoint) -> None:
    """Give `app` the endpoint, at its path."""
    app.router.routes.append(Route(endpoint.path, endpoint, include_in_schema=False))


def mcp_app(rag: RagPipeline, *, allow_ingest: bool = False) -> FastAPI:
    """A service of nothing but this protocol over `rag`, which it leaves open."""
    endpoint = Endpoint(allow_ingest=allow_ingest)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with endpoint.running(opened(rag)):
            yield

    app = FastAPI(title="rag-pipeline-service", lifespan=lifespan, openapi_url=None)
    answer_errors(app)
    mounted(app, endpoint)
    return app


def _security(settings: ServiceSettings) -> TransportSecuritySettings:
    """Whoever must show a key can't be a page that was tricked; others must mean this machine."""
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=settings.api_key is None,
        allowed_hosts=[*_LOOPBACK, *(f"{host}:*" for host in _LOOPBACK)],
        allowed_origins=[f"http://{host}:*" for host in _LOOPBACK],
    )
