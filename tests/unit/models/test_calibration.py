from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models import occlusion
from models.calibration import (
    PAIRS,
    Calibration,
    CalibrationError,
    CalibrationFile,
    Strangers,
    pair_of,
    probability,
    read_calibration,
)
from tests.calibrations import handmade_calibration, handmade_mode

CODES = st.integers(0, 8)


def test_hand_worked_probabilities() -> None:
    # evidence 10 · 0.5 - 5 = 0: the pictures say nothing, the prior stays
    evidence = handmade_mode().evidence([0.5, 0.6], 0, 0)
    assert evidence.tolist() == pytest.approx([0.0, 1.0])
    assert probability(evidence, 0.5).tolist() == pytest.approx([0.5, 1 / (1 + math.exp(-1))])
    assert probability(0.0, 0.01) == pytest.approx(0.01)
    # evidence ln 99 against a prior of one in a hundred: as likely as not
    assert probability(math.log(99), 0.01) == pytest.approx(0.5)


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1, math.nan])
def test_a_certain_prior_is_refused(prior: float) -> None:
    with pytest.raises(ValueError, match="prior"):
        probability(0.0, prior)


def test_every_pair_of_types_has_its_own_line_whichever_comes_first() -> None:
    odd = handmade_mode(odd={("top_half", "left_quarter"): (2.0, 1.0)})
    assert odd.evidence(0.5, 2, 5) == odd.evidence(0.5, 5, 2) == pytest.approx(2.0)
    assert odd.evidence(0.5, 2, 2) == pytest.approx(0.0)
    assert {int(pair_of(a, b)) for a in range(9) for b in range(9)} == set(range(len(PAIRS)))
    assert all(PAIRS[int(pair_of(b, a))] == (min(a, b), max(a, b)) for a in range(9) for b in range(9))


@given(CODES, CODES, st.floats(-1, 1), st.floats(-1, 1), st.floats(0.001, 0.999))
def test_a_higher_score_is_never_less_likely(
    first: int, second: int, one: float, other: float, prior: float
) -> None:
    low, high = sorted([one, other])
    evidence = handmade_mode(slope=7.3, offset=-2.1).evidence([low, high], first, second)
    chances = probability(evidence, prior)
    assert 0 <= chances[0] <= chances[1] <= 1


def test_thresholds_between_and_beyond_what_was_measured() -> None:
    strangers = handmade_mode().strangers
    for rate in (0.5, 0.3, 0.1, 0.01, 1e-7):  # the evidence of these strangers falls off as ln(1/r)
        assert strangers.threshold(rate) == pytest.approx(math.log(1 / rate))
    assert strangers.threshold(0.9) == strangers.threshold(0.5)
    with pytest.raises(ValueError, match="above 0"):
        strangers.threshold(0)


@given(st.floats(1e-9, 1), st.floats(1e-9, 1))
def test_fewer_false_matches_need_more_evidence(one: float, other: float) -> None:
    strangers = handmade_mode().strangers
    low, high = sorted([one, other])
    assert strangers.threshold(low) >= strangers.threshold(high)


def test_decisions_at_the_boundaries() -> None:
    mode = handmade_mode()
    match, uncertain = mode.strangers.threshold(0.01), mode.strangers.threshold(0.1)
    above = [float(np.nextafter(value, np.inf)) for value in (match, uncertain)]
    assert [mode.decide(e, 1, 0.01, 0.1) for e in (above[0], match)] == ["match", "uncertain"]
    assert [mode.decide(e, 1, 0.01, 0.1) for e in (above[1], uncertain)] == ["uncertain", "unknown"]
    # among a hundred pictures, each comparison may go wrong a hundredth as often: ln 100 more evidence
    assert mode.decide(match + math.log(100) + 1e-9, 100, 0.01, 0.1) == "match"
    assert mode.decide(match + math.log(100) - 1e-9, 100, 0.01, 0.1) == "uncertain"
    # a call that only says more about matches leaves no gap
    assert mode.decide(above[1], 1, 0.3, 0.1) == "match"


@pytest.mark.parametrize(
    "changed",
    [
        {"rates": [0.1, 0.5]},
        {"evidence": [2.0, 1.0]},
        {"rates": [0.5]},
        {"scale": -1},
        {"evidence": [0.5, math.inf]},
    ],
)
def test_strangers_that_contradict_themselves_are_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Strangers.model_validate({"rates": [0.5, 0.1], "evidence": [1, 2], "scale": 1, "pairs": 9} | changed)


def test_a_line_is_needed_for_every_pair_of_types() -> None:
    content = handmade_mode().model_dump()
    del content["lines"][7]
    with pytest.raises(ValidationError, match="45 pairs"):
        type(handmade_mode()).model_validate(content)


def test_a_calibration_survives_being_written(tmp_path: Path) -> None:
    calibration = handmade_calibration()
    path = tmp_path / "site.json"
    path.write_text(
        CalibrationFile(fingerprint="a" * 64, model="m", calibration=calibration).model_dump_json()
    )
    assert read_calibration(path, "a" * 64) == calibration
    assert Calibration.model_validate_json(calibration.model_dump_json()) == calibration
    with pytest.raises(CalibrationError, match="calibrates m"):
        read_calibration(path, "b" * 64)


@pytest.mark.parametrize("content", ["", "no json", "{}", '{"fingerprint": "a", "model": "m"}', "[1]"])
def test_a_file_that_is_no_calibration_is_told_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "site.json"
    path.write_text(content)
    with pytest.raises(CalibrationError, match=r"site\.json is not a calibration"):
        read_calibration(path, "a" * 64)
    with pytest.raises(CalibrationError, match="cannot be read"):
        read_calibration(tmp_path / "missing.json", "a" * 64)


def test_rates_in_the_wrong_order_are_refused() -> None:
    content = json.loads(handmade_calibration().model_dump_json()) | {"match_rate": 0.2}
    with pytest.raises(ValidationError, match="match_rate"):
        Calibration.model_validate(content)


def test_types_are_named_as_everywhere() -> None:
    assert handmade_mode().lines[1].types == (occlusion.NAMES[0], occlusion.NAMES[1])
