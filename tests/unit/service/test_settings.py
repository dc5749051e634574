"""Settings: read from the environment once, frozen, and strict about arguments."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from pydantic import ValidationError

from service.settings import Settings, not_settings


def test_environment_is_read_under_the_prefix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PENUMBRA_PORT", "9000")
    monkeypatch.setenv("PENUMBRA_DATA_DIR", str(tmp_path))
    settings = Settings()
    assert settings.port == 9000
    assert settings.catalog_url == f"sqlite:///{tmp_path}/catalog.sqlite3"
    assert settings.pictures_url == f"file://{tmp_path}/pictures"


def test_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PENUMBRA_CATALOG_URL", "PENUMBRA_REDIS_URL", "PENUMBRA_OTLP_ENDPOINT", "PENUMBRA_PORT"):
        monkeypatch.delenv(name, raising=False)
    unset = Settings()
    for name in ("PENUMBRA_CATALOG_URL", "PENUMBRA_REDIS_URL", "PENUMBRA_OTLP_ENDPOINT", "PENUMBRA_PORT"):
        monkeypatch.setenv(name, "")
    assert Settings() == unset


def test_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENUMBRA_PORT", "9000")
    assert Settings(port=9001).port == 9001


def test_catalog_stays_where_it_is_said_to_be(tmp_path: Path) -> None:
    url = "postgresql+psycopg://db/p"
    assert Settings(data_dir=tmp_path, catalog_url=url).catalog_url == url


def test_a_queue_too_short_for_one_request_is_told_with_both_settings() -> None:
    with pytest.raises(ValidationError, match="lower max_files or raise queue_limit") as raised:
        Settings(queue_limit=16)
    assert [fault["loc"] for fault in raised.value.errors()] == [("max_files",)]
    assert Settings(queue_limit=16, max_files=16).queue_limit == 16


def test_settings_do_not_change_after_the_start() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


def test_a_stop_leaves_time_for_what_was_accepted_last() -> None:
    assert Settings().shutdown_grace_s > Settings().deadline_s


def test_argument_that_names_no_setting_is_an_error() -> None:
    with pytest.raises(ValidationError, match="colour"):
        Settings(colour="red")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 65_536},
        {"provider": "abacus"},
        {"deadline_s": 0},
        {"body_bytes_per_s": 0},
        {"max_files": 65},
        {"max_files": 64, "queue_limit": 63},
        {"max_query_files": 16, "queue_limit": 15, "max_files": 15},
        {"queue_limit": 1, "max_files": 1, "max_query_files": 1},
        {"max_pixels": 2 * (Image.MAX_IMAGE_PIXELS or 0) + 1},
        {"max_batch": 0},
        *({"redis_url": wrong} for wrong in ("localhost:6379", "foo", "redis://", "redis://h:x", "unix:")),
        *({"catalog_url": wrong} for wrong in ("mysql://h/c", "sqlite+aiosqlite:///x", "catalog.sqlite3")),
        *({"otlp_endpoint": wrong} for wrong in ("foo", "localhost:4318", "http://", "grpc://h:4317")),
        *(
            {"trusted_proxies": nonsense}
            for nonsense in (
                "*",
                "0.0.0.0/0",
                "::/0",
                "proxy.example",
                "10.0.0.1/8",
                "10.0.0.2,",
                "10.0.0.2;",
            )
        ),
    ],
)
def test_setting_out_of_its_range_is_an_error(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Settings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "right",
    [
        *(
            {"redis_url": url}
            for url in ("redis://h", "rediss://:p@h:1/0", "redis://[::1]:6379", "unix:///r")
        ),
        *({"catalog_url": url} for url in ("sqlite:////x", "postgresql+psycopg:///c")),
        *({"otlp_endpoint": url} for url in ("http://127.0.0.1:4318", "https://collector/otlp")),
    ],
)
def test_addresses_of_what_the_service_uses_are_taken_as_they_are(right: dict[str, str]) -> None:
    assert Settings(**right).model_dump().items() >= right.items()  # type: ignore[arg-type]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_an_address_of_postgresql_without_a_driver_is_told_which(scheme: str) -> None:
    with pytest.raises(ValidationError, match=r"write postgresql\+psycopg://"):
        Settings(catalog_url=f"{scheme}://db/p")


@pytest.mark.parametrize("field", ["catalog_url", "redis_url", "otlp_endpoint"])
def test_an_address_that_is_none_is_not_repeated_with_its_password(field: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Settings(**{field: "postgresql+psycopg:me:secret@host/penumbra"})  # type: ignore[arg-type]
    (fault,) = (one for one in raised.value.errors() if one["loc"] == (field,))
    assert "secret" not in fault["msg"]


def test_trusted_proxies_are_addresses_and_networks() -> None:
    assert Settings().proxies == []
    assert Settings(trusted_proxies=" 10.0.0.2, fd00::/64 ").proxies == ["10.0.0.2", "fd00::/64"]


@pytest.mark.parametrize("proxies", ["127.0.0.1", "10.0.0.0/8"])
def test_behind_a_proxy_loopback_is_reached_from_elsewhere(proxies: str) -> None:
    assert Settings(host="127.0.0.1").anonymous_may_ask
    assert not Settings(host="127.0.0.1", trusted_proxies=proxies).anonymous_may_ask
    assert Settings(host="127.0.0.1", trusted_proxies=proxies, allow_anonymous=True).anonymous_may_ask


def test_variables_that_are_nearly_settings_are_told_with_what_was_meant() -> None:
    environment = {
        "PENUMBRA_RATELIMIT": "600/minute",
        "penumbra_catalogue_url": "sqlite:////x",
        "PENUMBRA_COLOUR": "red",
        "PENUMBRA_PROT": "",
        **dict.fromkeys(("PENUMBRA_KEY", "PENUMBRA_URL", "PENUMBRA_RATE_LIMIT", "penumbra_port"), "x"),
    }
    assert not_settings(environment) == {
        "PENUMBRA_RATELIMIT": "PENUMBRA_RATE_LIMIT",
        "penumbra_catalogue_url": "PENUMBRA_CATALOG_URL",
        "PENUMBRA_COLOUR": None,
    }


@pytest.mark.parametrize("name", ["rate_limit", "refusal_limit"])
def test_a_rate_that_lets_nobody_in_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="lets nobody in"):
        Settings(**{name: "0/minute"})  # type: ignore[arg-type]
