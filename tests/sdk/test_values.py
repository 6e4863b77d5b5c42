from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symphony.commons.values import Value
from symphony.ipc import decode_body, encode_body
from symphony.sdk import BadValue, check_value

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
BAD = [
    math.nan,
    math.inf,
    -math.inf,
    b"raw",
    bytearray(b"raw"),
    (1, b"raw"),
    {1, 2},
    2**64,
    -(2**63) - 1,
    "odd\udc80",
    datetime(2026, 1, 1, tzinfo=UTC),
    Path("/"),
    1j,
    object(),
    {1: "number as key"},
    {None: "nothing as key"},
    {"odd\udc80": 1},
]


def reason_for(value: object) -> str:
    with pytest.raises(BadValue) as caught:
        check_value("ext", "scores", value)
    assert (caught.value.extension, caught.value.port) == ("ext", "scores")
    return caught.value.reason


@given(values)
def test_values_that_pass_survive_both_formats(value: Value) -> None:
    assert check_value("ext", "port", value) is value
    assert decode_body(encode_body(value), object) == value
    assert json.loads(json.dumps(value, allow_nan=False)) == value


@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_what_json_cannot_hold_is_refused_wherever_it_is(bad: object) -> None:
    for value in (bad, [bad], {"a": bad}, [1, {"a": [None, bad]}]):
        assert reason_for(value)


@given(values, st.sampled_from(BAD))
def test_a_fault_behind_good_values_is_found(good: Value, bad: object) -> None:
    assert reason_for({"good": good, "bad": [good, bad]}).endswith((")",))


def test_a_tuple_passes_as_a_list() -> None:
    value = check_value("ext", "port", {"a": (1, ("b",))})
    assert decode_body(encode_body(value), object) == {"a": [1, ["b"]]}


def test_the_place_of_a_fault_is_told() -> None:
    assert reason_for({"rows": [{"x": 1.0}, {"x": math.nan}]}) == (
        "nan is not a JSON number (at .rows[1].x)"
    )
    assert reason_for([b""]) == "bytes is not a JSON value (at [0])"
    assert reason_for(Path("/")).endswith("PosixPath is not a JSON value")


def test_nesting_has_a_limit_and_cycles_end() -> None:
    nested: list[object] = []
    for _ in range(99):
        nested = [nested]
    assert check_value("ext", "port", nested) is nested
    assert "deeper than 100" in reason_for([nested])
    cycle: list[object] = []
    cycle.append(cycle)
    assert "deeper than 100" in reason_for(cycle)
