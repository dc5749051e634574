"""Who may reach the service: this machine only, unless the settings say otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.api.serve import ServeRefused, refuse_open_door
from service.settings import Settings
from service.storage.database import Database
from service.storage.keys import Keys


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_loopback_needs_no_permission(host: str) -> None:
    refuse_open_door(Settings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "penumbra.example", ""])
def test_any_other_address_needs_permission(host: str, tmp_path: Path) -> None:
    with pytest.raises(ServeRefused, match="PENUMBRA_ALLOW_ANONYMOUS"):
        refuse_open_door(Settings(host=host, data_dir=tmp_path))
    refuse_open_door(Settings(host=host, data_dir=tmp_path, allow_anonymous=True))


def test_loopback_behind_a_proxy_is_reached_from_elsewhere(tmp_path: Path) -> None:
    behind = Settings(host="127.0.0.1", data_dir=tmp_path, trusted_proxies="127.0.0.1")
    with pytest.raises(ServeRefused, match="PENUMBRA_TRUSTED_PROXIES"):
        refuse_open_door(behind)
    assert list(tmp_path.iterdir()) == []
    refuse_open_door(behind.model_copy(update={"allow_anonymous": True}))
    database = Database(behind.catalog_url)
    Keys(database).create("operator", "admin")
    database.close()
    refuse_open_door(behind)
