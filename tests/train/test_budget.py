import json
import math
import re
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from prunelab.train import Budget


def rates(budget, steps):
    return [budget.rate(step, steps) for step in range(steps)]


def torch_rates(make, steps):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    schedule, out = make(optimizer), []
    for _ in range(steps):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return out


def test_step_schedule_equals_torchs_multi_step():
    make = lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [50, 75])  # noqa: E731
    assert rates(Budget(1, schedule="step"), 100) == pytest.approx(torch_rates(make, 100))


def test_cosine_schedule_equals_torchs_cosine():
    make = lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 40)  # noqa: E731
    assert rates(Budget(1, schedule="cosine"), 40) == pytest.approx(torch_rates(make, 40))


def test_inverse_schedule_is_caffes():
    found = rates(Budget(1, lr=0.01, schedule="inverse"), 1000)
    assert found == pytest.approx([0.01 * (1 + 1e-4 * step) ** -0.75 for step in range(1000)])


def test_onecycle_schedule_follows_torchs_one_cycle():
    make = lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, 1000)  # noqa: E731
    ours, theirs = rates(Budget(1, schedule="onecycle"), 1000), torch_rates(make, 1000)
    # torch reaches its ends one step earlier, so the curves are shifted by less than one step.
    assert ours == pytest.approx(theirs, abs=0.001)
    assert max(ours) == pytest.approx(0.1)


def test_linear_schedule_is_flat_and_then_equals_torchs_linear():
    make = lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.0, 30)  # noqa: E731
    found = rates(Budget(1, schedule="linear", milestones=(0.25,)), 40)
    assert found[:10] == [0.1] * 10
    assert found[10:] == pytest.approx(torch_rates(make, 30))
    assert found[-1] == pytest.approx(0.1 / 30)


@pytest.mark.parametrize("milestones", [(0.5,), (0.5, 0.75), [0.5, 0.6, 0.9]])
def test_linear_schedule_looks_at_the_first_milestone_only(milestones):
    found = rates(Budget(1, lr=1.0, schedule="linear", milestones=milestones), 8)
    assert found == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


def test_linear_schedule_falls_from_between_two_steps_too():
    found = rates(Budget(1, lr=1.0, schedule="linear", milestones=(0.3,)), 5)  # flat until 1.5
    assert found == pytest.approx([1, 1, 3 / 3.5, 2 / 3.5, 1 / 3.5])
    assert rates(Budget(1, lr=1.0, schedule="linear", milestones=(0.9,)), 1) == [1.0]


def test_warmup_and_linear_schedule_multiply():
    budget = Budget(1, lr=1.0, schedule="linear", milestones=(0.2,), warmup=0.4)
    assert rates(budget, 10) == pytest.approx(
        [0.25, 0.5, 0.75, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    )


def test_warmup_grows_linearly_and_ends():
    assert rates(Budget(1, lr=1.0, warmup=0.4), 10) == pytest.approx([0.25, 0.5, 0.75] + [1] * 7)


def test_scaled_multiplies_only_the_epochs():
    budget = Budget(epochs=8, schedule="cosine")
    assert budget.scaled(0.25) == replace(budget, epochs=2)


def test_budget_survives_json():
    budget = Budget(epochs=1.5, schedule="step", milestones=(0.3, 0.6))
    assert Budget(**json.loads(json.dumps(asdict(budget)))) == budget


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("epochs", 0, "> 0"),
        ("epochs", math.nan, "> 0"),
        ("lr", -0.1, "> 0"),
        ("lr", "0.1", "> 0"),
        ("batch", 1, "an integer >= 2"),
        ("batch", 2.5, "an integer >= 2"),
        ("optimizer", "lion", "one of sgd, adam"),
        ("momentum", 1.0, r"in \[0, 1\)"),
        ("weight_decay", -1, ">= 0"),
        ("schedule", "poly", "one of constant, step, cosine, onecycle, inverse, linear"),
        ("milestones", (0.7, 0.5), r"ascending fractions of the run in \(0, 1\)"),
        ("gamma", 2, r"in \(0, 1\]"),
        ("warmup", 1, r"in \[0, 1\)"),
        ("augment", "mixup", "one of none, flip, crop-flip, resized-crop-flip"),
        ("precision", "float16", "one of float32, bfloat16"),
    ],
)
def test_bad_budget_is_named_in_one_line(field, value, allowed):
    with pytest.raises(ValueError, match=rf"^Budget: `{field}` must be {allowed}; got .*$"):
        Budget(**({"epochs": 1} | {field: value}))


@pytest.mark.parametrize(
    "fields",
    [
        {"nesterov": True, "momentum": 0},
        {"nesterov": True, "optimizer": "adam"},
        {"warmup": 0.1, "schedule": "onecycle"},
        {"milestones": (), "schedule": "linear"},
    ],
)
def test_budget_refuses_fields_that_contradict_each_other(fields):
    (field, *_) = fields
    with pytest.raises(ValueError, match=rf"^Budget: `{field}` must be .*; got "):
        Budget(1, **fields)


def test_other_schedules_need_no_milestone():
    assert rates(Budget(1, schedule="step", milestones=()), 3) == [0.1] * 3


@pytest.mark.parametrize(
    "field", [{"nesterov": "False"}, {"channels_last": "no"}, {"milestones": None},
              {"milestones": "ab"}, {"milestones": 0.5}, {"milestones": ("a",)}],
)  # fmt: skip
def test_a_field_of_another_type_is_named(field):
    ((name, value),) = field.items()
    said = re.escape(repr(value))
    with pytest.raises(ValueError, match=f"Budget: `{name}` must be .*; got {said}"):
        Budget(epochs=1, lr=0.1, **field)
