"""How fast pictures are drawn: ``python -m training.data.synthetic.benchmark``.

A rate depends on the machine and on what else runs there, so it is given in processor time, and beside a
reference from the same run: how often Pillow decodes a JPEG of a drawn picture.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Sequence

from PIL import Image

from training.data.synthetic.generator import draw

__all__ = ["measure", "measure_decoding"]


def measure(
    pictures: int, *, height: int, width: int, occluded_share: float, seed: int = 7
) -> tuple[float, float]:
    """Draw pictures of different people in eight cameras, in one thread, and take the time.

    Backdrops and people are drawn fresh as they first come up, as in any other run; label maps are included.

    Returns:
        Pictures per second of processor time (what a core can do when nothing else runs on it), and per
        second on the clock.
    """
    started, busy = time.perf_counter(), time.process_time()
    for number in range(pictures):
        draw(
            number // 8,
            number % 8,
            0,
            seed=seed,
            height=height,
            width=width,
            occlusion=None,
            occluded_share=occluded_share,
        )
    return pictures / (time.process_time() - busy), pictures / (time.perf_counter() - started)


def measure_decoding(pictures: int, *, height: int, width: int) -> float:
    """JPEGs of a drawn picture, quality 90, that Pillow decodes in a second of processor time."""
    file = io.BytesIO()
    Image.fromarray(draw(0, 0, 0, seed=7, height=height, width=width).image).save(file, "JPEG", quality=90)
    busy = time.process_time()
    for _ in range(pictures):
        Image.open(file).convert("RGB")
    return pictures / (time.process_time() - busy)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure how many pictures a second are drawn on one core.")
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--occluded", type=float, default=0.5, help="share of pictures with an occluder")
    options = parser.parse_args(arguments)
    core, clock = measure(
        options.pictures, height=options.height, width=options.width, occluded_share=options.occluded
    )
    decoded = measure_decoding(options.pictures, height=options.height, width=options.width)
    print(
        f"{options.pictures} pictures of {options.height}x{options.width}: "
        f"{core:.0f} pictures/s of one core's time, {clock:.0f} pictures/s on the clock; "
        f"{core / decoded:.2f} times as many as JPEGs of that size are decoded"
    )


if __name__ == "__main__":
    main()
