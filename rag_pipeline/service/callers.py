"""Refuses whoever may not call before anything that they send is read.

Each route decides again, by its principal: this only spares the work, and the room on a disk, that
a stranger's body would take.
"""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from rag_pipeline.service.dependencies import principal
from rag_pipeline.service.errors import UnauthorisedError
from rag_pipeline.service.problems import response_to

_GUARDED = ("/v1/", "/api/")


class KnownCallers:
    """Answers 401 in the place of any route below the guarded paths."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_GUARDED):
            try:
                await principal(Request(scope), scope["app"].state.service)
            except UnauthorisedError as error:
                await response_to(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)
