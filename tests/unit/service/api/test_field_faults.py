"""What validation found is said in words for the caller."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from service.api.field_faults import field_faults, said
from service.api.schemas.pictures import Item
from service.api.schemas.verification import VerifyForm


def faults_of(kind: Any, value: dict[str, Any]) -> list[Any]:
    with pytest.raises(ValidationError) as raised:
        kind.model_validate_json(json.dumps(value))
    return raised.value.errors()


def test_a_fault_of_the_whole_has_no_field_before_it() -> None:
    text = said(field_faults(faults_of(VerifyForm, {"match_rate": "0.5", "uncertain_rate": "0.1"})))
    assert text == "match_rate (0.5) must not be above uncertain_rate (0.1)"


def test_a_fault_within_is_named_from_the_request() -> None:
    faults = field_faults(faults_of(Item, {"person": "..", "box": [1, 2, -3, 4]}), ("items", 2))
    assert [fault.field for fault in faults] == ["items[2].person", "items[2].box[2]"]
    assert faults[0].message.startswith("'.' and '..' mean something else")
    assert said(faults, most=1) == f"items[2].person: {faults[0].message} (and 1 more)"


def test_patterns_are_told_in_words() -> None:
    faults = field_faults(faults_of(VerifyForm, {"gallery": "Shop", "person": ""}))
    assert [(fault.field, fault.message.split(",")[0]) for fault in faults] == [
        ("gallery", "Must be 1 to 64 lower-case letters"),
        ("person", "Must be 1 to 256 characters"),
    ]
