"""Fields of methods: switches, empty mappings, and numbers that are none."""

from dataclasses import fields, replace

import pytest
import torch
from helpers.valid_calls import BUDGET, CASES, METHODS

from prunelab import methods

MADE = {name: getattr(methods, name)(**CASES[f"methods.{name}"]()) for name in METHODS}
FIELDS = [(name, f.name, f.type) for name, made in MADE.items() for f in fields(made)]
# Booleans are no numbers, words and tensors neither.
NO_NUMBERS = (True, "0.5", "", b"1", [0.5], float("nan"), float("inf"), torch.tensor(0.5), 10**400)


def refused(name, field, value):
    message = rf"^{name}: (?!.*\n).*{field[:-1]}.*got "
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        replace(MADE[name], **{field: value})
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name, field", [(n, f) for n, f, kind in FIELDS if "bool" in str(kind)])
def test_a_switch_takes_true_or_false_and_nothing_else(name, field):
    for value in ("no", "", 0, 1, None, 0.0, [], torch.tensor(True)):
        refused(name, field, value)
    for value in (True, False):
        assert getattr(replace(MADE[name], **{field: value}), field) is value


def test_there_is_a_switch():
    assert ("NetworkSurgery", "splice", "bool") in FIELDS


@pytest.mark.parametrize(
    "name, field",
    [(n, f) for n, f, kind in FIELDS if "Mapping" in str(kind) or "Ratios" in str(kind)],
)
def test_what_may_go_by_name_needs_one_name_and_numbers(name, field):
    if (name, field) == ("Magnitude", "q"):
        return  # its other choice is `ratios`; see test_magnitude_refusals
    refused(name, field, {})
    for value in NO_NUMBERS:
        refused(name, field, value)
        refused(name, field, {"fc1": value})


@pytest.mark.parametrize("name, field", [(n, f) for n, f, kind in FIELDS if str(kind) == "float"])
def test_a_number_is_a_finite_number(name, field):
    for value in (*NO_NUMBERS, None, {}):
        refused(name, field, value)


def test_magnitude_by_deviation_needs_a_name_too():
    for value in ({}, *NO_NUMBERS):
        with pytest.raises(ValueError, match=r"^Magnitude: `q` must be a number >= 0, or such"):
            methods.Magnitude(q=value)
    assert methods.Magnitude(q={"fc1": 1}, retrain=BUDGET).q == {"fc1": 1}
