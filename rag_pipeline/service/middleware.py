"""What stands around every route: a name for each request, limits on bodies, and safe headers."""

import logging
import math
import re
import secrets
import time
from collections.abc import Mapping
from contextvars import ContextVar
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_pipeline.service.errors import TooLargeError
from rag_pipeline.service.problems import response_to

ACCESS_LOG = logging.getLogger("rag_pipeline.service.access")
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="-")
"""What the request that is worked on is called in the log; "-" outside of any."""
_HEADER = "X-Request-Id"
_SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_UPLOADS = ("/v1/files", "/api/documents", "/api/ingest-runs")
"""Paths below which a body may be as large as an upload."""
_SAFE: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""What a response says, unless its route says otherwise."""


class NamedRequests:
    """Gives each request a name, in its response and in the log, and each response safe headers.

    What nobody inside caught is answered here, so that an error has them too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._refusals = _Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        token = REQUEST_ID.set(exchange.request_id)
        try:
            await self._app(scope, receive, exchange.send)
        except Exception as error:
            if exchange.status is not None:
                raise
            await response_to(error)(scope, receive, exchange.send)
        finally:
            if exchange.status == HTTPStatus.TOO_MANY_REQUESTS:
                self._refusals.log()
            else:
                exchange.log()
            REQUEST_ID.reset(token)


class _Refusals:
    """Requests that were turned away: a line a second, not one each.

    A line is a call into the system, after which the interpreter has to be waited for. In a flood
    that takes more of what those who are served need than all else that is done to refuse it.
    """

    def __init__(self) -> None:
        self._count = 0
        self._told_at = -math.inf

    def log(self) -> None:
        """Count one more, and say how many there were, unless that was said within a second."""
        self._count += 1
        if time.monotonic() - self._told_at >= 1:
            ACCESS_LOG.info("%d turned away with 429", self._count)
            self._count, self._told_at = 0, time.monotonic()


class _Exchange:
    """One request and what is sent for it."""

    def __init__(self, scope: Scope, send: Send) -> None:
        given = Headers(scope=scope).get(_HEADER, "")
        self.request_id = given if _SANE.fullmatch(given) else secrets.token_hex(16)
        self.status: int | None = None
        self._scope = scope
        self._send = send
        self._bytes = 0
        self._since = time.perf_counter()

    async def send(self, message: Message) -> None:
        """Send it, with the headers of every response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[_HEADER] = self.request_id
            for name, value in _SAFE.items():
                headers.setdefault(name, value)
        self._bytes += len(message.get("body", b""))
        await self._send(message)

    def log(self) -> None:
        """One line, without what was asked or answered: a query string is left out."""
        client = (self._scope.get("client") or ("-",))[0]
        ACCESS_LOG.info(
            '%s "%s %s" %s %d bytes %.3f s',
            client,
            self._scope["method"],
            _printable(self._scope["path"]),
            self.status or "cut",
            self._bytes,
            time.perf_counter() - self._since,
        )


def _printable(path: str) -> str:
    """`path` in one line."""
    return path if path.isprintable() else repr(path)


class RequestNames(logging.Filter):
    """Adds `request_id` to what is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        """All of it passes."""
        record.request_id = REQUEST_ID.get()
        return True


class LimitedBodies:
    """Refuses bodies beyond a limit: at once where their length is given, else when it is reached.

    Uploads have a limit of their own.
    """

    def __init__(self, app: ASGIApp, *, body_bytes: int, upload_bytes: int) -> None:
        self._app = app
        self._body_bytes = body_bytes
        self._upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._upload_bytes if scope["path"].startswith(_UPLOADS) else self._body_bytes
        told = Headers(scope=scope).get("content-length", "")
        if told.isdecimal() and int(told) > limit:
            await response_to(_too_large(limit))(scope, receive, send)
            return
        await self._app(scope, _limited(receive, limit), send)


def _limited(receive: Receive, limit: int) -> Receive:
    """The same, until more than `limit` bytes of a body came."""
    came = 0

    async def limited() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        if came > limit:
            # What reads bodies lets this kind of error pass, and takes others for a body in pieces.
            raise HTTPException(status_code=413, detail=str(_too_large(limit)))
        return message

    return limited


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"the body has more than {limit} bytes, which is all that is read")
