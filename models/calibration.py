"""What a score means: how likely two pictures show one person, and what to say of it. No torch.

Training fits and judges a calibration (``training/calibration``), the service applies it; both call what
is here. A score alone says little: two half-hidden strangers reach cosines that two whole ones never do.
So every unordered pair of occlusion types has its own line from the score to the evidence::

    e = slope · score + offset            (Platt scaling, one line a pair of types)
    e = ln( p(score | same person) / p(score | different people) )

Evidence does not depend on how many people there are. Two things are made of it, each with what else it
needs:

* The *probability* that both show one person, which needs the probability before the pictures were seen:
  ``P = sigmoid(e + ln(prior / (1 - prior)))``.
* The *decision*. Different people's evidence exceeds :meth:`Strangers.threshold` in a chosen share of the
  comparisons. A stranger who is compared with n pictures has n chances to be taken for somebody, so with a
  false-match rate r for the whole call, each comparison is allowed r / n.

The largest evidence of strangers falls off exponentially (peaks over a threshold; Pickands 1975), which
gives the threshold where a rate is smaller than the measured pairs can show.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models import occlusion

__all__ = [
    "PAIRS",
    "Calibration",
    "CalibrationError",
    "CalibrationFile",
    "Decision",
    "HeldOut",
    "Line",
    "Mode",
    "ModeCalibration",
    "Rate",
    "Share",
    "Strangers",
    "pair_of",
    "probability",
    "read_calibration",
    "shared_out",
]

Mode = Literal["off", "auto", "fuse"]
"""How two pictures were compared; scores of two modes have nothing to do with each other."""

Decision = Literal["match", "uncertain", "unknown"]

PAIRS: Final[tuple[tuple[int, int], ...]] = tuple(
    (low, high) for low in range(occlusion.COUNT) for high in range(low, occlusion.COUNT)
)
"""The 45 unordered pairs of occlusion codes, the smaller code first."""

_PLACES: Final = np.zeros((occlusion.COUNT, occlusion.COUNT), dtype=np.int64)
for _place, (_low, _high) in enumerate(PAIRS):
    _PLACES[_low, _high] = _PLACES[_high, _low] = _place

Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=0.5)]
Finite = Annotated[float, Field(allow_inf_nan=False)]

_LEAST: Final = sys.float_info.min
"""What a positive share is taken for where its division among many has left nothing of it."""


class CalibrationError(ValueError):
    """A file is not a calibration of the model that is served. The message says why."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def pair_of(first: npt.ArrayLike, second: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Places in :data:`PAIRS` of occlusion codes, in either order; int64 of the broadcast shape."""
    places: npt.NDArray[np.int64] = _PLACES[np.asarray(first), np.asarray(second)]
    return places


def shared_out(share: float, among: int) -> float:
    """A share of what is above 0, divided among so many, one at least: never 0, as 5e-324 / 2 would be."""
    return max(share / max(among, 1), _LEAST)


def probability(evidence: npt.ArrayLike, prior: float) -> npt.NDArray[np.float64]:
    """P(same person), 0 to 1, of evidence and of the probability before the pictures were seen.

    Raises:
        ValueError: the prior is not between 0 and 1.
    """
    if not 0 < prior < 1:
        raise ValueError(f"a prior lies between 0 and 1, both excluded; {prior} does not")
    odds = np.asarray(evidence, dtype=np.float64) + math.log(prior) - math.log1p(-prior)
    # by way of tanh, which saturates where exp would overflow
    answer: npt.NDArray[np.float64] = 0.5 * (1.0 + np.tanh(0.5 * odds))
    return answer


class Line(_Strict):
    """From a score to evidence, for one pair of occlusion types.

    Attributes:
        types: the two types' names, the smaller code first.
        slope: above 0, so that a higher score is never weaker evidence.
        offset: evidence at score 0.
    """

    types: tuple[str, str]
    slope: Finite = Field(gt=0)
    offset: Finite


class Strangers(_Strict):
    """How far the evidence of different people reaches.

    Attributes:
        rates: descending: the share of the measured pairs ...
        evidence: ... whose evidence exceeds this, ascending.
        scale: mean excess over the last of ``evidence``: from there on, the evidence that a share r
            exceeds is ``evidence[-1] + scale · ln(rates[-1] / r)``.
        pairs: how many were measured.
    """

    rates: list[Rate] = Field(min_length=1)
    evidence: list[Finite] = Field(min_length=1)
    scale: Finite = Field(ge=0)
    pairs: int = Field(ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if len(self.rates) != len(self.evidence):
            raise ValueError("rates and evidence must have the same length")
        if any(a <= b for a, b in zip(self.rates, self.rates[1:], strict=False)):
            raise ValueError("rates must descend")
        if any(a > b for a, b in zip(self.evidence, self.evidence[1:], strict=False)):
            raise ValueError("evidence must not descend")
        return self

    def threshold(self, rate: float) -> float:
        """The evidence that this share of the comparisons of different people exceeds.

        Between the measured rates straight in the rate's logarithm; above the largest, which is at most
        a half, that one's.

        Raises:
            ValueError: the rate is not above 0.
        """
        if not rate > 0:
            raise ValueError(f"a false-match rate is above 0, not {rate}")
        last = self.rates[-1]
        if rate < last:
            return self.evidence[-1] + self.scale * math.log(last / rate)
        ascending = [math.log(known) for known in reversed(self.rates)]
        return float(np.interp(math.log(rate), ascending, self.evidence[::-1]))


class HeldOut(_Strict):
    """How a calibration does on people that it was not fitted on, judged half against half.

    Expected calibration errors are at even odds: pairs of one person and pairs of different people
    weigh the same.

    Attributes:
        people, same_pairs, different_pairs: judged.
        ece_raw: of the score itself, cut off below 0, taken as a probability.
        ece_single: of one line for all pairs of types.
        ece: of this calibration.
        ece_single_by_area, ece_by_area: the same by the hidden areas of both pictures, e.g. ``"0.25+0.5"``.
        false_matches: chosen false-match rate of one comparison -> share of the different pairs that
            exceed its threshold.
        true_matches: the same rates -> share of the pairs of one person that exceed it.
        strangers: chosen false-match rate of a query -> share of the queries of people who are not in the
            gallery that get at least one such match.
        found: the same rates -> share of the queries of people who are in the gallery whose best picture
            is theirs, and exceeds the threshold.
        gallery: pictures in that gallery, mean of the two halves.
    """

    people: int
    same_pairs: int
    different_pairs: int
    ece_raw: float
    ece_single: float
    ece: float
    ece_single_by_area: dict[str, float]
    ece_by_area: dict[str, float]
    false_matches: dict[str, float]
    true_matches: dict[str, float]
    strangers: dict[str, float]
    found: dict[str, float]
    gallery: float


class ModeCalibration(_Strict):
    """The calibration of one way to compare.

    Attributes:
        lines: one for each of :data:`PAIRS`, in that order.
        strangers: the evidence of different people over all pairs of types.
        held_out: how good it is; None where there were too few people to tell.
    """

    lines: list[Line]
    strangers: Strangers
    held_out: HeldOut | None = None

    @model_validator(mode="after")
    def _all_pairs(self) -> Self:
        wanted = [(occlusion.NAMES[low], occlusion.NAMES[high]) for low, high in PAIRS]
        if [line.types for line in self.lines] != wanted:
            raise ValueError(f"lines must be those of the {len(PAIRS)} pairs of occlusion types, in order")
        return self

    def evidence(
        self, scores: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike
    ) -> npt.NDArray[np.float64]:
        """Evidence of scores between pictures of these occlusion codes, all of shapes that broadcast."""
        places = pair_of(first, second)
        slopes = np.array([line.slope for line in self.lines])[places]
        offsets = np.array([line.offset for line in self.lines])[places]
        answer: npt.NDArray[np.float64] = slopes * np.asarray(scores, dtype=np.float64) + offsets
        return answer

    def decide(self, evidence: float, comparisons: int, match_rate: float, uncertain_rate: float) -> Decision:
        """What to say of a picture that was found among ``comparisons`` pictures.

        ``match`` where at most the share ``match_rate`` of the strangers' calls gets evidence above this,
        ``uncertain`` where at most ``uncertain_rate`` does, else ``unknown``.
        """
        if evidence > self.strangers.threshold(shared_out(match_rate, comparisons)):
            return "match"
        if evidence > self.strangers.threshold(shared_out(max(match_rate, uncertain_rate), comparisons)):
            return "uncertain"
        return "unknown"


class Calibration(_Strict):
    """What a bundle's metadata, or a file of one's own, says of the model's scores.

    Attributes:
        schema_version: 1.
        modes: by the way two pictures are compared; a mode that is not there has no probabilities.
        prior: probability, before the pictures are seen, that the person asked about is there at all:
            enrolled in the gallery that is queried, or the one compared with.
        match_rate, uncertain_rate: false-match rates of a call, unless it brings its own.
        data: protocols that the scores come from.
        pictures, people: measured.
    """

    schema_version: Literal[1] = 1
    modes: dict[Mode, ModeCalibration] = Field(min_length=1)
    prior: Share = 0.5
    match_rate: Rate = 0.01
    uncertain_rate: Rate = 0.1
    data: list[str]
    pictures: int = Field(ge=1)
    people: int = Field(ge=1)

    @model_validator(mode="after")
    def _rates_in_order(self) -> Self:
        if self.match_rate > self.uncertain_rate:
            raise ValueError("match_rate must not be above uncertain_rate")
        return self


class CalibrationFile(_Strict):
    """A calibration beside its bundle, for a site of one's own: the bundle's fingerprint stays as it is.

    Attributes:
        fingerprint: of the bundle whose scores it is about.
        model: that bundle's name.
        calibration: instead of the bundle's own.
    """

    fingerprint: str
    model: str
    calibration: Calibration


def read_calibration(path: Path, fingerprint: str) -> Calibration:
    """The calibration in a file that ``penumbra-train calibrate --json-out`` wrote.

    Args:
        fingerprint: of the bundle that it is for.

    Raises:
        CalibrationError: the file cannot be read, is no calibration, or is about another bundle.
    """
    try:
        content = CalibrationFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CalibrationError(f"the calibration {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the file"
        raise CalibrationError(
            f"{path} is not a calibration written by `penumbra-train calibrate`: {where}: {fault['msg']}"
        ) from error
    if content.fingerprint != fingerprint:
        raise CalibrationError(
            f"{path} calibrates {content.model} ({content.fingerprint[:12]}), not the bundle that is served "
            f"({fingerprint[:12]}); run `penumbra-train calibrate` on this one"
        )
    return content.calibration
