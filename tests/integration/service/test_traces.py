"""Traces of a running service, as a collector of OTLP over HTTP receives them."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from service.client import Client, NewPicture
from tests.drawings import encoded, person
from tests.serving import handmade_settings, serving


class Collector(ThreadingHTTPServer):
    def __init__(self) -> None:
        self.spans: list[Span] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    self.server.spans.extend(scope.spans)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_query_is_traced_stage_by_stage(collector: Collector, tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    settings = handmade_settings(tmp_path, otlp_endpoint=endpoint)
    with serving(settings) as running, Client(running.url) as client:
        client.create_gallery("shop")
        client.enrol("shop", [NewPicture(encoded(person(1)), "Somebody")])
        client.query("shop", [encoded(person(1, 1))])
    roots = {span.name: span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER}
    root = roots["POST /v1/galleries/{gallery}/query"]
    stages = [span for span in collector.spans if span.parent_span_id == root.span_id]
    assert [span.name for span in stages] == ["decode", "queue", "embed", "search"]
    assert {span.trace_id for span in stages} == {root.trace_id}
    times = [root.start_time_unix_nano]
    for span in stages:
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        times.append(span.end_time_unix_nano)
    assert times == sorted(times)
    assert "Somebody" not in str(collector.spans)


def test_without_an_endpoint_nothing_of_it_is_imported() -> None:
    told = (
        "import sys; from service.api.app import create_app; from service.settings import Settings; "
        "create_app(Settings()); assert 'service.api.traces' not in sys.modules; "
        "assert not any(name.startswith('opentelemetry.exporter') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", told], check=True)
