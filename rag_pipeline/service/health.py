"""Whether the process lives, whether a request would be served now, and how it fares.

Health is asked by orchestrators that carry no key: it says what is wrong in words of its own, and
names no file, address or collection; the log does.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Literal

import httpx
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from ingest.errors import IngestError
from rag_pipeline.composition import Composition
from rag_pipeline.errors import GeneratorUnavailableError, RagError
from rag_pipeline.generation.drafting import EXTRACTIVE
from rag_pipeline.service.dependencies import CurrentPrincipal
from rag_pipeline.service.figures import Figures
from rag_pipeline.service.metrics import encoded
from rag_pipeline.versions.resolve import is_reference
from rag_pipeline.weights.errors import WeightsDamagedError, WeightsMissingError
from storage import schema
from storage.collection import check_space
from storage.errors import StorageError
from storage.records import LOCAL_OWNER

_LOG = logging.getLogger(__name__)
_WITHIN_S = 5.0
_REACHED_WITHIN_S = 2.0
_OURS = (StorageError, IngestError, RagError)

Part = Literal["database", "embedder", "indexes", "generator"]

router = APIRouter(tags=["operations"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was found out about one part."""

    ok: bool
    reason: str | None = None
    fallback: str | None = None
    """What serves in its place, if anything does."""

    def as_json(self) -> dict[str, Any]:
        said = {"ok": self.ok, "reason": self.reason, "fallback": self.fallback}
        return {name: value for name, value in said.items() if value is not None}


_FINE = Check(ok=True)
_UNKNOWN = Check(ok=False, reason="not looked at, for what it rests on is not there")


class Readiness:
    """Looks whether requests would be served; whoever asks meanwhile gets the same answer."""

    def __init__(self, parts: Composition, *, within_s: float = _WITHIN_S) -> None:
        self._parts = parts
        self._within_s = within_s
        self._found: dict[Part, Check] = {}
        self._looking: asyncio.Task[None] | None = None

    async def checks(self) -> Mapping[Part, Check]:
        """What was found out about each part, in time, or that it was not."""
        if self._looking is None or self._looking.done():
            self._found = {}
            self._looking = asyncio.create_task(asyncio.to_thread(look, self._parts, self._found))
        try:
            await asyncio.wait_for(asyncio.shield(self._looking), self._within_s)
        except TimeoutError:
            reason = f"it did not answer within {self._within_s:g} s, and is still at it"
            late = Check(ok=False, reason=reason)
            return {part: self._found.get(part, late) for part in _LOOKS}
        return dict(self._found)


def look(parts: Composition, found: dict[Part, Check]) -> None:
    """Put into `found` what each part is like; indexes are brought up to date."""
    for part, examine in _LOOKS.items():
        rests_on = _RESTS_ON.get(part)
        is_founded = rests_on is None or found[rests_on].ok
        found[part] = _attempt(part, parts, examine) if is_founded else _UNKNOWN


def is_ready(checks: Mapping[Part, Check]) -> bool:
    """Whether every part serves, itself or by another."""
    return all(check.ok or check.fallback for check in checks.values())


_WRONG: Mapping[Part, str] = {
    "database": "it can't be read",
    "embedder": "its weights are missing, damaged or of another kind",
    "indexes": "an index can't be brought up to date",
    "generator": "there is none of the name that is set",
}


def _attempt(part: Part, parts: Composition, look: Callable[[Composition], Check]) -> Check:
    try:
        return look(parts)
    except _OURS as error:
        _LOG.warning("not ready: %s: %s", part, error)
        return Check(ok=False, reason=f"{_WRONG[part]}; the log says why")


def _database(parts: Composition) -> Check:
    if schema.is_at_head(parts.database):
        return _FINE
    return Check(ok=False, reason="it is at another migration; run `rag db upgrade`")


def _embedder(parts: Composition) -> Check:
    space = parts.embedder.space
    for collection in parts.reader.collections(principal=LOCAL_OWNER):
        check_space(collection, space)
    return _FINE


def _indexes(parts: Composition) -> Check:
    for collection in parts.reader.collections(principal=LOCAL_OWNER):
        if collection.space is not None:
            for follower in parts.followers(collection):
                follower.catch_up()
    return _FINE


def _generator(parts: Composition) -> Check:
    named = parts.settings.generator
    if named == EXTRACTIVE:
        return _FINE
    try:
        _ = parts.language_model
        if named.lower().startswith(("http://", "https://")):
            httpx.get(named, timeout=_REACHED_WITHIN_S)
    except (WeightsDamagedError, GeneratorUnavailableError, httpx.HTTPError) as error:
        return _replaced(error)
    except WeightsMissingError as error:
        if named not in parts.weights.catalogue and not is_reference(named):
            raise
        return _replaced(error)
    return _FINE


def _replaced(error: Exception) -> Check:
    """The generator is away, and sentences of the documents answer in its place."""
    _LOG.warning("the generator can't be used: %s", error)
    reason = "it can't be used now; the log says why"
    return Check(ok=False, reason=reason, fallback=EXTRACTIVE)


_LOOKS: Mapping[Part, Callable[[Composition], Check]] = {
    "database": _database,
    "embedder": _embedder,
    "indexes": _indexes,
    "generator": _generator,
}
_RESTS_ON: Mapping[Part, Part] = {"embedder": "database", "indexes": "embedder"}


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}


def _readiness(request: Request) -> Readiness:
    found: Readiness = request.app.state.readiness
    return found


@router.get("/readyz", responses={503: {"description": "Not ready; the reasons are in the body."}})
async def readyz(readiness: Annotated[Readiness, Depends(_readiness)]) -> JSONResponse:
    """Whether a search and an answer would be served now, and if not, why."""
    checks = await readiness.checks()
    ready = is_ready(checks)
    body = {
        "status": "ready" if ready else "not ready",
        "checks": {part: check.as_json() for part, check in checks.items()},
    }
    return JSONResponse(body, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


def _figures(request: Request) -> Figures:
    found: Figures = request.app.state.figures
    return found


@router.get("/metrics", response_class=Response)
def metrics(
    request: Request,
    _who: CurrentPrincipal,
    figures: Annotated[Figures, Depends(_figures)],
) -> Response:
    """Figures for Prometheus, for whoever may call."""
    body, media_type = encoded(figures.families(), request.headers.get("accept", ""))
    return Response(body, media_type=media_type)
