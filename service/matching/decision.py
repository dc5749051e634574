"""From a score to a probability and a decision (``models/calibration.py``), as a call wants it.

A query compares one person with many. Two things follow:

* Before its pictures are seen, the person is in the gallery with the rule's prior, and is each of the
  gallery's people with that prior divided by their number. :func:`judge` gives the probability of each
  result by itself; those of one answer need not add up to one.
* A stranger has as many chances to be taken for somebody as pictures are looked at. The false-match rates
  are those of the whole query, so each comparison is allowed that share of them.

Comparing with one picture, or with one person, is the same with one of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from models import occlusion
from models.calibration import Calibration, Decision, Mode, probability, shared_out

__all__ = ["NO_WISHES", "Rule", "Verdict", "compared_codes", "judge"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How to decide; None leaves it to whoever has less to say: call, gallery, calibration.

    Attributes:
        match_rate, uncertain_rate: share of strangers' calls that may end so, above 0, up to 0.5.
        prior: probability, before the pictures are seen, that the person asked about is there.
    """

    match_rate: float | None = None
    uncertain_rate: float | None = None
    prior: float | None = None

    def over(self, other: Rule) -> Rule:
        """This rule, and what it leaves open as the other says."""
        return Rule(
            *(
                getattr(other, field.name) if getattr(self, field.name) is None else getattr(self, field.name)
                for field in fields(Rule)
            )
        )

    def contradicts(self, gallery: Rule, calibration: Calibration | None) -> str | None:
        """What is wrong with a call's rates beside those that it leaves open, or None.

        Where the call states neither rate nothing is: a gallery that matches more freely than the calibration
        is uncertain has no uncertain results.
        """
        if self.match_rate is None and self.uncertain_rate is None:
            return None
        sources = [("the call's", self), ("the gallery's", gallery)]
        if calibration is not None:
            by_default = Rule(calibration.match_rate, calibration.uncertain_rate)
            sources.append(("the calibration's", by_default))
        match = [(rule.match_rate, whose) for whose, rule in sources if rule.match_rate is not None]
        uncertain = [
            (rule.uncertain_rate, whose) for whose, rule in sources if rule.uncertain_rate is not None
        ]
        if not match or not uncertain or match[0][0] <= uncertain[0][0]:
            return None
        return (
            f"match_rate ({match[0][0]:g}, {match[0][1]}) must not be above uncertain_rate "
            f"({uncertain[0][0]:g}, {uncertain[0][1]})"
        )

    def in_vain(self, calibrations: Iterable[Calibration | None]) -> str | None:
        """What is wrong with a call that states anything while no loaded model is calibrated."""
        stated = [field.name for field in fields(Rule) if getattr(self, field.name) is not None]
        if not stated or any(one is not None for one in calibrations):
            return None
        return (
            f"{', '.join(stated)}: the served bundle has no calibration, so nothing is decided and this "
            "would do nothing. Leave it out, or make a calibration (`penumbra-train calibrate`)"
        )

    @property
    def fault(self) -> str | None:
        """What is wrong with it in itself, or None."""
        match, uncertain = self.match_rate, self.uncertain_rate
        if match is None or uncertain is None or match <= uncertain:
            return None
        return f"match_rate ({match:g}) must not be above uncertain_rate ({uncertain:g})"


NO_WISHES = Rule()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one result: the probability that it is the person, 0 to 1, and the decision."""

    probability: float
    decision: Decision


def compared_codes(unify: str, graded: Sequence[int]) -> list[int]:
    """Occlusion codes of the query pictures as they count: graded, or the one that the caller states."""
    return [occlusion.code_of(unify)] if unify in occlusion.NAMES else list(graded)


def _mode_of(unify: str) -> Mode:
    """How pictures are compared under this choice; stating a type is ``auto`` with another grade."""
    return "off" if unify == "off" else "fuse" if unify == "fuse" else "auto"


def judge(
    calibration: Calibration | None,
    unify: str,
    rule: Rule,
    score: float,
    query: Sequence[int],
    code: int,
    *,
    comparisons: int,
    people: int,
) -> Verdict | None:
    """What a result's score means; None without a calibration of this way to compare.

    Several query pictures have one score, their mean, whose evidence is the mean of what it would be for
    each picture's occlusion alone. Pictures that agree say more than that: it errs to the middle.

    Args:
        rule: the call's, over the gallery's.
        query: occlusion codes of the query pictures, at least one.
        code: occlusion code of the gallery picture.
        comparisons: pictures looked at.
        people: whom they show, how many.
    """
    calibrated = None if calibration is None else calibration.modes.get(_mode_of(unify))
    if calibration is None or calibrated is None:
        return None
    match_rate = calibration.match_rate if rule.match_rate is None else rule.match_rate
    uncertain_rate = calibration.uncertain_rate if rule.uncertain_rate is None else rule.uncertain_rate
    prior = calibration.prior if rule.prior is None else rule.prior
    evidence = float(np.mean(calibrated.evidence(score, np.asarray(query), code)))
    return Verdict(
        float(probability(evidence, shared_out(prior, people))),
        calibrated.decide(evidence, comparisons, match_rate, uncertain_rate),
    )
