"""The one table that says which error is which status, in the shape that OpenAI's clients read."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ingest.errors import EmbeddingError, IngestError
from rag_pipeline.errors import (
    GenerationError,
    GeneratorUnavailableError,
    ModelError,
    QueryError,
    RagError,
    SettingsError,
)
from rag_pipeline.service.errors import (
    OverloadedError,
    ServiceError,
    TooLargeError,
    UnauthorisedError,
)
from storage.errors import (
    AsOfError,
    DatabaseUnreachableError,
    FilterError,
    InvalidRecordError,
    LeaseBusyError,
    NotFoundError,
    SpaceMismatchError,
    StorageError,
)

_LOG = logging.getLogger(__name__)

STATUS_OF: Mapping[type[Exception], HTTPStatus] = {
    UnauthorisedError: HTTPStatus.UNAUTHORIZED,
    OverloadedError: HTTPStatus.TOO_MANY_REQUESTS,
    TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ServiceError: HTTPStatus.BAD_REQUEST,
    QueryError: HTTPStatus.BAD_REQUEST,
    FilterError: HTTPStatus.BAD_REQUEST,
    AsOfError: HTTPStatus.BAD_REQUEST,
    InvalidRecordError: HTTPStatus.BAD_REQUEST,
    NotFoundError: HTTPStatus.NOT_FOUND,
    GeneratorUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    GenerationError: HTTPStatus.BAD_REQUEST,
    ModelError: HTTPStatus.SERVICE_UNAVAILABLE,
    LeaseBusyError: HTTPStatus.CONFLICT,
    SpaceMismatchError: HTTPStatus.CONFLICT,
    DatabaseUnreachableError: HTTPStatus.SERVICE_UNAVAILABLE,
    EmbeddingError: HTTPStatus.SERVICE_UNAVAILABLE,
    IngestError: HTTPStatus.BAD_REQUEST,
    SettingsError: HTTPStatus.BAD_REQUEST,
    RagError: HTTPStatus.INTERNAL_SERVER_ERROR,
    StorageError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The status of the nearest class above an error; anything else is 500 without its message."""

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_CODES: Mapping[int, str] = {
    401: "invalid_api_key",
    404: "not_found",
    413: "request_too_large",
    429: "rate_limit_exceeded",
    503: "unavailable",
}


def status_of(error: Exception) -> HTTPStatus:
    """The status that an error is answered with."""
    for kind in type(error).__mro__:
        if kind in STATUS_OF:
            return STATUS_OF[kind]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problem(status: int, message: str, *, param: str | None = None) -> dict[str, Any]:
    """What clients are told of an error: OpenAI's shape."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    error = {"message": message, "type": kind, "param": param, "code": _CODES.get(status)}
    return {"error": error}


def problem_of(error: Exception) -> tuple[int, dict[str, Any]]:
    """Status and body for any error. What was not raised on purpose is logged, and kept inside."""
    status = status_of(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _LOG.error("a request failed", exc_info=error)
        return status, problem(status, "The service failed; its log says why.")
    return status, problem(status, str(error), param=getattr(error, "param", None))


def answer_errors(app: FastAPI) -> None:
    """Let `app` answer every error in the one shape."""
    app.add_exception_handler(Exception, _failed)
    for kind in STATUS_OF:
        app.add_exception_handler(kind, _failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)


async def _failed(_request: Request, error: Exception) -> JSONResponse:
    status, body = problem_of(error)
    headers = {}
    if isinstance(error, OverloadedError):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, UnauthorisedError):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, status_code=status, headers=headers)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    said: Sequence[Any] = error.errors()
    first = said[0]
    param = ".".join(str(part) for part in first["loc"] if part != "body") or None
    where = "the body" if param is None else repr(param)
    return JSONResponse(
        problem(HTTPStatus.BAD_REQUEST, f"{where}: {first['msg']}", param=param),
        status_code=HTTPStatus.BAD_REQUEST,
    )


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse(
        problem(error.status_code, str(error.detail)),
        status_code=error.status_code,
        headers=error.headers,
    )
