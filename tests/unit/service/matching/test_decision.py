from __future__ import annotations

import math

import pytest

from models import occlusion
from models.calibration import probability
from service.matching.decision import NO_WISHES, Rule, compared_codes, judge
from tests.calibrations import handmade_calibration, handmade_mode

CALIBRATION = handmade_calibration(
    off=handmade_mode(), auto=handmade_mode(odd={("none", "bottom_half"): (10.0, -7.0)})
)


def said(
    score: float,
    unify: str = "auto",
    rule: Rule = NO_WISHES,
    query: list[int] | None = None,
    comparisons: int = 1,
    people: int = 1,
) -> tuple[float, str]:
    verdict = judge(CALIBRATION, unify, rule, score, query or [0], 0, comparisons=comparisons, people=people)
    assert verdict is not None
    return verdict.probability, verdict.decision


def test_without_a_calibration_of_this_way_to_compare_nothing_is_said() -> None:
    assert judge(None, "auto", NO_WISHES, 0.9, [0], 0, comparisons=1, people=1) is None
    assert judge(CALIBRATION, "fuse", NO_WISHES, 0.9, [0], 0, comparisons=1, people=1) is None


def test_decisions_change_at_the_boundary_scores() -> None:
    # evidence 10 s - 5; strangers exceed ln 100 in one of a hundred comparisons, ln 10 in one of ten
    match, uncertain = (5 + math.log(100)) / 10, (5 + math.log(10)) / 10
    assert said(match + 1e-6)[1] == "match"
    assert said(match - 1e-6)[1] == said(uncertain + 1e-6)[1] == "uncertain"
    assert said(uncertain - 1e-6)[1] == "unknown"


def test_the_more_pictures_are_looked_at_the_more_a_match_needs() -> None:
    score = (5 + math.log(100 * 50)) / 10
    assert said(score + 1e-6, comparisons=50)[1] == "match"
    assert said(score - 1e-6, comparisons=50)[1] == "uncertain"


def test_the_prior_is_shared_out_among_the_people() -> None:
    assert said(0.5)[0] == pytest.approx(0.5)
    assert said(0.5, people=20)[0] == pytest.approx(0.5 / 20)
    assert said(0.5, rule=Rule(prior=0.2), people=4)[0] == pytest.approx(0.05)
    assert said(0.8, people=20)[0] == pytest.approx(float(probability(3.0, 0.025)))


def test_the_least_shares_there_are_give_the_least_there_is_to_say() -> None:
    # as a gallery may have them from before calls' rates and priors had a bound
    tiny = 5e-324
    likely, decision = said(1.0, rule=Rule(prior=tiny), people=20)
    assert (likely, decision) == (pytest.approx(0.0, abs=1e-300), "match")
    assert said(1.0, rule=Rule(tiny, tiny), comparisons=50)[1] == "unknown"
    assert said(1.0, rule=Rule(match_rate=tiny), comparisons=2)[1] == "uncertain"


def test_what_is_hidden_counts() -> None:
    whole, half = said(0.7)[0], said(0.7, query=[4])[0]
    assert half == pytest.approx(float(probability(0.0, 0.5)))
    assert whole > half
    # several query pictures: half-way between what each would mean
    assert said(0.7, query=[0, 4])[0] == pytest.approx(float(probability(1.0, 0.5)))
    assert said(0.7, unify="off", query=[4])[0] == whole  # another line there


def test_a_stated_type_counts_instead_of_the_grade() -> None:
    assert compared_codes("bottom_half", [0, 3]) == [4]
    assert compared_codes("none", [4]) == [occlusion.NONE]
    for unify in ("auto", "off", "fuse"):
        assert compared_codes(unify, [0, 3]) == [0, 3]


def test_the_call_is_heard_before_the_gallery_and_the_gallery_before_the_calibration() -> None:
    call, gallery = Rule(match_rate=0.4), Rule(match_rate=0.001, prior=0.1)
    assert call.over(gallery) == Rule(match_rate=0.4, prior=0.1)
    assert NO_WISHES.over(gallery) == gallery
    score = (5 + math.log(10)) / 10 - 1e-6
    assert said(score, rule=call.over(gallery))[1] == "match"
    assert said(0.99, rule=gallery)[1] == "uncertain"


def test_rates_that_contradict_each_other_are_a_fault() -> None:
    assert Rule(0.2, 0.1).fault is not None
    assert Rule(0.1, 0.1).fault is Rule(0.2, None).fault is Rule().fault is None


def test_a_call_that_contradicts_what_it_inherits_is_told_which_rates_do() -> None:
    # the calibration's: 0.01 and 0.1
    assert CALIBRATION.uncertain_rate == 0.1
    of_both = Rule(0.4, 0.5)
    fault = Rule(uncertain_rate=0.2).contradicts(of_both, CALIBRATION)
    assert fault == "match_rate (0.4, the gallery's) must not be above uncertain_rate (0.2, the call's)"
    fault = Rule(match_rate=0.3).contradicts(NO_WISHES, CALIBRATION)
    assert fault == "match_rate (0.3, the call's) must not be above uncertain_rate (0.1, the calibration's)"
    fault = Rule(uncertain_rate=0.001).contradicts(Rule(prior=0.2), CALIBRATION)
    assert (
        fault == "match_rate (0.01, the calibration's) must not be above uncertain_rate (0.001, the call's)"
    )
    for call, gallery, calibration in (
        (Rule(0.3, 0.3), Rule(0.4, 0.4), CALIBRATION),  # the call says both
        (Rule(match_rate=0.3), of_both, CALIBRATION),
        (Rule(match_rate=0.3), NO_WISHES, None),
        (Rule(prior=0.3), Rule(match_rate=0.3), CALIBRATION),  # not the call's doing
    ):
        assert call.contradicts(gallery, calibration) is None
