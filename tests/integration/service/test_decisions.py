"""Probabilities and decisions over REST, by the client, with a calibration beside the bundle."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.bundle import read_bundle
from models.calibration import probability
from service.cli import app
from service.client import BatchQuery, Client, Decisions, Filters, NewPicture, ProblemError
from service.settings import Settings
from tests.calibrations import handmade_site
from tests.drawings import encoded, person
from tests.serving import handmade_settings, serving

WHO = 2
PEOPLE = 5
VIEWS = 3


def with_calibration(folder: Path, fingerprint: str | None = None) -> Settings:
    settings = handmade_settings(folder)
    site = handmade_site(folder, fingerprint or read_bundle(settings.bundle).fingerprint)
    return handmade_settings(folder, calibration=site)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(with_calibration(tmp_path_factory.mktemp("service"))) as running:
        with Client(running.url) as client:
            client.create_gallery("people")
            client.enrol(
                "people",
                [
                    NewPicture(encoded(person(who, view)), f"p{who}", camera=f"c{view}")
                    for who in range(PEOPLE)
                    for view in range(VIEWS)
                ],
            )
        yield running.url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as made:
        yield made
        made.change_gallery("people", match_rate=None, uncertain_rate=None, prior=None)


def decided(score: float, comparisons: int, match: float = 0.01, uncertain: float = 0.1) -> str:
    """Of the handmade calibration: evidence 10 s - 5, strangers exceed ln(1/r) at the rate r."""
    evidence = 10 * score - 5
    if evidence > math.log(comparisons / match):
        return "match"
    return "uncertain" if evidence > math.log(comparisons / uncertain) else "unknown"


@pytest.mark.parametrize("unify", ["auto", "off"])
def test_results_have_the_probability_and_decision_of_their_score(client: Client, unify: str) -> None:
    answer = client.query("people", [encoded(person(WHO, view=50))], unify=unify)
    assert len(answer.results) == PEOPLE
    for result in answer.results:
        assert result.probability == pytest.approx(
            float(probability(10 * result.score - 5, 0.5 / PEOPLE)), abs=1e-6
        )
        assert result.decision == decided(result.score, PEOPLE * VIEWS)


def test_a_way_to_compare_that_is_not_calibrated_has_no_probability(client: Client) -> None:
    result = client.query("people", [encoded(person(WHO, view=50))], unify="fuse").results[0]
    assert (result.probability, result.decision) == (None, None)


def test_filters_leave_fewer_strangers(client: Client) -> None:
    filters = Filters(people=["p2", "p3"], cameras=["c0"])
    answer = client.query("people", [encoded(person(WHO, view=50))], unify="off", filters=filters)
    for result in answer.results:
        assert result.probability == pytest.approx(
            float(probability(10 * result.score - 5, 0.5 / 2)), abs=1e-6
        )
        assert result.decision == decided(result.score, 2)


def test_the_call_is_heard_before_the_gallery(client: Client) -> None:
    picture = encoded(person(WHO, view=50))
    score = client.query("people", [picture], top_k=1).results[0].score
    changed = client.change_gallery("people", match_rate=1e-9, uncertain_rate=1e-8, prior=0.25)
    assert (changed.match_rate, changed.uncertain_rate, changed.prior) == (1e-9, 1e-8, 0.25)
    assert client.gallery("people") == changed
    by_gallery = client.query("people", [picture], top_k=1).results[0]
    assert by_gallery.decision == decided(score, 15, 1e-9, 1e-8)
    assert by_gallery.probability == pytest.approx(float(probability(10 * score - 5, 0.05)), abs=1e-6)
    wishes = Decisions(match_rate=0.5, uncertain_rate=0.5, prior=0.9)
    by_call = client.query("people", [picture], top_k=1, decisions=wishes).results[0]
    assert by_call.decision == decided(score, 15, 0.5, 0.5)
    assert by_call.probability == pytest.approx(float(probability(10 * score - 5, 0.18)), abs=1e-6)
    again = client.change_gallery("people", match_rate=None, uncertain_rate=None)
    assert (again.match_rate, again.prior) == (None, 0.25)


def test_verifying_is_one_comparison(client: Client) -> None:
    same = [encoded(person(WHO, view=50)), encoded(person(WHO, view=51))]
    found = client.verify(same)
    assert found.probability == pytest.approx(float(probability(10 * found.score - 5, 0.5)), abs=1e-6)
    assert found.decision == decided(found.score, 1)
    other = client.verify([same[0], encoded(person(4, view=51))], decisions=Decisions(prior=0.1))
    assert other.probability == pytest.approx(float(probability(10 * other.score - 5, 0.1)), abs=1e-6)
    of_person = client.verify(same[:1], gallery="people", person="p2")
    assert of_person.decision == decided(of_person.score, VIEWS)
    assert of_person.probability == pytest.approx(float(probability(10 * of_person.score - 5, 0.5)), abs=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"match_rate": 0.0},
        {"match_rate": 5e-324},
        {"uncertain_rate": 1e-10},
        {"prior": 1.0},
        {"prior": 5e-324},
        {"prior": 1 - 1e-12},
        {"match_rate": 0.2, "uncertain_rate": 0.1},
        {"colour": 1},
    ],
)
def test_settings_that_cannot_be_are_refused(client: Client, changes: dict[str, float]) -> None:
    with pytest.raises(ProblemError) as refused:
        client.change_gallery("people", **changes)
    assert (refused.value.status, refused.value.slug) == (422, "invalid-request")
    assert client.gallery("people").match_rate is None


def test_a_change_that_contradicts_what_the_gallery_says_is_refused(client: Client) -> None:
    client.change_gallery("people", uncertain_rate=0.05)
    with pytest.raises(ProblemError, match="match_rate"):
        client.change_gallery("people", match_rate=0.2)
    assert client.gallery("people").match_rate is None


def test_an_unknown_gallery_cannot_be_changed(client: Client) -> None:
    with pytest.raises(ProblemError) as refused:
        client.change_gallery("nobody", prior=0.1)
    assert refused.value.slug == "unknown-gallery"


def test_the_model_shows_the_calibration_in_use(client: Client) -> None:
    extra = client.model().model_extra or {}
    assert extra["calibration"]["data"] == ["by hand"]


def test_the_command_shows_what_was_decided(url: str, tmp_path: Path) -> None:
    picture = tmp_path / "who.jpg"
    picture.write_bytes(encoded(person(WHO, view=50)))
    arguments = ["query", str(picture), "-g", "people", "--url", url, "--match-rate", "0.5"]
    shown = CliRunner().invoke(app, [*arguments, "--uncertain-rate", "0.5"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "probability" in shown.output
    assert "unknown" in shown.output
    said = CliRunner().invoke(app, ["galleries", "change", "people", "--prior", "0.3", "--url", url])
    assert said.output.splitlines()[-1].split() == ["prior", "0.3"]


def test_a_calibration_of_another_bundle_stops_the_start(tmp_path: Path) -> None:
    settings = with_calibration(tmp_path, fingerprint="f" * 64)
    result = CliRunner().invoke(
        app,
        [
            *("serve", "--port", "0", "--log-level", "error"),
            *("--bundle", str(settings.bundle), "--data-dir", str(tmp_path / "data")),
        ],
        env={"PENUMBRA_CALIBRATION": str(settings.calibration)},
    )
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    assert "not the bundle that is served" in line


def test_rates_that_contradict_inherited_ones_are_refused(client: Client) -> None:
    """The calibration's are 0.01 and 0.1; a call may state both."""
    picture = encoded(person(WHO, view=50))
    client.change_gallery("people", match_rate=0.4)
    for wishes in (Decisions(uncertain_rate=0.1), Decisions(match_rate=0.3)):
        with pytest.raises(ProblemError, match="must not be above uncertain_rate") as refused:
            client.query("people", [picture], decisions=wishes)
        assert refused.value.status == 422
        with pytest.raises(ProblemError, match="must not be above uncertain_rate"):
            client.verify([picture], gallery="people", person="p2", decisions=wishes)
        (answer,) = client.query_batch("people", [BatchQuery([picture], decisions=wishes)])
        assert answer.problem is not None
        assert answer.problem.status == 422
    with pytest.raises(ProblemError, match="the calibration's"):
        client.verify([picture, picture], decisions=Decisions(match_rate=0.3))
    assert client.query("people", [picture]).results
    assert client.query("people", [picture], decisions=Decisions(0.4, 0.4)).results
