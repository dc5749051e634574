"""Overlays in a query's answer, through the real service and client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from service.cli import app
from service.client import AsyncClient, BatchQuery, Client, NewPicture, QueryAnswer
from service.overlays import MOST_RESULTS
from tests.drawings import encoded, person
from tests.handmade_bundle import write_handmade_bundle
from tests.serving import Serving, handmade_settings, serving

PEOPLE = 8
HALF = 128  # of an overlay's 256 rows


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A bundle with attention; the gallery ``kept`` keeps its pictures, ``bare`` does not."""
    folder = tmp_path_factory.mktemp("service")
    bundle = write_handmade_bundle(folder / "attentive.onnx", attention=True)
    with serving(handmade_settings(folder, bundle=bundle)) as running:
        with Client(running.url) as client:
            for gallery, keep in (("kept", True), ("bare", False)):
                client.create_gallery(gallery, keep_pictures=keep)
                client.enrol(gallery, [NewPicture(encoded(person(who)), f"p{who}") for who in range(PEOPLE)])
        yield running


@pytest.fixture
def client(service: Serving) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client


def pixels(png: bytes | None) -> np.ndarray:
    assert png is not None
    picture = Image.open(BytesIO(png))
    assert (picture.format, picture.size) == ("PNG", (128, 256))
    return np.asarray(picture.convert("RGB")).astype(float)


def resized(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.resize((128, 256), Image.Resampling.BICUBIC)).astype(float)


def near(one: np.ndarray, other: np.ndarray) -> bool:
    return float(np.abs(one - other).mean()) < 8


def asked(client: Client, gallery: str, **options: object) -> QueryAnswer:
    picture = encoded(person(2, view=9, hidden=4))  # bottom half
    return client.query(gallery, [picture], overlays=True, **options)  # type: ignore[arg-type]


def test_overlays_show_what_was_compared_of_either_side(client: Client) -> None:
    answer = asked(client, "kept")
    assert answer.query.occlusion.type == "bottom_half"
    query, gallery = resized(person(2, view=9, hidden=4)), resized(person(2))
    best = answer.results[0]
    assert (best.person, best.compared) == ("p2", "bottom_half")
    assert answer.query.overlay is not None
    assert best.overlay is not None
    for png, picture in (
        (answer.query.overlay.hidden, query),
        (best.overlay.query, query),
        (best.overlay.gallery, gallery),
    ):
        drawn = pixels(png)
        assert near(drawn[: HALF - 2], picture[: HALF - 2])
        assert not near(drawn[HALF:], picture[HALF:])
        assert drawn[HALF:].std() < gallery[HALF:].std()
    for png in (answer.query.overlay.attention, best.overlay.attention):
        assert not near(pixels(png), query)


def test_nothing_is_veiled_where_whole_pictures_are_compared(client: Client) -> None:
    answer = asked(client, "kept", unify="off")
    assert answer.query.overlay is not None
    assert answer.results[0].overlay is not None
    assert near(pixels(answer.query.overlay.hidden), resized(person(2, view=9, hidden=4)))
    for result in answer.results[:MOST_RESULTS]:
        assert result.overlay is not None
        assert near(pixels(result.overlay.gallery), resized(person(int(result.person[1:]))))


@pytest.mark.parametrize("unify", ["fuse", "top_half"])
def test_the_veil_is_over_what_compared_names(client: Client, unify: str) -> None:
    answer = asked(client, "kept", unify=unify)
    for result in answer.results[:MOST_RESULTS]:
        assert result.overlay is not None
        plain = resized(person(int(result.person[1:])))
        drawn = pixels(result.overlay.gallery)
        assert near(drawn, plain) == (result.compared == "none")
        if result.compared == "top_half":
            assert near(drawn[HALF + 2 :], plain[HALF + 2 :])


def test_only_the_best_results_have_overlays_and_only_where_asked(client: Client) -> None:
    answer = asked(client, "kept", top_k=PEOPLE)
    assert [result.overlay is not None for result in answer.results] == [
        place < MOST_RESULTS for place in range(PEOPLE)
    ]
    plain = client.query("kept", [encoded(person(2))], top_k=PEOPLE)
    assert plain.query.overlay is None
    assert {result.overlay for result in plain.results} == {None}


def test_a_gallery_that_keeps_no_pictures_has_none_to_draw_on(client: Client) -> None:
    answer = asked(client, "bare")
    assert answer.query.overlay is not None
    assert answer.query.overlay.attention is not None
    best = answer.results[0].overlay
    assert best is not None
    assert (best.gallery, best.attention) == (None, None)
    assert not near(pixels(best.query)[HALF:], resized(person(2, view=9, hidden=4))[HALF:])


def test_the_query_is_drawn_as_far_as_its_box_goes(client: Client) -> None:
    frame = Image.new("RGB", (200, 200), "black")
    frame.paste(person(5, view=3), (30, 40))
    answer = client.query("kept", [encoded(frame)], boxes=[(30, 40, 64, 128)], overlays=True)
    assert answer.query.overlay is not None
    assert near(pixels(answer.query.overlay.hidden), resized(person(5, view=3)))


def test_a_bundle_without_attention_says_none(tmp_path: Path) -> None:
    with serving(handmade_settings(tmp_path)) as running, Client(running.url) as client:
        client.create_gallery("kept", keep_pictures=True)
        client.enrol("kept", [NewPicture(encoded(person(2)), "p2")])
        answer = asked(client, "kept")
    assert answer.query.overlay is not None
    assert answer.results[0].overlay is not None
    assert answer.query.overlay.attention is None
    assert answer.results[0].overlay.attention is None
    assert answer.results[0].overlay.gallery is not None


def test_a_batch_gets_them_for_the_lines_that_ask(client: Client) -> None:
    picture = encoded(person(2, view=9, hidden=4))
    one, two = client.query_batch("kept", [BatchQuery([picture]), BatchQuery([picture], overlays=True)])
    assert one.answer is not None
    assert two.answer is not None
    assert one.answer.query.overlay is None
    assert two.answer.query.overlay == asked(client, "kept").query.overlay
    assert two.answer.results[0].overlay == asked(client, "kept").results[0].overlay


async def test_the_asynchronous_client_has_them_too(service: Serving) -> None:
    async with AsyncClient(service.url) as client:
        answer = await client.query("kept", [encoded(person(2))], overlays=True)
    assert answer.results[0].overlay is not None
    assert answer.results[0].overlay.gallery is not None


def test_many_at_once_are_all_drawn(service: Serving) -> None:
    async def all_of_them() -> list[QueryAnswer]:
        async with AsyncClient(service.url) as client, asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(client.query("kept", [encoded(person(who))], overlays=True))
                for who in range(PEOPLE)
            ]
        return [task.result() for task in tasks]

    answers = asyncio.run(all_of_them())
    for who, answer in enumerate(answers):
        assert answer.results[0].overlay is not None
        assert near(pixels(answer.results[0].overlay.gallery), resized(person(who)))


def test_who_waits_too_long_for_overlays_is_told(tmp_path: Path) -> None:
    with (
        serving(handmade_settings(tmp_path)) as running,
        httpx.Client(base_url=running.url, timeout=60) as http,
    ):
        http.post("/v1/galleries", json={"name": "g"})
        running.app.state.assembly.overlays._deadline_s = 0.0
        files = [("files", ("1", encoded(person(1))))]
        answer = http.post("/v1/galleries/g/query", files=files, data={"overlays": "true"})
        assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (504, "deadline-exceeded")
        assert http.post("/v1/galleries/g/query", files=files).status_code == 200


def test_the_command_writes_them_and_mixes_no_two_queries(service: Serving, tmp_path: Path) -> None:
    picture = tmp_path / "who.png"
    picture.write_bytes(encoded(person(2, view=9, hidden=4)))

    def ask(gallery: str, folder: Path) -> list[str]:
        ran = CliRunner().invoke(app, [*command, "-g", gallery, "--overlays", str(folder), "--json"])
        assert ran.exit_code == 0, ran.output
        assert "overlay" not in json.loads(ran.stdout)["results"][0]
        return sorted(path.name for path in folder.iterdir())

    command = ["query", str(picture), "--top-k", "2", "--url", service.url]
    kept, bare = tmp_path / "kept", tmp_path / "bare"
    bare.mkdir()
    of_the_query = ["query-attention.png", "query-hidden.png"]
    assert ask("kept", kept) == [
        *(f"{rank:02d}-{part}.png" for rank in (1, 2) for part in ("attention", "gallery", "query")),
        *of_the_query,
    ]
    pixels((kept / "01-gallery.png").read_bytes())
    assert ask("bare", bare) == ["01-query.png", "02-query.png", *of_the_query]
    refused = CliRunner().invoke(app, [*command, "-g", "bare", "--overlays", str(kept)])
    assert (refused.exit_code, "is not empty" in refused.stderr) == (2, True)
    assert (kept / "01-gallery.png").exists()


def test_pictures_of_odd_shapes_have_overlays_too(client: Client) -> None:
    def drawn(width: int, height: int) -> bytes:
        file = BytesIO()
        person(1).resize((width, height)).save(file, "PNG")
        return file.getvalue()

    client.create_gallery("odd", keep_pictures=True)
    pictures = [drawn(*size) for size in ((300, 1), (1, 600), (600, 10), (64, 128))]
    client.enrol("odd", [NewPicture(picture, f"p{place}") for place, picture in enumerate(pictures)])
    for picture in pictures:
        for unify in ("off", "fuse", "bottom_quarter"):
            answer = client.query("odd", [picture], overlays=True, unify=unify)
            assert answer.query.overlay is not None
            assert all(result.overlay is not None for result in answer.results)
    client.delete_gallery("odd")
