from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symphony.operators import _charts as charts

SIZES = st.floats(min_value=0, max_value=1e15, allow_nan=False)
ANY_NUMBERS = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=200)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (999.6, "1.00 KB"),
        (1000, "1 KB"),
        (1536, "1.54 KB"),
        (15_360, "15.4 KB"),
        (153_600, "154 KB"),
        (2_000_000_000, "2 GB"),
        (3.2e21, "3200000 PB"),
    ],
)
def test_sizes_are_shown_with_three_digits(size: float, shown: str) -> None:
    assert charts.format_bytes(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 ms"),
        (0.0421, "42.1 ms"),
        (0.9999, "1.00 s"),
        (14.23, "14.2 s"),
        (59.99, "60.0 s"),
        (61, "1 min 1 s"),
        (3725, "1 h 2 min"),
    ],
)
def test_times_are_shown_in_the_unit_people_would_use(seconds: float, shown: str) -> None:
    assert charts.format_seconds(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"), [(1204, "1,204"), (1204.0, "1,204"), (0.12345, "0.123"), (-3, "-3")]
)
def test_counts_are_grouped_by_thousands(number: float, shown: str) -> None:
    assert charts.format_count(number) == shown


@given(SIZES)
def test_a_size_never_takes_much_room(size: float) -> None:
    assert len(charts.format_bytes(size)) <= 8


@given(st.floats(min_value=1e-9, max_value=1e12), st.sampled_from(["count", "bytes", "seconds"]))
def test_ticks_rise_from_zero_and_stay_on_the_axis(most: float, unit: charts.Unit) -> None:
    marks = charts.ticks(most, unit)
    places = [mark.at for mark in marks]
    assert places[0] == 0
    assert places == sorted(set(places))
    assert places[-1] <= 100 + 1e-6
    assert len(places) <= 6


def test_ticks_of_counts_are_whole() -> None:
    assert [mark.label for mark in charts.ticks(3, "count")] == ["0", "1", "2", "3"]


@given(ANY_NUMBERS, st.sampled_from(["linear", "log"]))
def test_every_number_is_counted_in_one_column(values: list[float], scale: charts.Scale) -> None:
    chart = charts.columns(values, scale, "count")
    drawn = sum(abs(value) < charts.LARGEST for value in values)
    assert sum(column.count for column in chart.columns) == chart.counted == drawn
    assert all(0 <= column.height <= 1 for column in chart.columns)
    assert (max(column.height for column in chart.columns) == 1) if drawn else not chart.columns


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=50))
def test_columns_fill_the_chart_side_by_side(sizes: list[int]) -> None:
    columns = charts.columns(sizes, "log", "bytes").columns
    assert columns[0].left == 0
    assert columns[-1].left + columns[-1].width == pytest.approx(100)
    for one, after in pairwise(columns):
        assert one.left + one.width == pytest.approx(after.left)
        assert one.high == after.low


def test_a_value_lies_in_the_column_whose_bounds_name_it() -> None:
    chart = charts.columns([0, 1, 2, 3, 5, 99, 100], "log", "count")
    counted = {(column.low, column.high): column.count for column in chart.columns}
    assert counted[("0", "1")] == 1
    assert counted[("2", "5")] == 2
    assert counted[("50", "100")] == 1
    assert counted[("100", "200")] == 1


def test_sizes_from_a_byte_to_a_terabyte_get_a_column_a_power_of_ten() -> None:
    chart = charts.columns([1, 10**12], "log", "bytes")
    assert len(chart.columns) == 13
    assert chart.columns[0].low == "1 B"
    assert chart.columns[-1].high == "10 TB"


def test_the_only_value_has_a_column_and_a_median() -> None:
    chart = charts.columns([42], "linear", "count")
    assert [column.count for column in chart.columns] == [1]
    assert chart.median == "42"


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=60))
def test_labels_below_columns_do_not_touch(sizes: list[int]) -> None:
    places = [tick.at for tick in charts.columns(sizes, "log", "bytes").ticks]
    assert all(
        later - place >= 100 * charts.LABEL_WIDTH - 1e-9 for place, later in pairwise(places)
    )


POINTS = st.lists(
    st.tuples(
        st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.text(max_size=3), st.sampled_from("abc")
    ),
    max_size=40,
)


@given(POINTS)
def test_markers_stay_inside_the_plot_and_keep_their_group(
    points: list[tuple[float, float, str, str]],
) -> None:
    chart = charts.markers(points, 300)
    assert len(chart.markers) == len(points)
    for marker, (_, _, label, group) in zip(chart.markers, points, strict=True):
        assert charts.EDGE - 1e-9 <= marker.left <= 100 - charts.EDGE + 1e-9
        assert charts.EDGE_PX - 1e-9 <= marker.top <= 300 - charts.EDGE_PX + 1e-9
        assert (marker.label, chart.legend[marker.group].name) == (label, group)
    assert sum(entry.count for entry in chart.legend) == len(points)


def test_larger_y_is_higher_up() -> None:
    low, high = charts.markers([(0, 0, "", ""), (0, 1, "", "")], 300).markers
    assert high.top < low.top
    assert low.left == high.left == 50


def test_a_point_that_is_no_number_is_left_out() -> None:
    chart = charts.markers([(math.nan, 0, "lost", "a"), (1, 2, "kept", "b")], 300)
    assert [marker.label for marker in chart.markers] == ["kept"]
    assert [entry.name for entry in chart.legend] == ["b"]
