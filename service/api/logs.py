"""The log: lines for people or JSON objects for machines, each with the id of its request."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, Literal

from service.api.request_id import REQUEST_ID

_EXTRA: Final = ("method", "route", "status", "milliseconds", "key")


class TextLines(logging.Formatter):
    """``2026-01-31T12:00:00.000Z INFO service.api … [request id]``."""

    def format(self, record: logging.LogRecord) -> str:
        """One entry, followed by its stack trace where it has one."""
        request_id = REQUEST_ID.get()
        line = f"{_instant(record)} {record.levelname:<7} {record.name}: {record.getMessage()}"
        if request_id != "-":
            line += f" [{request_id}]"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One entry; a stack trace is a member of it."""
        entry: dict[str, object] = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": REQUEST_ID.get(),
        }
        entry |= {name: told for name in _EXTRA if (told := getattr(record, name, None)) is not None}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def _instant(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def configure(form: Literal["text", "json"], level: str) -> None:
    """Send the whole process's log to standard error in the given form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
