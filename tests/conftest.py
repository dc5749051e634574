"""What holds for the tests as a whole."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.reading import leave_databases_to_sqlite

ROOT = Path(__file__).parents[1]

# A machine that is busy with other work is no fault of the code.
settings.register_profile("without-deadline", deadline=None)
settings.load_profile("without-deadline")

leave_databases_to_sqlite()


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_in_the_repository() -> Iterator[None]:
    """A test that names no folder of its own leaves what a service or a command writes by default."""
    before = _files()
    yield
    left = sorted(_files() - before)
    assert not left, f"tests have left {left} in {ROOT}: they belong in tmp_path"


@pytest.fixture(autouse=True)
def the_log_is_given_back() -> Iterator[None]:
    """A command that serves takes the process's log, at its own level, to a standard error that is closed."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in root.handlers[:]:
        if handler not in before:
            root.removeHandler(handler)
    root.setLevel(level)


def _files() -> set[str]:
    """The top level's, but for caches of tools."""
    return {name for name in os.listdir(ROOT) if not name.startswith(".")}
