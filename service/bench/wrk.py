"""Load from wrk, which leaves the cores to the service: `penumbra bench load --generator wrk`.

A client in Python takes as much of a core for a request as the service does, so beside one the service
looks half as quick as it is. wrk (https://github.com/wg/wrk) is a Debian package of that name.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["NUMBER_DIGITS", "WrkFailed", "WrkRun", "installed", "run_wrk"]

NUMBER_DIGITS: Final = 12
"""Hexadecimal digits of the number that makes a picture unlike all others."""

_COUNT_DIGITS: Final = 8
_BOUNDARY: Final = "penumbra-bench"

_SCRIPT: Final = f"""
wrk.method = "POST"
wrk.headers["Content-Type"] = "multipart/form-data; boundary={_BOUNDARY}"
local count, before, after, salt = 0, {{}}, {{}}, ""

local function read(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read("*a")
  file:close()
  return content
end

function init(args)
  salt = args[2]
  for number = 1, tonumber(args[3]) do
    before[number] = read(args[1] .. "/" .. number .. ".before")
    after[number] = read(args[1] .. "/" .. number .. ".after")
  end
  local key = os.getenv("PENUMBRA_KEY")
  if key then wrk.headers["Authorization"] = "Bearer " .. key end
end

function request()
  count = count + 1
  local number = count % #before + 1
  local body = before[number] .. salt .. string.format("%0{_COUNT_DIGITS}x", count) .. after[number]
  return wrk.format(nil, nil, nil, body)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{{"requests": %d, "turned_away": %d, "broken": %d, "seconds": %.6f, ' ..
    '"p50_ms": %.3f, "p95_ms": %.3f, "p99_ms": %.3f, "slowest_ms": %.3f}}\\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(95) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3))
end
"""


class WrkFailed(RuntimeError):
    """wrk is not there, or could not do its work. The message says what to do."""


@dataclass(frozen=True, slots=True)
class WrkRun:
    """What wrk counted.

    Attributes:
        requests: answered with a status below 400.
        turned_away: answered with another.
        seconds: from the first request to the last answer.
        p50_ms, p95_ms, p99_ms, slowest_ms: latency of all that were answered, milliseconds.
    """

    requests: int
    turned_away: int
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    slowest_ms: float


def installed() -> bool:
    """Whether wrk is on the path."""
    return shutil.which("wrk") is not None


def run_wrk(
    url: str,
    pictures: Sequence[bytes],
    numbered: Callable[[bytes, str], bytes],
    salt: int,
    *,
    concurrency: int,
    seconds: float,
) -> WrkRun:
    """Post pictures, no two alike, one a request, from so many connections without pause.

    Args:
        url: of the call, e.g. ``http://127.0.0.1:8321/v1/embed``. A key is taken from ``PENUMBRA_KEY``.
        pictures: files, taken in turn.
        numbered: puts a number of :data:`NUMBER_DIGITS` hexadecimal digits into a file, as it stands.
        salt: which numbers: those of another salt are others.
        concurrency: connections.
        seconds: rounded up to whole ones, which is all that wrk knows.

    Raises:
        WrkFailed: wrk is not installed, ended with a fault, or lost connections.
    """
    if not installed():
        raise WrkFailed(
            "wrk is not installed: `apt-get install wrk`, or take --generator python, which needs "
            "much of the cores that it measures"
        )
    digits = NUMBER_DIGITS - _COUNT_DIGITS
    with tempfile.TemporaryDirectory(prefix="penumbra-wrk-") as name:
        folder = Path(name)
        script = folder / "post.lua"
        script.write_text(_SCRIPT)
        mark = "~" * NUMBER_DIGITS
        for number, picture in enumerate(pictures, 1):
            before, after = _form(numbered(picture, mark)).split(mark.encode())
            (folder / f"{number}.before").write_bytes(before)
            (folder / f"{number}.after").write_bytes(after)
        command = ["wrk", "--threads", "1", "--connections", f"{concurrency}"]
        command += ["--duration", f"{math.ceil(seconds)}s", "--timeout", "30s", "--script", str(script), url]
        command += ["--", name, f"{salt % 16**digits:0{digits}x}", f"{len(pictures)}"]
        ended = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    if ended.returncode != 0:
        raise WrkFailed(f"wrk ended with {ended.returncode}: {ended.stderr.strip() or ended.stdout.strip()}")
    counted = json.loads(ended.stdout.splitlines()[-1])
    if broken := counted.pop("broken"):
        raise WrkFailed(f"{broken} requests got no answer: the service closed connections or is too slow")
    counted["requests"] -= counted["turned_away"]
    return WrkRun(**counted)


def _form(picture: bytes) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="p.jpg"\r\n'
    return b"".join(
        (head.encode(), b"Content-Type: image/jpeg\r\n\r\n", picture, f"\r\n--{_BOUNDARY}--\r\n".encode())
    )
