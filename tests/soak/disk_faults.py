"""A full disk, one that turns read-only, and one that takes no writes, under enrolments and erasures."""

from __future__ import annotations

import resource
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.background import BackgroundService
from tests.serving import handmade_settings
from tests.soak.rounds import Count
from tests.soak.watched_load import Serve, WatchedLoad, in_a_process, prepare, right_answers

__all__ = ["DiskFaults", "NotPermitted", "disk_faults", "no_file_grows"]

_ENOUGH_MIB = 48


class NotPermitted(RuntimeError):
    """File systems cannot be mounted: that takes root, or the right to it."""


@dataclass(frozen=True)
class DiskFaults:
    """What became of it.

    Attributes:
        rounds: of filling the disk, turning the pictures' disk read-only, and letting no file grow.
        requests: answered well, by kind.
        refused: defined refusals by status (507: full, 503: refuses writes), which say when to come back.
        faults: requests answered in any other way, or broken off.
        wrong: answers unlike those of an undisturbed service.
        kept: acknowledged pictures at the end; erased: acknowledged erasures.
        amiss: pictures lost, erased ones that are back, and half enrolled ones.
        left_over: files of pictures that no catalog row speaks of, at the end.
        examples: the first of what was amiss, in words.
    """

    rounds: int
    requests: dict[str, int]
    refused: dict[int, int]
    faults: int
    wrong: int
    kept: int
    erased: int
    amiss: int
    left_over: int
    examples: list[str]

    @property
    def held(self) -> bool:
        """Whether the promise was kept."""
        amiss = self.faults or self.wrong or self.amiss or self.left_over
        return 507 in self.refused and 503 in self.refused and not amiss


def disk_faults(folder: Path, rounds: int, serve: Serve = in_a_process, count: Count = range) -> DiskFaults:
    """Run the rounds on one service, with everything it stores on file systems in memory.

    Raises:
        NotPermitted: none can be mounted.
        AssertionError: requests were no longer answered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _mounted(folder / "disk") as disk, _mounted(folder / "pictures") as pictures:
        settings = handmade_settings(folder, data_dir=disk / "data", pictures_url=pictures.as_uri())
        with serve(settings) as service:
            prepare(service.url)
            probes = right_answers(service.url)
            with WatchedLoad(service.url, probes, refusals={503, 507}) as load:
                for _ in count(rounds):
                    load.run("calm", at_least=2)
                    for one in (disk, pictures):
                        with _filled(one):
                            _refused_but_for_queries(load, "full")
                        load.run("room again", at_least=2)
                    with _read_only(pictures):
                        _refused_but_for_queries(load, "read-only")
                    load.run("writable again", at_least=2)
                    if isinstance(service, BackgroundService):
                        with _no_file_grows(service.process.pid):
                            _refused_but_for_queries(load, "no file grows")
                        load.run("files grow again", at_least=2)
            return _counted(load, rounds, pictures)


def no_file_grows(folder: Path, rounds: int) -> DiskFaults:
    """What of it anybody may do: a service that may write to no file, in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = folder / "pictures"
    settings = handmade_settings(folder, data_dir=folder / "data", pictures_url=pictures.as_uri())
    with in_a_process(settings) as service:
        assert isinstance(service, BackgroundService)
        prepare(service.url)
        probes = right_answers(service.url)
        with WatchedLoad(service.url, probes, refusals={503}) as load:
            for _ in range(rounds):
                load.run("calm", at_least=2)
                with _no_file_grows(service.process.pid):
                    _refused_but_for_queries(load, "no file grows")
                load.run("files grow again", at_least=2)
        return _counted(load, rounds, pictures)


def _counted(load: WatchedLoad, rounds: int, pictures: Path) -> DiskFaults:
    amiss = load.check()
    return DiskFaults(
        rounds=rounds,
        requests=dict(load.done),
        refused=dict(load.refused),
        faults=len(load.faults),
        wrong=len(load.wrong),
        kept=len(load.kept),
        erased=len(load.erased),
        amiss=len(amiss),
        left_over=load.left_over(pictures),
        examples=load.examples(amiss),
    )


def _refused_but_for_queries(load: WatchedLoad, phase: str) -> None:
    """Writers are refused, and those who ask are answered all the same."""
    load.suffer(phase, refusals=3)
    before = load.done["query"]
    while load.done["query"] < before + 5:
        load.suffer(phase, refusals=1)


@contextmanager
def _mounted(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={_ENOUGH_MIB}m", "tmpfs", str(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotPermitted("no file system can be mounted here; run it as root") from error
    try:
        yield folder
    finally:
        _run("umount", "--lazy", str(folder))


@contextmanager
def _filled(folder: Path) -> Iterator[None]:
    """Full, and kept so: a writer that erases somebody makes just the room that it needs next."""
    ballast, ending = folder / "ballast", threading.Event()

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file:
            while not ending.is_set():
                try:
                    file.write(bytes(64 * 1024))
                except OSError:
                    ending.wait(0.005)

    filler = threading.Thread(target=fill)
    filler.start()
    try:
        yield
    finally:
        ending.set()
        filler.join()
        ballast.unlink()


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    # a file that is open for writing at this moment keeps the kernel from it
    give_up = time.monotonic() + 60
    while True:
        try:
            _run("mount", "-o", "remount,ro", str(folder))
            break
        except subprocess.CalledProcessError as error:
            if time.monotonic() > give_up:
                raise AssertionError("the disk could not be made read-only") from error
    try:
        yield
    finally:
        _run("mount", "-o", "remount,rw", str(folder))


@contextmanager
def _no_file_grows(pid: int) -> Iterator[None]:
    """The process may write to no file at all: EFBIG, which to its catalog is a fault of the disk."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
