"""What a gallery's retention has ended for is erased, and what is in a gallery is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from service.client import Client, NewPicture
from service.retention import Sweeper, Swept
from service.storage.tables import ImageRow
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Its own sweeper never sweeps: the first time, at the start, could come as late as the test's sweep."""

    async def never(_: Sweeper) -> None:
        await asyncio.Event().wait()

    folder: Path = tmp_path_factory.mktemp("service")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Sweeper, "_work", never)
        with serving(handmade_settings(folder)) as running:
            yield running


def enrol(client: Client, gallery: str, who: int, name: str) -> str:
    id = client.enrol(gallery, [NewPicture(encoded(person(who)), name)])[0].id
    assert id is not None
    return id


def make_older(service: Serving, ids: list[str], days: float) -> None:
    database = service.app.state.assembly.galleries._parts.catalog.database
    then = datetime.now(UTC) - timedelta(days=days)
    database.transact(
        lambda session: session.execute(update(ImageRow).where(ImageRow.id.in_(ids)).values(enrolled_at=then))
    )


def test_only_what_is_past_its_gallerys_retention_is_erased(service: Serving) -> None:
    with Client(service.url) as client:
        client.create_gallery("forgetful", keep_pictures=True, retention_days=30)
        client.create_gallery("faithful")
        old = enrol(client, "forgetful", 1, "old")
        young = enrol(client, "forgetful", 2, "young")
        kept = enrol(client, "faithful", 3, "kept")
        make_older(service, [old, kept], 30.5)
        make_older(service, [young], 29.5)
        assembly = service.app.state.assembly
        sweeper = Sweeper(assembly.galleries._parts.catalog, assembly.galleries, assembly.audit, 365)
        # The service's parts live on its own loop; a sweep touches them by threads and futures alone.
        assert asyncio.run(sweeper.sweep()) == Swept(1, left=False)
        assert [picture.person for picture in client.images("forgetful")] == ["young"]
        assert [picture.person for picture in client.images("faithful")] == ["kept"]
        assert [result.person for result in client.query("forgetful", [encoded(person(1))]).results] == [
            "young"
        ]
        client.change_gallery("faithful", retention_days=7)
        assert asyncio.run(sweeper.sweep()).erased == 1
        assert client.gallery("faithful").retention_days == 7
        client.change_gallery("faithful", retention_days=None)
        assert client.gallery("faithful").retention_days is None


def test_statistics_count_what_is_there(service: Serving) -> None:
    with Client(service.url) as client:
        client.create_gallery("counted")
        assert client.statistics("counted").first_enrolled is None
        for who in range(3):
            enrol(client, "counted", who, "anna" if who else "ben")
        found = client.statistics("counted")
        assert (found.images, found.people, found.pending) == (3, 2, 0)
        assert sum(found.by_occlusion.values()) == 3
        dimension = client.model().dimension
        assert found.feature_bytes == 3 * 9 * dimension * 2
        assert found.first_enrolled is not None
        assert found.last_enrolled is not None
        assert found.first_enrolled <= found.last_enrolled
