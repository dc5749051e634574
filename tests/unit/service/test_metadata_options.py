from __future__ import annotations

import pytest

from service.metadata_options import MetadataError, read_metadata


def test_text_stays_text_and_values_are_read_as_json() -> None:
    told = ["shift=night", "gate=4", "lane:=4", "indoor:=true", "at:=1.5", "url=a=b", "empty="]
    assert read_metadata(told) == {
        "shift": "night",
        "gate": "4",
        "lane": 4,
        "indoor": True,
        "at": 1.5,
        "url": "a=b",
        "empty": "",
    }
    assert read_metadata([]) == {}


@pytest.mark.parametrize(
    "wrong", ["night", "=night", ":=4", "gate:=four", "gate:=[4]", "gate:=null", "gate:=NaN", "gate:=1e999"]
)
def test_what_states_no_member_is_refused(wrong: str) -> None:
    with pytest.raises(MetadataError, match="key=text"):
        read_metadata([wrong])


def test_a_key_is_said_once() -> None:
    with pytest.raises(MetadataError, match="twice"):
        read_metadata(["gate=4", "gate:=4"])
