"""How good a calibration is, on people that it was not fitted on. No torch.

Every second person is held out; what the others taught is judged on them, and the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.calibration import PAIRS, HeldOut, ModeCalibration, probability
from training.calibration.fit import AREAS, area_names, fit_lines, measure_strangers
from training.calibration.pairs import Pairs, Pool

__all__ = [
    "BINS",
    "Judged",
    "Present",
    "expected_calibration_error",
    "judge",
    "judge_present",
    "reliability",
]

BINS: Final = 15
PAIR_CODES: Final[npt.NDArray[np.int64]] = np.array(PAIRS, dtype=np.int64)
PAIR_RATES: Final = (0.1, 0.01, 0.001)
QUERY_RATES: Final = (0.1, 0.01)
_LEAST_PEOPLE: Final = 8


@dataclass(frozen=True, slots=True)
class Judged:
    """What people held out showed, both halves together.

    Attributes:
        figures: what is kept.
        pairs: those judged.
        single, typed: float64 [P], their evidence by one line for all, and by their types' lines.
    """

    figures: HeldOut
    pairs: Pairs
    single: npt.NDArray[np.float64]
    typed: npt.NDArray[np.float64]


def _bins(
    probabilities: npt.NDArray[np.float64], same: npt.NDArray[np.bool_], bins: int
) -> npt.NDArray[np.float64]:
    """Per bin of equal width: weight, sum of the probabilities, weight that is true; float64 [3, bins].

    Pairs of one person weigh a half in all, pairs of different people the other half.
    """
    weights = np.where(same, 0.5 / max(same.sum(), 1), 0.5 / max((~same).sum(), 1))
    bin_of = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    return np.stack(
        [
            np.bincount(bin_of, weights * values, bins)
            for values in (np.ones(len(same)), probabilities, same.astype(np.float64))
        ]
    )


def expected_calibration_error(
    probabilities: npt.NDArray[np.float64], same: npt.NDArray[np.bool_], bins: int = BINS
) -> float:
    """Mean over bins, by weight, of |mean probability - share that is true| (Naeini et al. 2015).

    Both kinds of pairs weigh the same in all, so ``probabilities`` are those at even odds.

    Args:
        probabilities: [P], 0 to 1.
        same: [P], both kinds must be there.
    """
    weight, believed, true = _bins(probabilities, same, bins)
    return float(np.abs(believed - true).sum() / weight.sum())


def reliability(
    probabilities: npt.NDArray[np.float64], same: npt.NDArray[np.bool_], bins: int = BINS
) -> npt.NDArray[np.float64]:
    """Mean probability and share that is true, of each bin that is not empty: float64 [2, b]."""
    weight, believed, true = _bins(probabilities, same, bins)
    there = weight > 0
    return np.stack([believed[there], true[there]]) / weight[there]


def judge(pairs: Pairs, pool: Pool) -> Judged | None:
    """Fit on half of the people and judge on the others, both ways; None where there are too few."""
    asking = np.unique(pool.people[pool.known])
    first_half = np.isin(pool.people, asking[::2])
    second_half = np.isin(pool.people, asking[1::2])
    if len(asking) < _LEAST_PEOPLE:
        return None
    parts: list[tuple[Pairs, npt.NDArray[np.float64], npt.NDArray[np.float64]]] = []
    exceeded: dict[float, list[npt.NDArray[np.bool_]]] = {rate: [] for rate in PAIR_RATES}
    alarms: dict[float, list[npt.NDArray[np.bool_]]] = {rate: [] for rate in QUERY_RATES}
    hits: dict[float, list[npt.NDArray[np.bool_]]] = {rate: [] for rate in QUERY_RATES}
    galleries = []
    for taught, judged in ((first_half, second_half), (second_half, first_half)):
        learnt = pairs.of(taught[pairs.first] & taught[pairs.second])
        asked = pairs.of(judged[pairs.first] & judged[pairs.second])
        if not all(part.same.any() and not part.same.all() for part in (learnt, asked)):
            return None
        lines = fit_lines(learnt, pool.people)
        strangers = measure_strangers(lines.evidence(learnt)[~learnt.same])
        evidence = lines.evidence(asked)
        parts.append((asked, lines.single_evidence(asked), evidence))
        for rate in PAIR_RATES:
            exceeded[rate].append(evidence > strangers.threshold(rate))
        gallery = int((pool.answers & judged).sum())
        galleries.append(gallery)
        of_others, of_same = _best_of_queries(asked, evidence, pool)
        present = of_same > -np.inf
        for rate in QUERY_RATES:
            threshold = strangers.threshold(rate / max(gallery, 1))
            alarms[rate].append(of_others > threshold)
            hits[rate].append(((of_same > of_others) & (of_same > threshold))[present])
    both = Pairs(
        *(
            np.concatenate([getattr(part, name) for part, _, _ in parts])
            for name in ("scores", "same", "kinds", "first", "second")
        )
    )
    single = np.concatenate([part[1] for part in parts])
    typed = np.concatenate([part[2] for part in parts])
    above = {rate: np.concatenate(flags) for rate, flags in exceeded.items()}
    figures = HeldOut(
        people=len(asking),
        same_pairs=int(both.same.sum()),
        different_pairs=int((~both.same).sum()),
        ece_raw=expected_calibration_error(both.scores.clip(0, 1).astype(np.float64), both.same),
        ece_single=expected_calibration_error(probability(single, 0.5), both.same),
        ece=expected_calibration_error(probability(typed, 0.5), both.same),
        ece_single_by_area=_by_area(both, single),
        ece_by_area=_by_area(both, typed),
        false_matches={f"{rate:g}": float(flags[~both.same].mean()) for rate, flags in above.items()},
        true_matches={f"{rate:g}": float(flags[both.same].mean()) for rate, flags in above.items()},
        strangers=_shares(alarms),
        found=_shares(hits),
        gallery=float(np.mean(galleries)),
    )
    return Judged(figures, both, single, typed)


@dataclass(frozen=True, slots=True)
class Present:
    """What the bundle's own calibration does on these pictures; see :class:`HeldOut`."""

    ece: float
    false_matches: dict[str, float]
    true_matches: dict[str, float]


def judge_present(pairs: Pairs, present: ModeCalibration) -> Present:
    """Judge a calibration that was there before; that says much only on people whom it was not fitted on."""
    evidence = present.evidence(pairs.scores, *PAIR_CODES[pairs.kinds].T)
    above = {f"{rate:g}": evidence > present.strangers.threshold(rate) for rate in PAIR_RATES}
    return Present(
        expected_calibration_error(probability(evidence, 0.5), pairs.same),
        {rate: float(flags[~pairs.same].mean()) for rate, flags in above.items()},
        {rate: float(flags[pairs.same].mean()) for rate, flags in above.items()},
    )


def _by_area(pairs: Pairs, evidence: npt.NDArray[np.float64]) -> dict[str, float]:
    """Expected calibration error by the pair of hidden areas, where both kinds of pairs are there."""
    found = {}
    for area, name in enumerate(area_names()):
        chosen = AREAS[pairs.kinds] == area
        same = pairs.same[chosen]
        if same.any() and not same.all():
            found[name] = expected_calibration_error(probability(evidence[chosen], 0.5), same)
    return found


def _best_of_queries(
    pairs: Pairs, evidence: npt.NDArray[np.float64], pool: Pool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Largest evidence of each query against other people in the gallery, and against its own person.

    Returns:
        float64 [q] each, over the queries that meet anybody else; ``-inf`` where there is no own picture.
    """
    others = np.full(len(pool.people), -np.inf)
    own = np.full(len(pool.people), -np.inf)
    for query, answer in ((pairs.first, pairs.second), (pairs.second, pairs.first)):
        met = pool.asks[query] & pool.answers[answer]
        for best, kind in ((others, ~pairs.same), (own, pairs.same)):
            np.maximum.at(best, query[met & kind], evidence[met & kind])
    asked = others > -np.inf
    return others[asked], own[asked]


def _shares(flags: dict[float, list[npt.NDArray[np.bool_]]]) -> dict[str, float]:
    """Share of flags that are set, by rate; left out where there are none."""
    joined = {rate: np.concatenate(parts) for rate, parts in flags.items()}
    return {f"{rate:g}": float(values.mean()) for rate, values in joined.items() if len(values)}
