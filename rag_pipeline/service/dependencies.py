"""What every route asks for: who calls, the pipeline acting for them, and a turn to work.

A route that reads anything takes `Rag`, which can't be had without a principal.
"""

import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.admission import Admission, QueueObserver
from rag_pipeline.service.errors import UnauthorisedError
from rag_pipeline.service.exposure import is_loopback
from rag_pipeline.service.settings import ServiceSettings
from storage.records import LOCAL_OWNER, Principal

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What one process serves, and with which limits; `app.state.service`."""

    rag: RagPipeline
    settings: ServiceSettings
    answering: Admission
    searching: Admission


def opened(
    rag: RagPipeline, queue: Callable[[str], QueueObserver | None] = lambda _kind: None
) -> Service:
    """`rag` with the limits of its settings; `queue` gives each kind of work its observer."""
    settings = rag.settings.service

    def admission(kind: str, running: int) -> Admission:
        return Admission(
            running=running,
            waiting=settings.waiting,
            patience_s=settings.patience_s,
            observer=queue(kind),
        )

    return Service(
        rag=rag,
        settings=settings,
        answering=admission("answering", settings.answering),
        searching=admission("searching", settings.searching),
    )


async def service(request: Request) -> Service:
    """What this process serves."""
    found: Service = request.app.state.service
    return found


async def principal(request: Request, served: Annotated[Service, Depends(service)]) -> Principal:
    """Who calls. With a key configured, whoever shows it; else only a program on this machine.

    Raises `UnauthorisedError`.
    """
    key = served.settings.api_key
    if key is not None:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and secrets.compare_digest(
            shown.strip().encode(), key.get_secret_value().encode()
        ):
            return LOCAL_OWNER
        raise UnauthorisedError("show the service's key: Authorization: Bearer KEY")
    if not _is_local(request):
        raise UnauthorisedError(
            "without a key only this machine may call; set RAG_SERVICE__API_KEY for others"
        )
    return LOCAL_OWNER


def _is_local(request: Request) -> bool:
    """Whether the call comes from here and was meant for here: not by way of a proxy, and not by a
    page of somebody else's that a browser shows, under its own name or under ours (DNS rebinding).
    """
    if any(name in request.headers for name in _FORWARDED):
        return False
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{request.url.netloc}":
        return False
    caller = request.client.host if request.client else ""
    return is_loopback(caller) and is_loopback(request.url.hostname or "")


async def answering(served: Annotated[Service, Depends(service)]) -> AsyncIterator[None]:
    """A turn to write an answer, kept until the last byte of it is sent."""
    async with served.answering.turn():
        yield


async def searching(served: Annotated[Service, Depends(service)]) -> AsyncIterator[None]:
    """A turn for anything else."""
    async with served.searching.turn():
        yield


CurrentPrincipal = Annotated[Principal, Depends(principal)]


async def acting(
    served: Annotated[Service, Depends(service)], who: CurrentPrincipal
) -> RagPipeline:
    """The pipeline, acting for whoever calls."""
    return served.rag.acting_for(who)


Rag = Annotated[RagPipeline, Depends(acting)]
