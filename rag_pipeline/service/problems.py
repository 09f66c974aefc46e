"""The one table that says which error is which status, in the shape that OpenAI's clients read."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from ingest.errors import EmbeddingError, IngestError
from rag_pipeline.errors import (
    ContextLengthError,
    GenerationError,
    GeneratorUnavailableError,
    ModelError,
    QueryError,
    RagError,
    SettingsError,
    TemplateError,
)
from rag_pipeline.service.errors import (
    AnswerTimeoutError,
    ClientGoneError,
    ForbiddenError,
    OverloadedError,
    ServiceError,
    TooLargeError,
    TooLongError,
    UnauthorisedError,
    UnknownModelError,
    UnknownResponseError,
)
from rag_pipeline.synthetic.errors import ModelFileError, SyntheticError
from storage.errors import (
    AlreadyAskedError,
    AsOfError,
    DatabaseUnreachableError,
    ErasureError,
    FilterError,
    IdempotencyKeyError,
    InvalidRecordError,
    LeaseBusyError,
    NotFoundError,
    SpaceMismatchError,
    StorageError,
)

_LOG = logging.getLogger(__name__)
_CLIENT_GONE = 499
"""Nobody hears it; it stands in the log, under the number that others use for it."""

_ANSWER_WAIT_S = 1
"""After which to ask again for an answer that is under way."""
_LEASE_WAIT_S = 5
"""After which to try again to write what another writer stands in the way of."""

STATUS_OF: Mapping[type[Exception], int] = {
    UnauthorisedError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    OverloadedError: HTTPStatus.TOO_MANY_REQUESTS,
    TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnknownModelError: HTTPStatus.NOT_FOUND,
    UnknownResponseError: HTTPStatus.NOT_FOUND,
    AnswerTimeoutError: HTTPStatus.GATEWAY_TIMEOUT,
    ClientGoneError: _CLIENT_GONE,
    ServiceError: HTTPStatus.BAD_REQUEST,
    QueryError: HTTPStatus.BAD_REQUEST,
    FilterError: HTTPStatus.BAD_REQUEST,
    AsOfError: HTTPStatus.BAD_REQUEST,
    InvalidRecordError: HTTPStatus.BAD_REQUEST,
    NotFoundError: HTTPStatus.NOT_FOUND,
    GeneratorUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    GenerationError: HTTPStatus.BAD_REQUEST,
    ModelError: HTTPStatus.SERVICE_UNAVAILABLE,
    IdempotencyKeyError: HTTPStatus.UNPROCESSABLE_ENTITY,
    AlreadyAskedError: HTTPStatus.CONFLICT,
    LeaseBusyError: HTTPStatus.CONFLICT,
    ErasureError: HTTPStatus.CONFLICT,
    SpaceMismatchError: HTTPStatus.CONFLICT,
    DatabaseUnreachableError: HTTPStatus.SERVICE_UNAVAILABLE,
    EmbeddingError: HTTPStatus.SERVICE_UNAVAILABLE,
    IngestError: HTTPStatus.BAD_REQUEST,
    SettingsError: HTTPStatus.BAD_REQUEST,
    TemplateError: HTTPStatus.BAD_REQUEST,
    ModelFileError: HTTPStatus.SERVICE_UNAVAILABLE,
    SyntheticError: HTTPStatus.BAD_REQUEST,
    RagError: HTTPStatus.INTERNAL_SERVER_ERROR,
    StorageError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The status of the nearest class above an error; anything else is 500 without its message."""

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}
_CODES: Mapping[int, str] = {
    401: "invalid_api_key",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    429: "rate_limit_exceeded",
    503: "unavailable",
}

Problem = dict[str, dict[str, str | None]]
"""`{"error": {message, type, param, code}}`"""


class ProblemDetails(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ProblemBody(BaseModel):
    """An error, in OpenAI's shape."""

    error: ProblemDetails


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ProblemBody, "description": "The request can't be served as it is"},
    "5XX": {"model": ProblemBody, "description": "The service can't serve it now"},
}
"""For the description of a route."""


def status_of(error: Exception) -> int:
    """The status that an error is answered with."""
    for kind in type(error).__mro__:
        if kind in STATUS_OF:
            return int(STATUS_OF[kind])
    return int(HTTPStatus.INTERNAL_SERVER_ERROR)


def problem(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> Problem:
    """What clients are told of an error: OpenAI's shape."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {
        "error": {
            "message": _printable(message),
            "type": kind,
            "param": None if param is None else _printable(param),
            "code": code or _CODES.get(status),
        }
    }


def _printable(text: str) -> str:
    """`text` without halves of characters, which a request may name and UTF-8 can't hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def problem_of(error: Exception) -> tuple[int, Problem]:
    """Status and body for any error. What was not raised on purpose is logged, and kept inside."""
    status = status_of(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _LOG.error("a request failed", exc_info=error)
        return status, problem(status, "The service failed; its log says why.")
    return status, problem(status, str(error), param=_param(error), code=_code(error))


def _param(error: Exception) -> str | None:
    return error.param if isinstance(error, ServiceError) else None


def _code(error: Exception) -> str | None:
    if isinstance(error, ContextLengthError):
        return TooLongError.code
    return error.code if isinstance(error, ServiceError) else None


def answer_errors(app: FastAPI) -> None:
    """Let `app` answer every error in the one shape."""
    app.add_exception_handler(Exception, _failed)
    for kind in STATUS_OF:
        app.add_exception_handler(kind, _failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)


def response_to(error: Exception) -> JSONResponse:
    """The whole answer to an error."""
    status, body = problem_of(error)
    headers = {}
    if isinstance(error, OverloadedError):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, AlreadyAskedError):
        headers["Retry-After"] = str(_ANSWER_WAIT_S)
    if isinstance(error, LeaseBusyError):
        headers["Retry-After"] = str(_LEASE_WAIT_S)
    if isinstance(error, UnauthorisedError):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, status_code=status, headers=headers)


async def _failed(_request: Request, error: Exception) -> JSONResponse:
    return response_to(error)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    said: Sequence[Any] = error.errors()
    # Of the types that a value may have, the one it comes nearest to complains from deepest inside.
    first = max(said, key=lambda fault: len(fault["loc"]))
    param = None if first["type"] == "json_invalid" else _path(first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    where = "the body" if param is None else f"'{param}'"
    return JSONResponse(
        problem(HTTPStatus.BAD_REQUEST, f"{where}: {message}", param=param),
        status_code=HTTPStatus.BAD_REQUEST,
    )


def _path(location: Sequence[str | int]) -> str | None:
    """Where a value stands, as `messages[0].content`; None: the whole body.

    Which of several types a value was tried as is no part of its place.
    """
    path = ""
    for part in location[1:]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part.isidentifier() and part.islower() and part != "str":
            path += f".{part}"
    return path.removeprefix(".") or None


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse(
        problem(error.status_code, str(error.detail)),
        status_code=error.status_code,
        headers=error.headers,
    )
