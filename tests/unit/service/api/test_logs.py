"""The log: every entry can be found by its request's id, and machines can read each line."""

from __future__ import annotations

import json
import logging
import sys

from service.api.logs import JsonLines, TextLines
from service.api.request_id import REQUEST_ID


def entry(message: str, *arguments: object, fault: bool = False) -> logging.LogRecord:
    try:
        if fault:
            raise ValueError("broken\nin two lines")
    except ValueError:
        seen = sys.exc_info()
    return logging.LogRecord(
        "service.x", logging.WARNING, __file__, 1, message, arguments, seen if fault else None
    )


def test_json_entry_is_one_line_with_id_and_stack_trace() -> None:
    token = REQUEST_ID.set("r1")
    line = JsonLines().format(entry("%s fell\nover", "it", fault=True))
    REQUEST_ID.reset(token)
    assert "\n" not in line
    read = json.loads(line)
    assert (read["level"], read["logger"], read["message"]) == ("warning", "service.x", "it fell\nover")
    assert read["request_id"] == "r1"
    assert "ValueError: broken" in read["exception"]


def test_text_entry_names_its_request_only_within_one() -> None:
    token = REQUEST_ID.set("r1")
    within = TextLines().format(entry("hello"))
    REQUEST_ID.reset(token)
    assert within.endswith("WARNING service.x: hello [r1]")
    assert TextLines().format(entry("hello")).endswith("WARNING service.x: hello")
