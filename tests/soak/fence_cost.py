"""`python -m tests.soak.fence_cost`: what it costs a write to see that the catalog is still its service's.

Pictures are stored one at a time in a real PostgreSQL, in turns with the fence and without it: an enrolment's
transaction alone. The server does not wait for its disk, so the rest is as cheap as it can be.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from service.storage.catalog import Catalog
from service.storage.records import NewImage
from service.storage.ulid import new_ulid
from tests.servers import PostgreSQLServer

_DIMENSION = 512


def seconds_each(catalog: Catalog, gallery: int, pictures: int) -> tuple[list[float], list[float]]:
    """How long each picture took, seconds: behind the fence, and without one."""
    took: tuple[list[float], list[float]] = ([], [])
    rng = np.random.default_rng(0)
    for number in range(2 * pictures):
        features = rng.standard_normal((9, _DIMENSION)).astype(np.float16)
        id = new_ulid()
        image = NewImage(
            id=id,
            digest=rng.bytes(32).hex(),
            person=id,
            camera=None,
            time=None,
            client_id=id,
            metadata={},
            kept=False,
            occlusion=0,
            scores=None,
            features=features,
        )
        without = number % 2
        fence = catalog.database._fence
        if without:
            catalog.database._fence = None
        began = time.perf_counter()
        catalog.pictures.enrol(gallery, "a" * 64, [image])
        took[without].append(time.perf_counter() - began)
        catalog.database._fence = fence
    return took


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.fence_cost", description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000, help="stored with and without (2000)")
    pictures = parser.parse_args().pictures
    with tempfile.TemporaryDirectory(prefix="penumbra-postgresql-") as folder:
        server = PostgreSQLServer(Path(folder))
        server.start()
        catalog = Catalog(server.empty_database())
        catalog.claim()
        key, _ = catalog.galleries.create("g", keep_pictures=False)
        seconds_each(catalog, key.number, 50)
        took = seconds_each(catalog, key.number, pictures)
        fenced, free = (1000 * statistics.median(seconds) for seconds in took)
        catalog.close()
        server.stop()
    print(
        f"a picture's transaction, median of {pictures}: {fenced:.2f} ms behind the fence, {free:.2f} ms "
        f"without, {fenced / free:.2f} times as long"
    )


if __name__ == "__main__":
    main()
