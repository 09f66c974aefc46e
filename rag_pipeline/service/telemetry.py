"""Spans of what the service does, for OpenTelemetry; loaded only where somebody asks for them.

Names are those of the conventions for generative AI (https://opentelemetry.io/docs/specs/semconv/
gen-ai/). A span is made when its work is over, of the times that were taken on the way. What
people asked and what documents say is left out, unless that is asked for as well.
"""

import json
from collections.abc import Mapping
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_pipeline.generation.answer import Answer
from rag_pipeline.observing import Answered, Done, Embedded, Searched
from rag_pipeline.retrieval.search import SearchResult
from rag_pipeline.service.metrics import route_of

Attributes = dict[str, str | bool | int | float | list[str]]

_LIBRARY = "rag_pipeline"
_SERVICE = "rag-pipeline-service"
_UNWATCHED = frozenset({"/healthz", "/readyz", "/metrics"})
_NS = 1e9


def provider_name(generator: str) -> str:
    """Who serves a generator, as the conventions call it."""
    return "openai" if generator.startswith(("http://", "https://")) else _LIBRARY


def exporting_provider() -> TracerProvider:
    """A provider that sends to where `OTEL_EXPORTER_OTLP_ENDPOINT` says; to be shut down."""
    named = Resource({"service.name": _SERVICE}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=named)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class Spans:
    """The observer of a pipeline that makes spans of what it is told."""

    def __init__(
        self, provider: trace.TracerProvider, *, generator: str, with_contents: bool = False
    ) -> None:
        self._tracer = provider.get_tracer(_LIBRARY)
        self._provider = provider_name(generator)
        self._with_contents = with_contents

    def searched(self, event: Searched) -> None:
        """One span, with what was found if contents are wanted."""
        about = self._retrieval(",".join(event.collections), event.query, event.done.value)
        about["rag.retrieval.mode"] = event.mode
        about["rag.retrieval.limit"] = event.limit
        self._over(f"retrieval {','.join(event.collections)}", about, event.done)

    def embedded(self, event: Embedded) -> None:
        """One span."""
        about: Attributes = self._operation("embeddings")
        about["gen_ai.request.model"] = event.model
        about["rag.embeddings.texts"] = event.texts
        if event.done.value is not None:
            about["gen_ai.embeddings.dimension.count"] = event.done.value.shape[1]
        self._over(f"embeddings {event.model}", about, event.done)

    def answered(self, event: Answered) -> None:
        """A span of the whole, and in it one of the search and one of the model."""
        about = self._operation("invoke_workflow")
        about["gen_ai.workflow.name"] = "answer"
        about["gen_ai.data_source.id"] = event.collection
        if event.session is not None:
            about["gen_ai.conversation.id"] = event.session
        answer = event.done.value
        if answer is not None:
            about["rag.answer.state"] = answer.state
            about["rag.answer.citations"] = len(answer.citations)
        whole = self._over("invoke_workflow answer", about, event.done)
        if answer is not None:
            self._steps(event, answer, trace.set_span_in_context(whole))

    def _steps(self, event: Answered, answer: Answer, within: Context) -> None:
        searched = event.done.began + answer.timings.get("retrieve_s", 0.0)
        written = searched + answer.timings.get("generate_s", 0.0)
        name = f"retrieval {event.collection}"
        about = self._retrieval(event.collection, event.question, None)
        self._span(name, about, event.done.began, searched, within).end(_at(searched))
        if answer.usage.get("completion_tokens"):
            chat = self._chat(event, answer, searched)
            self._span(f"chat {answer.model}", chat, searched, written, within).end(_at(written))

    def _chat(self, event: Answered, answer: Answer, searched: float) -> Attributes:
        about: Attributes = self._operation("chat") | {
            "gen_ai.request.model": event.generator,
            "gen_ai.response.model": answer.model,
            "gen_ai.response.id": answer.prompt_id,
            "gen_ai.response.finish_reasons": [answer.finish_reason],
            "gen_ai.usage.input_tokens": answer.usage.get("prompt_tokens", 0),
            "gen_ai.usage.output_tokens": answer.usage.get("completion_tokens", 0),
        }
        if event.session is not None:
            about["gen_ai.conversation.id"] = event.session
        if event.first_piece_s is not None:
            waited = event.first_piece_s - (searched - event.done.began)
            about["gen_ai.response.time_to_first_chunk"] = max(waited, 0.0)
        if self._with_contents:
            about["gen_ai.input.messages"] = _message("user", event.question)
            about["gen_ai.output.messages"] = _message("assistant", answer.text)
        return about

    def _retrieval(self, source: str, query: str, result: SearchResult | None) -> Attributes:
        about = self._operation("retrieval")
        about["gen_ai.data_source.id"] = source
        if result is not None:
            about["rag.retrieval.hits"] = len(result.hits)
            about["rag.generation"] = result.generation
        if self._with_contents:
            about["gen_ai.retrieval.query.text"] = query
            if result is not None:
                found = [{"id": str(hit.chunk.chunk_id), "score": hit.score} for hit in result.hits]
                about["gen_ai.retrieval.documents"] = json.dumps(found)
        return about

    def _operation(self, name: str) -> Attributes:
        return {"gen_ai.operation.name": name, "gen_ai.provider.name": self._provider}

    def _over(self, name: str, about: Attributes, done: Done[Any]) -> Span:
        """A span of work that is over, under the one that is current."""
        ended = done.began + done.seconds
        span = self._span(name, about, done.began, ended, contexts.get_current())
        if isinstance(done.error, GeneratorExit):
            span.set_attribute("rag.cancelled", True)
        elif done.error is not None:
            span.set_attribute("error.type", type(done.error).__qualname__)
            span.set_status(Status(StatusCode.ERROR))
        span.end(_at(ended))
        return span

    def _span(
        self, name: str, about: Attributes, began: float, ended: float, within: Context
    ) -> Span:
        return self._tracer.start_span(
            name,
            context=within,
            kind=SpanKind.INTERNAL,
            attributes=about,
            start_time=_at(min(began, ended)),
        )


class TracedRequests:
    """A span around every request, within the trace that its caller names."""

    def __init__(self, app: ASGIApp, provider: trace.TracerProvider) -> None:
        self._app = app
        self._tracer = provider.get_tracer(_LIBRARY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _UNWATCHED:
            await self._app(scope, receive, send)
            return
        within = propagate.extract(_headers(scope))
        with self._tracer.start_as_current_span(
            scope["method"],
            context=within,
            kind=SpanKind.SERVER,
            attributes={"http.request.method": scope["method"]},
            record_exception=False,
        ) as span:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _note_status(span, message["status"])
                await send(message)

            try:
                await self._app(scope, receive, noted)
            finally:
                span.update_name(f"{scope['method']} {route_of(scope)}")
                span.set_attribute("http.route", route_of(scope))


def _note_status(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))


def _headers(scope: Scope) -> Mapping[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _message(role: str, text: str) -> str:
    said = [{"role": role, "parts": [{"type": "text", "content": text}]}]
    return json.dumps(said, ensure_ascii=False)


def _at(seconds: float) -> int:
    return int(seconds * _NS)
