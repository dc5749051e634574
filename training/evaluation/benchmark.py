"""What evaluation takes at full size: ``python -m training.evaluation.benchmark memory|rerank``. No torch.

``memory`` writes a folder of random features (``--folder``, 4 GB for 500,000 × 2,048; a temporary one where
none is named) and evaluates it in a process of its own, once for each distance. The features are
memory-mapped; "beside them" is the anonymous memory of that process, at its greatest.

``rerank`` re-ranks random features of Market-1501's size by k-reciprocal encoding, and takes the time of the
bare matrix products beside it, before and after: all pictures with all, and queries with the gallery.
Processor time is what counts where others use the machine; half of it is the time on two idle cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
from rich.console import Console
from rich.progress import track

from training.evaluation import distances
from training.evaluation.feature_folder import FeatureFolder
from training.evaluation.feature_scores import Steps
from training.evaluation.reranking import KReciprocal, rerank
from training.evaluation.results import Options, measure_folder
from training.evaluation.unified import Choice

__all__ = ["Memory", "Reranking", "measure_memory", "measure_reranking", "write_random"]

_ROWS: Final = 4096
_MIB: Final = 2**20
_CAMERAS: Final = 6
_SCATTER: Final = 3.0
"""Of a picture around its person's centre, in units of the centres' own: not everything is found then."""


@dataclass(frozen=True, slots=True)
class Memory:
    """One evaluation of a memory-mapped folder.

    Attributes:
        distance: by name.
        queries, gallery, dimension: the size.
        features_mib: of all feature files.
        beside_mib: greatest anonymous memory of the process.
        resident_mib: greatest resident memory, pages of the features among it.
        seconds, processor_seconds: on the clock, and of all cores.
        map: percent, to show that something was measured; random features hold nothing that XQDA and KISSME
            could learn.
    """

    distance: str
    queries: int
    gallery: int
    dimension: int
    features_mib: float
    beside_mib: float
    resident_mib: float
    seconds: float
    processor_seconds: float
    map: float


@dataclass(frozen=True, slots=True)
class Reranking:
    """Re-ranking beside the bare matrix products, in the same process.

    Attributes:
        queries, gallery, dimension: the size.
        seconds, processor_seconds: of re-ranking, on the clock and of all cores.
        bare_seconds, bare_processor_seconds: of the products, mean of before and after.
        ratio: of the processor times.
    """

    queries: int
    gallery: int
    dimension: int
    seconds: float
    processor_seconds: float
    bare_seconds: float
    bare_processor_seconds: float
    ratio: float


def write_random(folder: Path, queries: int, gallery: int, train: int, dimension: int, seed: int = 0) -> None:
    """Write a folder of random features: people as centres, pictures scattered around them."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    people = max(2, gallery // 20)
    centres = generator.normal(size=(people, dimension)).astype(np.float32)
    for name, number in (("query", queries), ("gallery", gallery), ("train", train)):
        if not number:
            continue
        known = min(people, max(2, number // 5)) if name == "train" else people
        person = generator.integers(0, known, number)
        file = np.lib.format.open_memmap(
            folder / f"{name}.npy", "w+", dtype=np.float32, shape=(number, dimension)
        )
        for start in track(
            range(0, number, _ROWS), f"write {name}", console=Console(stderr=True), transient=True
        ):
            rows = person[start : start + _ROWS]
            noise = generator.standard_normal((len(rows), dimension), dtype=np.float32)
            file[start : start + _ROWS] = centres[rows] + _SCATTER * noise
        file.flush()
        np.savez(folder / f"{name}.npz", person=person, camera=generator.integers(0, _CAMERAS, number))


def measure_memory(folder: Path, distance: distances.Name) -> Memory:
    """Evaluate a folder in this process, which should have done nothing else before."""
    with _watching() as peak:
        started, busy = time.perf_counter(), time.process_time()
        opened = FeatureFolder.open(folder)
        (result,) = measure_folder(opened, [Choice("off")], None, Options(distance, Steps()))
        seconds, processor = time.perf_counter() - started, time.process_time() - busy
    return Memory(
        distance,
        len(opened.query.people),
        len(opened.gallery.people),
        opened.gallery.dimension,
        sum(file.stat().st_size for file in folder.glob("*.npy")) / _MIB,
        peak("RssAnon"),
        peak("VmHWM"),
        seconds,
        processor,
        result.summary.map,
    )


def measure_reranking(queries: int, gallery: int, dimension: int, seed: int = 0) -> Reranking:
    """Time re-ranking between two runs of the bare products."""
    generator = np.random.default_rng(seed)
    people = max(2, gallery // 26)  # as many pictures a person as in Market-1501's gallery
    centres = generator.normal(size=(people, dimension)).astype(np.float32)
    query, answers = (
        centres[generator.integers(0, people, number)]
        + _SCATTER * generator.standard_normal((number, dimension), dtype=np.float32)
        for number in (queries, gallery)
    )
    everything = np.concatenate([query, answers])

    def bare() -> None:
        for start in range(0, len(everything), 512):
            everything[start : start + 512] @ everything.T
        for start in range(0, len(query), 1024):
            query[start : start + 1024] @ answers.T

    def whole() -> None:
        for _ in rerank(query, answers, KReciprocal()):
            pass

    before, own, after = (_time(work) for work in (bare, whole, bare))
    products = np.mean([before, after], axis=0)
    return Reranking(
        queries, gallery, dimension, *own, float(products[0]), float(products[1]), own[1] / float(products[1])
    )


def _time(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds on the clock and of all cores."""
    started, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - busy


@contextmanager
def _watching() -> Iterator[Callable[[str], float]]:
    """Look at this process's memory every 20 ms; gives the greatest of a line of its status, in MiB."""
    greatest: dict[str, float] = {}
    done = threading.Event()

    def look() -> None:
        while True:
            for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
                name, _, value = line.partition(":")
                if name in ("RssAnon", "VmHWM"):
                    greatest[name] = max(greatest.get(name, 0.0), int(value.split()[0]) / 1024)
            if done.wait(0.02):
                return

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield lambda name: greatest[name]
    finally:
        done.set()
        watcher.join()


def _memory(options: argparse.Namespace) -> list[Memory]:
    """Each distance in a process of its own, so that none inherits another's memory."""
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "gallery.npz").exists():
            write_random(folder, options.queries, options.gallery, options.train, options.dimension)
        for distance in options.distance or ["cosine", "xqda", "kissme"]:
            command = [sys.executable, "-m", __spec__.name, "one", str(folder), distance]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found.append(Memory(**json.loads(answer.stdout)))
            if not options.json:
                print(_memory_line(found[-1]), flush=True)
    return found


def _memory_line(found: Memory) -> str:
    return (
        f"{found.distance}: {found.queries} queries, gallery {found.gallery:,} x {found.dimension:,} "
        f"({found.features_mib:,.0f} MiB of features): {found.beside_mib:,.0f} MiB beside them, "
        f"{found.seconds:.0f} s on the clock, {found.processor_seconds:.0f} s of processor time, "
        f"mAP {found.map:.1f}"
    )


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    load = os.getloadavg()[0]
    return f"{model or platform.processor()}, {os.cpu_count()} cores, load {load:.1f} at the end"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Memory and time of evaluation at full size.")
    parser.add_argument("--json", action="store_true", help="machine-readable answer")
    commands = parser.add_subparsers(dest="command", required=True)
    memory = commands.add_parser("memory", help="a large memory-mapped gallery, by each distance")
    memory.add_argument("--queries", type=int, default=250)
    memory.add_argument("--gallery", type=int, default=500_000)
    memory.add_argument("--train", type=int, default=3000, help="pictures that XQDA and KISSME learn from")
    memory.add_argument("--dimension", type=int, default=2048)
    memory.add_argument("--distance", action="append", choices=distances.NAMES, help="may be repeated")
    memory.add_argument("--folder", type=Path, help="keep the features here, and use those that are there")
    reranking = commands.add_parser("rerank", help="k-reciprocal re-ranking at Market-1501's size")
    reranking.add_argument("--queries", type=int, default=3368)
    reranking.add_argument("--gallery", type=int, default=19732)
    reranking.add_argument("--dimension", type=int, default=2048)
    one = commands.add_parser("one", help="one distance on a folder of features, in this process")
    one.add_argument("folder", type=Path)
    one.add_argument("distance", choices=distances.NAMES)
    options = parser.parse_args(arguments)
    if options.command == "one":
        print(json.dumps(asdict(measure_memory(options.folder, cast(distances.Name, options.distance)))))
        return
    if options.command == "memory":
        answer = [asdict(found) for found in _memory(options)]
    else:
        again = measure_reranking(options.queries, options.gallery, options.dimension)
        answer = [asdict(again)]
        if not options.json:
            print(
                f"k-reciprocal re-ranking of {again.queries} x {again.gallery} x {again.dimension}: "
                f"{again.seconds:.1f} s on the clock, {again.processor_seconds:.1f} s of processor time "
                f"({again.processor_seconds / 2:.1f} s on each of two cores); the bare matrix products "
                f"{again.bare_seconds:.1f} s and {again.bare_processor_seconds:.1f} s; "
                f"ratio {again.ratio:.2f}"
            )
    if options.json:
        print(json.dumps({"machine": _machine(), "found": answer}, indent=1))
    else:
        print(_machine())


if __name__ == "__main__":
    main()
