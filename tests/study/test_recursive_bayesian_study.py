"""RBP's study: what is run, how its strengths are chosen, and what its tables may say."""

import json
from dataclasses import replace

import pytest
import torch
from helpers.real_data import some_photos
from helpers.studies import row_of, texts
from torch import nn

from prunelab import data, models, plots, widgets
from prunelab.methods import RecursiveBayesian
from prunelab.study.papers.recursive_bayesian import ARMS, SETTINGS, STUDY, views
from prunelab.study.tasks import Prune
from prunelab.study.work import Work

SEVEN = tuple(range(7))
LENET = SETTINGS["paper"][0]


def test_all_arms_train_for_as_many_epochs_and_penalise_as_they_say():
    tasks = {arm: LENET.prune(arm, 10.0) for arm in ARMS}
    noisy = {}
    for arm, task in tasks.items():
        stages = 3 if task.method.order in ("forward", "reverse") else 1
        noisy[arm] = task.method.budget.epochs
        assert stages * noisy[arm] + task.retrain.epochs == 3 * LENET.epochs + LENET.tune
    assert noisy == {"forward": 8, "reverse": 8, "at once": 8, "throughout": 24}


def test_there_are_five_fresh_seeds_of_each_arm_and_two_that_choose():
    parts = STUDY.recipes("standard", SEVEN)
    arms = [recipe for recipe in parts["arms"] if recipe.model == LENET.model]
    assert len(arms) == 7 * len(ARMS) and LENET.seen == 2
    others = [recipe for recipe in parts["candidates"] if recipe.model == LENET.model]
    assert len(others) == 2 * len(ARMS) * (len(LENET.grid) - 1)
    assert all(LENET.taken[arm] in LENET.grid for arm in ARMS)


def test_further_strengths_rise_by_root_2_from_the_largest_that_the_first_list_allows():
    lenet_5 = SETTINGS["paper"][1]
    for arm in ARMS:
        first = {"throughout": 20}.get(arm, 40)
        steps = [round(first * 2 ** (k / 2)) for k in (1, 2, 3)]
        further = list(lenet_5.strengths(arm)[len(lenet_5.grid) :])
        assert further and further == steps[: len(further)]
        assert lenet_5.taken[arm] in lenet_5.strengths(arm)


def test_the_shapes_reach_the_two_printed_reductions_and_claim_no_error():
    parts = STUDY.recipes("quick", (0,))["counts"]
    rows = [row_of(recipe, recipe.task.run(models.build(recipe.model, 1000), None, Work()))
            for recipe in parts]  # fmt: skip
    table = texts(STUDY, rows)["Shapes at ImageNet's size; errors are not measured"]
    assert list(table.network) == ["VGG-16", "ResNet-50"]
    assert list(table["times fewer MACs, printed"]) == ["5.0", "2.2"]
    assert all(
        float(ours) >= float(shown)
        for shown, ours in zip(table["times fewer MACs, printed"], table["times fewer MACs, ours"])
    )
    assert set(table.error) == {"not measured"}


@pytest.fixture(scope="module")
def played():
    """Rows of the toy and of one arm on digits, in two stages of a short run."""
    recipes = STUDY.recipes("smoke", (0,))
    digits, rows = data.load("digits"), []
    arm = next(r for r in recipes["arms"] if r.label == "forward")
    for recipe, split in ((recipes["toy"][0], data.load("xor")), (arm, digits)):
        torch.manual_seed(0)
        classes = {"xor": 2, "digits": 10}[recipe.data]
        values = recipe.task.run(models.build(recipe.model, classes), split, Work())
        assert json.loads(json.dumps(values, allow_nan=False)) == values
        rows.append(row_of(recipe, values))
    return rows


def test_a_row_tells_stages_and_the_history_of_the_fine_tuning(played):
    toy, arm = (row["values"] for row in played)
    assert list(dict.fromkeys(point["stage"] for point in toy["course"])) == ["fc1", "fc2"]
    assert [len(means) for means in toy["course"][0]["mean"].values()] == [3, 2]
    assert "mean" not in arm["course"][0]
    assert set(arm["course"][0]["log_ratio"]) == {"fc1.inputs"}
    assert [point["step"] for point in arm["course"]] == sorted(p["step"] for p in arm["course"])
    assert arm["history"][-1]["epoch"] == 1
    assert toy["widths"] == toy["course"][-1]["widths"]


def test_figures_and_player_take_what_was_recorded(played):
    points = views.toy(played)
    assert set(points.place[points.noisy & (points.epoch < 8)]) == {"fc1"}
    assert len(plots.means(points, 0.05).axes) == 2
    smoke = SETTINGS["smoke"][0]
    where = smoke.model, smoke.data
    noise = views.noise(played, *where)
    assert list(dict.fromkeys(noise.place)) == ["fc1.inputs", "fc1", "fc2"]
    assert noise.groupby("place").epoch.min().to_dict() == {"fc1.inputs": 0, "fc1": 1, "fc2": 2}
    assert list(dict.fromkeys(views.widths(played, *where).place)) == ["fc1.inputs", "fc1", "fc2"]
    box = widgets.stage_player(views.played(played, [*SETTINGS["smoke"], *SETTINGS["standard"]]))
    assert list(box.run.options) == [
        "forward, mlp-2-3-2-1 on xor",
        "forward, lenet-300-100 on digits",
    ]
    box.slider.value = box.slider.max
    assert "decided" in box.text.value
    assert list(views.frontier(played, *where).method) == ["forward"]


@pytest.mark.parametrize("label", ["VGG-16", "ResNet-50"])
def test_the_recipe_of_imagenet_runs_on_a_folder_of_real_photographs(label, tmp_path, monkeypatch):
    some_photos(tmp_path / "imagenet", kinds=2, train=5)
    monkeypatch.setenv("PRUNELAB_DATA", str(tmp_path))
    (recipe,) = (r for r in STUDY.recipes("paper", (0,))["imagenet"] if r.label == label)
    # In float32: a processor without bfloat16 takes minutes for VGG-16.
    method = recipe.task.method
    short = replace(recipe.budget, epochs=1, batch=2, precision="float32")
    assert isinstance(method, RecursiveBayesian) and method.order == "forward"
    net, images = models.build(recipe.model, 2), data.load(recipe.data)
    names = list(method.gated(net, images).gates)
    assert len(names) == {"VGG-16": 15, "ResNet-50": 33}[label]
    brief = replace(method, budget=replace(short, epochs=0.1), order="together", beta=1.0)
    values = Prune(brief, short).run(net, images, Work())
    assert values["history"][-1]["epoch"] == 1 and set(values["widths"]) == set(names)


def test_every_stage_of_the_recipe_of_imagenet_runs_on_a_folder(tmp_path, monkeypatch):
    """On a small network: a stage for each of VGG-16's places would take minutes."""
    some_photos(tmp_path / "imagenet", kinds=2, train=5)
    monkeypatch.setenv("PRUNELAB_DATA", str(tmp_path))
    recipe = STUDY.recipes("paper", (0,))["imagenet"][0]
    short = replace(recipe.budget, epochs=1, batch=2, precision="float32")
    net = nn.Sequential(
        nn.Conv2d(3, 4, 7, 8), nn.ReLU(), nn.Conv2d(4, 4, 3, 2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2),
    )  # fmt: skip
    task = Prune(replace(recipe.task.method, budget=short), short)
    values = task.run(net, data.load(recipe.data), Work())
    assert list(dict.fromkeys(point["stage"] for point in values["course"])) == ["0", "2"]
    assert values["history"][-1]["epoch"] == 1
