"""OpenTelemetry traces: a span for each request, and in it one for each stage (decode, queue, embed, search).

Imported only where an endpoint is configured; needs the extra ``tracing``. The middleware stands in for
``opentelemetry-instrumentation-fastapi``, whose releases are betas and which knows nothing of the stages.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.request_id import REQUEST_ID
from service.api.template import template_of
from service.tracing import RECORDER

__all__ = ["Traces", "tracer_provider"]


def tracer_provider(endpoint: str) -> TracerProvider:
    """Where spans go: to an OTLP/HTTP collector, in the background. ``shutdown`` sends what is left.

    Args:
        endpoint: of the collector, without ``/v1/traces``.
    """
    provider = TracerProvider(resource=Resource.create({"service.name": "penumbra"}))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class Traces:
    """ASGI middleware. A caller's own trace (W3C ``traceparent``) is continued."""

    def __init__(self, app: ASGIApp, provider: TracerProvider) -> None:
        self._app = app
        self._tracer = provider.get_tracer("penumbra")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller = propagate.extract(dict(Headers(scope=scope)))
        span = self._tracer.start_span(scope["method"], context=caller, kind=trace.SpanKind.SERVER)
        within = trace.set_span_in_context(span)

        def record(name: str, began: float, ended: float) -> None:
            at = _clock()
            stage = self._tracer.start_span(name, context=within, start_time=at(began))
            stage.end(end_time=at(ended))

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                span.set_attribute("http.response.status_code", message["status"])
                if message["status"] >= 500:
                    span.set_status(trace.StatusCode.ERROR)
            await send(message)

        recorder = RECORDER.set(record)
        try:
            await self._app(scope, receive, watched)
        finally:
            RECORDER.reset(recorder)
            route = template_of(scope)
            span.update_name(f"{scope['method']} {route}")
            span.set_attributes({"http.request.method": scope["method"], "http.route": route})
            span.set_attribute("penumbra.request_id", REQUEST_ID.get() or "")
            span.end()


def _clock() -> Callable[[float], int]:
    """From ``time.perf_counter()``'s seconds to nanoseconds since 1970."""
    now, counter = time.time_ns(), time.perf_counter()
    return lambda moment: now - round(1e9 * (counter - moment))
