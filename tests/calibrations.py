"""Calibrations made by hand."""

from __future__ import annotations

from pathlib import Path

from models import occlusion
from models.calibration import (
    PAIRS,
    Calibration,
    CalibrationFile,
    Line,
    Mode,
    ModeCalibration,
    Strangers,
)


def handmade_mode(
    slope: float = 10.0, offset: float = -5.0, odd: dict[tuple[str, str], tuple[float, float]] | None = None
) -> ModeCalibration:
    """One line for all pairs of types but ``odd`` ones; strangers' evidence exceeds ln(1/r) at the rate r."""
    lines = []
    for low, high in PAIRS:
        types = (occlusion.NAMES[low], occlusion.NAMES[high])
        own_slope, own_offset = (odd or {}).get(types, (slope, offset))
        lines.append(Line(types=types, slope=own_slope, offset=own_offset))
    strangers = Strangers(
        rates=[0.5, 0.1], evidence=[0.6931471805599453, 2.302585092994046], scale=1, pairs=100
    )
    return ModeCalibration(lines=lines, strangers=strangers)


def handmade_calibration(**modes: ModeCalibration) -> Calibration:
    """For ``off`` and ``auto`` unless told which; rates 0.01 and 0.1, prior a half."""
    chosen: dict[Mode, ModeCalibration] = dict(modes) or {"off": handmade_mode(), "auto": handmade_mode()}  # type: ignore[arg-type]
    return Calibration(modes=chosen, data=["by hand"], pictures=2, people=2)


def handmade_site(folder: Path, fingerprint: str) -> Path:
    """The handmade calibration as a site's own file, for the model of that fingerprint."""
    site = CalibrationFile(fingerprint=fingerprint, model="handmade", calibration=handmade_calibration())
    path = folder / "site.json"
    path.write_text(site.model_dump_json())
    return path
