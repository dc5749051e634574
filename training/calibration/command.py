"""`penumbra-train calibrate`: what a bundle's scores mean, from pictures whose people are known. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from models.bundle import read_bundle
from models.calibration import Calibration, CalibrationFile, HeldOut, Mode, ModeCalibration
from training.calibration.fit import fit_lines, measure_strangers
from training.calibration.held_out import Judged, Present, judge, judge_present
from training.calibration.pairs import Pairs, Pool, compare_all, pool_of
from training.data.records import Protocol
from training.evaluation import protocols
from training.evaluation.command import progress_bar
from training.evaluation.features import Advance, BundleEmbedder, Embedder, read_pixels
from training.evaluation.unified import Choice, Side, Unify, require

__all__ = ["MOST_PICTURES", "Measured", "Wishes", "calibrate", "command"]

MOST_PICTURES: Final = 4000


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the one who calibrates decides; see :class:`models.calibration.Calibration`."""

    prior: float = 0.5
    match_rate: float = 0.01
    uncertain_rate: float = 0.1
    most: int = MOST_PICTURES

    def __post_init__(self) -> None:
        if not 0 < self.prior < 1:
            raise ValueError(f"prior lies between 0 and 1, both excluded; {self.prior:g} does not")
        if not 0 < self.match_rate <= self.uncertain_rate <= 0.5:
            raise ValueError(
                "0 < match_rate <= uncertain_rate <= 0.5 must hold; they are "
                f"{self.match_rate:g} and {self.uncertain_rate:g}"
            )


@dataclass(frozen=True, slots=True)
class Measured:
    """A calibration, and by mode what people held out showed of it, and of the one that was there before."""

    calibration: Calibration
    judged: dict[str, Judged] = field(default_factory=dict)
    present: dict[str, Present] = field(default_factory=dict)


def calibrate(
    embedder: Embedder,
    measured_on: Sequence[Protocol],
    wishes: Wishes | None = None,
    advance: Advance | None = None,
    present: Calibration | None = None,
) -> Measured:
    """Compare the protocols' pictures with each other, fit, and judge on people held out.

    What is kept is fitted on everybody; its figures are of fits on half of the people.

    Args:
        present: the bundle's own, to be judged on these pictures as well.

    Raises:
        ValueError: rates or prior are not in order, or there are no pairs to learn from.
        OSError: a picture cannot be read.
    """
    wishes = wishes or Wishes()
    pool = pool_of(measured_on, wishes.most)
    side = Side(embedder, read_pixels(pool.pictures, embedder.height, embedder.width), advance)
    modes: dict[Mode, ModeCalibration] = {}
    judged: dict[str, Judged] = {}
    before: dict[str, Present] = {}
    for mode in _modes(embedder):
        choice = Choice(mode)
        require(side, side, choice, advance)
        pairs = compare_all(side, pool, choice)
        modes[mode], found = _calibrate_mode(pairs, pool)
        if found is not None:
            judged[mode] = found
        if present is not None and mode in present.modes:
            before[mode] = judge_present(pairs, present.modes[mode])
    calibration = Calibration(
        modes=modes,
        prior=wishes.prior,
        match_rate=wishes.match_rate,
        uncertain_rate=wishes.uncertain_rate,
        data=[protocol.name for protocol in measured_on],
        pictures=len(pool.pictures),
        people=len(set(pool.people[pool.known].tolist())),
    )
    return Measured(calibration, judged, before)


def _modes(embedder: Embedder) -> tuple[Unify, ...]:
    """The ways to compare that the service has for this model."""
    return ("off", "auto", "fuse") if embedder.has_grader else ("off", "fuse")


def _calibrate_mode(pairs: Pairs, pool: Pool) -> tuple[ModeCalibration, Judged | None]:
    lines = fit_lines(pairs, pool.people)
    judged = judge(pairs, pool)
    return (
        ModeCalibration(
            lines=lines.named(),
            strangers=measure_strangers(lines.evidence(pairs)[~pairs.same]),
            held_out=None if judged is None else judged.figures,
        ),
        judged,
    )


def command(
    bundle: Path,
    *,
    datasets: Sequence[str],
    root: Path,
    out: Path | None,
    json_out: Path | None,
    plot: Path | None,
    wishes: Wishes,
    as_json: bool,
    acknowledge_withdrawn: bool = False,
) -> None:
    """Calibrate a bundle, write what was asked for, and print how good it is.

    Args:
        out: bundle to write with the calibration in its metadata, and its card; may be ``bundle`` itself.
        json_out: calibration file for the service's setting ``calibration``.
        plot: reliability diagram.

    Raises:
        ValueError, OSError: see :func:`calibrate`; or the bundle or a protocol cannot be read.
        ModuleNotFoundError: onnx or matplotlib is needed for what is to be written, and not installed.
    """
    opened = read_bundle(bundle)
    loaded = [protocols.load(name, root, acknowledge_withdrawn=acknowledge_withdrawn) for name in datasets]
    if out is not None:
        from training.export.bundle_file import write_bundle
    if plot is not None:
        from training.calibration.diagram import draw_reliability
    with progress_bar(f"{bundle.name} on {', '.join(datasets)}", quiet=as_json) as advance:
        measured = calibrate(
            BundleEmbedder.open(bundle), loaded, wishes, advance, opened.metadata.calibration
        )
    calibration = measured.calibration
    written: dict[str, str] = {}
    if plot is not None:
        draw_reliability(measured.judged, plot)
        written["plot"] = str(plot)
    if json_out is not None:
        content = CalibrationFile(
            fingerprint=opened.fingerprint, model=opened.metadata.name, calibration=calibration
        )
        json_out.parent.mkdir(parents=True, exist_ok=True)
        json_out.write_text(content.model_dump_json(indent=1) + "\n", encoding="utf-8")
        written["calibration"] = str(json_out)
    if out is not None:
        from training.export.card import write_card

        changed = opened.metadata.model_copy(update={"calibration": calibration})
        new = write_bundle(opened.content, changed, out)
        written |= {"bundle": str(out), "fingerprint": new.fingerprint, "card": str(write_card(new))}
    if as_json:
        print(
            json.dumps(
                {
                    "model": opened.metadata.name,
                    "pictures": calibration.pictures,
                    "people": calibration.people,
                    "held_out": {
                        mode: None if found.held_out is None else found.held_out.model_dump()
                        for mode, found in calibration.modes.items()
                    },
                    "present": {mode: asdict(found) for mode, found in measured.present.items()},
                    **written,
                },
                indent=1,
            )
        )
        return
    console = Console()
    title = f"{opened.metadata.name}: {calibration.pictures} pictures of {calibration.people} people"
    tables = [(mode, found.held_out) for mode, found in calibration.modes.items() if found.held_out]
    if tables:
        console.print(_error_table(title, tables))
        console.print(_rate_table(tables))
    else:
        console.print(f"{title}: too few to hold any out, so nothing is known of how good it is")
    if measured.present:
        console.print(_present_table(measured.present))
    for what, value in written.items():
        console.print(f"{what}: {value}", soft_wrap=True)


def _error_table(title: str, tables: Sequence[tuple[Mode, HeldOut]]) -> Table:
    table = Table(title=f"{title}\nexpected calibration error, people held out, even odds")
    for name in ("unify", "hidden"):
        table.add_column(name)
    for name in ("score itself", "one line", "a line each pair of types"):
        table.add_column(name, justify="right")
    for mode, held in tables:
        errors = (held.ece_raw, held.ece_single, held.ece)
        table.add_row(mode, "all pairs", *(f"{error:.3f}" for error in errors))
        for area, error in held.ece_by_area.items():
            table.add_row(mode, area, "", f"{held.ece_single_by_area[area]:.3f}", f"{error:.3f}")
    return table


def _present_table(present: Mapping[str, Present]) -> Table:
    table = Table(title="what the bundle's own calibration does on these pictures")
    table.add_column("unify")
    for name in ("error at even odds", "chosen", "strangers", "right"):
        table.add_column(name, justify="right")
    for mode, found in present.items():
        for rate, share in found.false_matches.items():
            table.add_row(mode, f"{found.ece:.3f}", rate, f"{share:.5f}", f"{found.true_matches[rate]:.3f}")
    return table


def _rate_table(tables: Sequence[tuple[Mode, HeldOut]]) -> Table:
    table = Table(title="chosen false-match rates, people held out")
    for name in ("unify", "of"):
        table.add_column(name)
    for name in ("chosen", "strangers", "right"):
        table.add_column(name, justify="right")
    for mode, held in tables:
        for rate, share in held.false_matches.items():
            table.add_row(mode, "pairs", rate, f"{share:.5f}", f"{held.true_matches[rate]:.3f}")
        for rate, share in held.strangers.items():
            found = held.found.get(rate)
            table.add_row(
                mode,
                f"queries, {held.gallery:.0f} pictures",
                rate,
                f"{share:.5f}",
                "–" if found is None else f"{found:.3f}",
            )
    return table
