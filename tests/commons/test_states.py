from __future__ import annotations

from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symphony.commons.errors import Category
from symphony.commons.states import Change, InvalidTransition, Machine, Transitions


class Lamp(StrEnum):
    OFF = "off"
    ON = "on"
    BROKEN = "broken"


LAMP = Transitions(Lamp, {Lamp.OFF: {Lamp.ON}, Lamp.ON: {Lamp.OFF, Lamp.BROKEN}})


def test_machine_follows_its_table_and_remembers_why() -> None:
    lamp = Machine(Lamp.OFF, LAMP)
    lamp.to(Lamp.ON, reason="dusk")
    lamp.to(Lamp.BROKEN)
    assert lamp.state is Lamp.BROKEN
    assert lamp.history == (
        Change(Lamp.OFF, Lamp.ON, "dusk"),
        Change(Lamp.ON, Lamp.BROKEN, ""),
    )


def test_refused_transition_names_both_states_and_the_ways_out() -> None:
    lamp = Machine(Lamp.ON, LAMP, subject="lamp 7")
    with pytest.raises(InvalidTransition) as caught:
        lamp.to(Lamp.ON)
    assert str(caught.value) == "lamp 7 is on and cannot become on."
    assert caught.value.hint == "From here it can become: broken, off."
    record = caught.value.record()
    assert (record.code, record.category) == ("commons.invalid_transition", Category.CONFLICT)
    assert record.facts == {"current": "on", "wanted": "on", "subject": "lamp 7"}


def test_refused_transition_changes_nothing_and_tells_nobody() -> None:
    told: list[Change[Lamp]] = []
    lamp = Machine(Lamp.OFF, LAMP, on_change=[told.append])
    with pytest.raises(InvalidTransition):
        lamp.to(Lamp.BROKEN)
    assert (lamp.state, lamp.history, told) == (Lamp.OFF, (), [])


def test_state_without_a_row_is_final_and_says_so() -> None:
    assert LAMP.final == {Lamp.BROKEN}
    with pytest.raises(InvalidTransition) as caught:
        LAMP.check(Lamp.BROKEN, Lamp.ON)
    assert str(caught.value) == "Lamp is broken and cannot become on."
    assert caught.value.hint == "This state is final."


def test_listeners_hear_of_a_change_in_order_and_after_it() -> None:
    heard: list[tuple[str, Lamp]] = []
    lamp: Machine[Lamp] = Machine(
        Lamp.OFF,
        LAMP,
        on_change=[
            lambda _: heard.append(("first", lamp.state)),
            lambda change: heard.append(("second", change.after)),
        ],
    )
    lamp.to(Lamp.ON)
    assert heard == [("first", Lamp.ON), ("second", Lamp.ON)]


def test_listener_may_move_the_machine_on() -> None:
    def switch_off(change: Change[Lamp]) -> None:
        if change.after is Lamp.ON:
            lamp.to(Lamp.OFF)

    lamp: Machine[Lamp] = Machine(Lamp.OFF, LAMP, on_change=[switch_off])
    lamp.to(Lamp.ON)
    assert [change.after for change in lamp.history] == [Lamp.ON, Lamp.OFF]


def test_failing_listener_is_heard_by_the_caller_with_the_change_made() -> None:
    def complain(_: Change[Lamp]) -> None:
        raise LookupError("no bulb")

    lamp = Machine(Lamp.OFF, LAMP, on_change=[complain])
    with pytest.raises(LookupError):
        lamp.to(Lamp.ON)
    assert lamp.state is Lamp.ON


def test_history_keeps_only_the_last_changes() -> None:
    lamp = Machine(Lamp.OFF, LAMP, history_limit=3)
    for _ in range(10):
        lamp.to(Lamp.ON)
        lamp.to(Lamp.OFF)
    assert [change.after for change in lamp.history] == [Lamp.OFF, Lamp.ON, Lamp.OFF]


@given(st.lists(st.sampled_from(Lamp), max_size=30))
def test_machine_is_where_the_allowed_steps_lead_and_nowhere_else(steps: list[Lamp]) -> None:
    lamp = Machine(Lamp.OFF, LAMP)
    expected = Lamp.OFF
    for wanted in steps:
        if LAMP.allows(expected, wanted):
            lamp.to(wanted)
            expected = wanted
        else:
            with pytest.raises(InvalidTransition):
                lamp.to(wanted)
        assert lamp.state is expected
