"""What validation found is said in words for the caller."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from service.api.field_faults import refuse_crowds, told
from service.api.schemas.pictures import Item
from service.api.schemas.verification import VerifyForm
from service.problems import BadRequest


def faults_of(kind: Any, value: dict[str, Any]) -> list[Any]:
    with pytest.raises(ValidationError) as raised:
        kind.model_validate_json(json.dumps(value))
    return raised.value.errors()


def test_a_fault_of_the_whole_has_no_field_before_it() -> None:
    text, _ = told(faults_of(VerifyForm, {"match_rate": "0.5", "uncertain_rate": "0.1"}))
    assert text == "match_rate (0.5) must not be above uncertain_rate (0.1)"


def test_a_fault_within_is_named_from_the_request() -> None:
    text, faults = told(faults_of(Item, {"person": "..", "box": [1, 2, -3, 4]}), ("items", 2))
    assert [fault["field"] for fault in faults] == ["items[2].person", "items[2].box[2]"]
    assert faults[0]["message"].startswith("'.' and '..' mean something else")
    assert text == "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)


def test_of_many_faults_the_first_are_told_and_the_rest_counted() -> None:
    text, faults = told(faults_of(Item, {"person": "p", **{f"unknown {n}": n for n in range(3000)}}))
    assert len(faults) == 1000
    assert text.count("Extra inputs") == 10
    assert text.endswith(" (and 2990 more)")


def test_patterns_are_told_in_words() -> None:
    _, faults = told(faults_of(VerifyForm, {"gallery": "Shop", "person": ""}))
    assert [(fault["field"], fault["message"].split(",")[0]) for fault in faults] == [
        ("gallery", "Must be 1 to 64 lower-case letters"),
        ("person", "Must be 1 to 256 characters"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        [0] * 10_001,
        {str(n): 0 for n in range(10_001)},
        {"boxes": [0] * 10_001},
        [{"metadata": {str(n): [] for n in range(200)}} for _ in range(64)],
    ],
)
def test_what_may_have_ten_thousand_faults_is_not_looked_at(value: Any) -> None:
    with pytest.raises(BadRequest, match="items has more than 10000 values"):
        refuse_crowds(json.dumps(value), "items")


def test_members_of_one_name_are_as_many_as_there_are() -> None:
    with pytest.raises(BadRequest):
        refuse_crowds("{" + '"a":0,' * 10_000 + '"a":0}', "The line")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"metadata": {str(n): n for n in range(64)}, "box": [1, 2, 3, 4]} for _ in range(64)]),
        json.dumps([{"metadata": {"own": [0] * 2000}} for _ in range(64)]),
        json.dumps({"pictures": ["A" * 100_000] * 16, "people": ["p"] * 1000}),
        "[0," * 10_000,
        "[" * 100_000,
        b"\xff" * 20_000,
    ],
)
def test_whatever_is_no_crowd_is_for_others_to_judge(text: str | bytes) -> None:
    refuse_crowds(text, "items")
