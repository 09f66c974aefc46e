"""What stands around the routes for whoever runs the service: counting, tracing, keeping up."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from rag_pipeline.errors import SettingsError
from rag_pipeline.integrations.mcp.installed import is_installed
from rag_pipeline.observing import Observer
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.service.dependencies import opened
from rag_pipeline.service.figures import Figures
from rag_pipeline.service.health import Readiness
from rag_pipeline.service.keeping_up import keeping_up
from rag_pipeline.service.metrics import MeasuredRequests, Metrics
from rag_pipeline.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from rag_pipeline.integrations.mcp.http import Endpoint


class Operations:
    """The operations of one application."""

    def __init__(self, rag: RagPipeline, app: FastAPI) -> None:
        """Whatever is added to `app` from now on stands further out. Raises `SettingsError`."""
        self._rag = rag
        self._metrics = Metrics()
        self._observers: list[Observer] = [self._metrics]
        self._traces = _traces(rag.settings)
        if self._traces is not None:
            self._observers.append(_spans(rag.settings, self._traces, app))
        self._mcp = _mcp(app, keeps_sessions=not self._metrics.is_shared)
        app.add_middleware(MeasuredRequests, metrics=self._metrics)

    @asynccontextmanager
    async def running(self, app: FastAPI) -> AsyncIterator[None]:
        """Serve from the pipeline, as long as this is open."""
        rag, metrics, state = self._rag, self._metrics, app.state
        state.service = opened(rag.observed_by(*self._observers), metrics.queue)
        state.readiness = Readiness(rag.parts)
        state.figures = Figures(rag.parts, metrics)
        every_s = rag.settings.service.look_every_s
        async with AsyncExitStack() as running:
            if self._traces is not None:
                running.callback(self._traces.shutdown)
            await running.enter_async_context(keeping_up(rag.parts, metrics, every_s=every_s))
            if self._mcp is not None:
                await running.enter_async_context(self._mcp.running(state.service))
            yield


def _traces(settings: Settings) -> "TracerProvider | None":
    if settings.service.traces == "off":
        return None
    try:
        from rag_pipeline.service.telemetry import exporting_provider
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"traces need a library that is not installed ({error.name}):"
            " run pip install 'rag-pipeline-service[otel]', or set RAG_SERVICE__TRACES=off"
        ) from error
    return exporting_provider()


def _spans(settings: Settings, provider: "TracerProvider", app: FastAPI) -> Observer:
    from rag_pipeline.service.telemetry import Spans, TracedRequests

    app.add_middleware(TracedRequests, provider=provider)
    return Spans(
        provider,
        generator=settings.generator,
        with_contents=settings.service.traces == "with_contents",
    )


def _mcp(app: FastAPI, *, keeps_sessions: bool) -> "Endpoint | None":
    """The Model Context Protocol, where its library is installed; it may only read."""
    if not is_installed():
        return None
    from rag_pipeline.integrations.mcp.http import Endpoint, mounted

    endpoint = Endpoint(keeps_sessions=keeps_sessions)
    mounted(app, endpoint)
    return endpoint
