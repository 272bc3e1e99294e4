"""predict: what the curves say about any ratios."""

import pytest
from helpers.curves import IMAGES, priced, table

from prunelab import scores
from prunelab.sensitivity.budget.prediction import Prediction, predict
from prunelab.sensitivity.budget.price import Price


def curves():
    """Whole: 40 of 50 right. MACs 10 a b + 7, parameters 2 a + b."""
    made = Price({"a": 8, "b": 11}, {("a",): 2, ("b",): 1}, {(): 7, ("a", "b"): 10})
    return priced(made, 40, [("a", 0.2, 38), ("a", 0.6, 30), ("b", 0.5, 45)])


def rows():
    """The same network's rows without a price: savings add up."""
    return table(
        [("a", 0.0, 8, 40, 27, 887), ("a", 0.2, 6, 38, 23, 667), ("a", 0.6, 3, 30, 17, 337),
         ("b", 0.0, 11, 40, 27, 887), ("b", 0.5, 5, 45, 21, 407)]
    )  # fmt: skip


def test_nothing_pruned_is_the_whole_network():
    whole = Prediction(40 / IMAGES, 27, 887, {"a": 8, "b": 11})
    assert predict(curves(), {}) == predict(curves(), {"a": 0.0}) == whole
    assert predict(rows(), {}) == whole


def test_at_the_points_changes_add_up_and_costs_are_exact():
    said = predict(curves(), {"a": 0.6, "b": 0.5})
    assert said.accuracy == pytest.approx((40 - 10 + 5) / IMAGES)
    assert (said.params, said.macs) == (2 * 3 + 5, 7 + 10 * 3 * 5)
    assert said.kept == {"a": 3, "b": 5}


@pytest.mark.parametrize(
    ("ratio", "right"), [(0.1, 39), (0.2, 38), (0.4, 34), (0.5, 32), (0.6, 30), (0.9, 30)]
)
def test_between_points_a_straight_line_and_beyond_the_last_its_value(ratio, right):
    for frame in (curves(), rows()):
        assert predict(frame, {"a": ratio}).accuracy == pytest.approx(right / IMAGES)


@pytest.mark.parametrize("ratio", [0.05, 0.3, 0.55, 0.95])
def test_between_points_the_kept_channels_are_those_of_the_ratio(ratio):
    said = predict(curves(), {"a": ratio, "b": ratio})
    a, b = scores.kept(8, ratio), scores.kept(11, ratio)
    assert said.kept == {"a": a, "b": b}
    assert (said.params, said.macs) == (2 * a + b, 7 + 10 * a * b)


def test_a_row_says_how_many_channels_it_kept():
    frame = curves()
    frame.loc[0, ["kept", "params", "macs"]] = [7, 25, 777]  # rounded up by hand
    assert predict(frame, {"a": 0.2}).kept["a"] == 7
    assert predict(frame, {"a": 0.2}).macs == 777


def test_without_a_price_costs_are_straight_lines_and_add_up():
    said = predict(rows(), {"a": 0.4, "b": 0.25})
    assert said.macs == 887 - (887 - (667 + 337) // 2) - (887 - (887 + 407) // 2)
    assert said.params == 27 - (27 - (23 + 17) // 2) - (27 - (27 + 21) // 2)
    assert said.kept == {"a": 4, "b": 8}  # 4.5 and 8, rounded down


def test_a_change_can_be_larger_than_the_accuracy():
    frame = priced(Price({"a": 8, "b": 8}, {}, {}), 40, [("a", 0.5, 10), ("b", 0.5, 5)])
    assert predict(frame, {"a": 0.5, "b": 0.5}).accuracy == pytest.approx(-25 / IMAGES)


def test_a_row_without_channels_is_no_point():
    frame = rows()
    frame.loc[len(frame)] = {**frame.loc[2], "ratio": 0.9, "kept": 0, "correct": 1}
    assert predict(frame, {"a": 0.9}).kept["a"] == 3
    assert predict(frame, {"a": 0.9}).accuracy == pytest.approx(30 / IMAGES)


@pytest.mark.parametrize(
    ("ratios", "error", "message"),
    [
        ({"c": 0.5}, ValueError, "predict: no curve of group `c`; groups are a, b"),
        ({"a": 1.0}, ValueError, r"predict: `ratio` .* must be in \[0, 1\), got 1.0"),
        ({"a": -0.1}, ValueError, r"must be in \[0, 1\), got -0.1"),
        ({"a": float("nan")}, ValueError, r"must be in \[0, 1\), got nan"),
        ({"a": True}, ValueError, r"must be in \[0, 1\), got True"),
        ([0.5], TypeError, r"predict: `ratios` must be a mapping of groups to ratios; got \[0.5\]"),
    ],
)
def test_ratios_that_mean_nothing_are_refused_in_one_line(ratios, error, message):
    with pytest.raises(error, match=message) as caught:
        predict(curves(), ratios)
    assert "\n" not in str(caught.value)


def test_a_group_of_unknown_size_is_refused_only_where_its_size_matters():
    frame = rows()
    frame = frame[(frame.group == "a") | (frame.ratio > 0)]
    assert predict(frame, {"b": 0.5}).kept == {"a": 8, "b": 5}
    with pytest.raises(ValueError, match="has no row of group `b` with ratio 0, so its size is"):
        predict(frame, {"b": 0.25})


def test_curves_without_costs_are_refused():
    with pytest.raises(ValueError, match=r"predict: `curves` must have .*; no 'params' among"):
        predict(curves().drop(columns=["params", "macs"]), {})
