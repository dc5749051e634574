"""What the OpenAPI page says of bodies."""

from __future__ import annotations

from pathlib import Path

from service.api.app import create_app
from tests.serving import handmade_settings


def test_no_body_that_changes_something_states_defaults_which_generated_clients_would_send(
    tmp_path: Path,
) -> None:
    page = create_app(handmade_settings(tmp_path)).openapi()
    bodies = [path["patch"]["requestBody"] for path in page["paths"].values() if "patch" in path]
    assert len(bodies) == 2
    for body in bodies:
        name = body["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
        for field, described in page["components"]["schemas"][name]["properties"].items():
            assert "default" not in described, (name, field)


def test_whatever_asks_to_come_again_later_says_when(tmp_path: Path) -> None:
    page = create_app(handmade_settings(tmp_path)).openapi()
    seen = 0
    for path in page["paths"].values():
        for operation in path.values():
            for status in ("429", "503", "507"):
                if (answer := operation["responses"].get(status)) is not None:
                    assert answer["headers"]["Retry-After"]["example"] >= 1
                    seen += 1
    assert seen > 50
