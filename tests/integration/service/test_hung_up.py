"""Whoever hangs up while sending is no fault of the service, and is counted as what they are."""

from __future__ import annotations

import base64
import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from service.client import Client
from service.storage.audit import AuditTrail
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving

FORM = "multipart/form-data; boundary=x"
FORM_BEGUN = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
LINE = json.dumps({"pictures": [base64.b64encode(encoded(person(1))).decode()]}).encode() + b"\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(handmade_settings(tmp_path_factory.mktemp("service"))) as running:
        with Client(running.url) as client:
            client.create_gallery("g")
        yield running


def hang_up(
    service: Serving, method: str, path: str, kind: str, sent: bytes, until: bytes | None = None
) -> None:
    """Send less of a body than was announced; ``until`` this is answered, where something is."""
    address = urlsplit(service.url)
    head = [f"{method} {path} HTTP/1.1", f"Host: {address.netloc}", f"Content-Type: {kind}"]
    head += [f"Content-Length: {len(sent) + 1000}", "", ""]
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall("\r\n".join(head).encode() + sent)
        while until is not None and until not in connection.recv(65536):
            pass


def wait_for(what: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not what():
        assert time.monotonic() < ends
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("method", "path", "template", "kind", "sent", "action"),
    [
        ("POST", "/v1/galleries", "", "application/json", b'{"na', "create_gallery"),
        ("PATCH", "/v1/galleries/g", "/v1/galleries/{gallery}", "application/json", b"", "change_gallery"),
        ("POST", "/v1/galleries/g/images", "/v1/galleries/{gallery}/images", FORM, FORM_BEGUN, "enrol"),
        ("POST", "/v1/galleries/g/query", "/v1/galleries/{gallery}/query", FORM, b"--", "query"),
        ("POST", "/v1/verify", "", FORM, FORM_BEGUN + b"x" * 100_000, "verify"),
        ("POST", "/v1/embed", "", FORM, b"", "embed"),
    ],
)
def test_a_body_that_breaks_off_is_counted_logged_and_audited_as_hung_up(
    service: Serving,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    template: str,
    kind: str,
    sent: bytes,
    action: str,
) -> None:
    trail: AuditTrail = service.app.state.assembly.audit

    def audited() -> list[int]:
        return [
            event.status for event in trail.events(1000) if event.action == action and event.status != 201
        ]

    def counted() -> list[str]:
        route = f'penumbra_requests_total{{method="{method}",route="{template or path}",status='
        lines = httpx.get(f"{service.url}/metrics", timeout=60).text.splitlines()
        return [line.removeprefix(route) for line in lines if line.startswith(route) and "201" not in line]

    with caplog.at_level(logging.INFO):
        hang_up(service, method, path, kind, sent)
        wait_for(lambda: counted() != [] and audited() != [])
    assert counted() == ['"499"} 1.0']
    assert audited() == [499]
    assert [entry for entry in caplog.records if entry.levelno > logging.INFO] == []


def test_a_stream_that_breaks_off_has_its_answers_and_is_hung_up(
    service: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    trail: AuditTrail = service.app.state.assembly.audit

    def ended() -> list[tuple[int, int | None]]:
        return [(event.status, event.pictures) for event in trail.events(9) if event.action == "query_batch"]

    with caplog.at_level(logging.INFO):
        path = "/v1/galleries/g/query/batch"
        hang_up(service, "POST", path, "application/x-ndjson", LINE + LINE, until=b'"line":2')
        wait_for(lambda: len(ended()) > 0)
        counted = f'route="{path.replace("/g/", "/{gallery}/")}",status="499"}} 1.0'
        wait_for(lambda: counted in httpx.get(f"{service.url}/metrics", timeout=60).text)
    assert ended() == [(499, 2)]
    assert [entry for entry in caplog.records if entry.levelno > logging.INFO] == []
