"""Every recipe of every preset can run: its groups exist in its network, its keys are its own."""

from functools import cache

import pytest
import torch

from prunelab import models
from prunelab.groups import trace
from prunelab.methods.base import choose
from prunelab.study import ledger
from prunelab.study.papers import filter_norm
from prunelab.study.recipes import PRESETS, SEEDS
from prunelab.study.tasks import Baseline, Count, Prune, Scratch

SHAPES = {
    "digits": (1, 28, 28), "mnist": (1, 28, 28), "cifar10": (3, 32, 32),
    filter_norm.IMAGENET: (3, 224, 224),
}  # fmt: skip


@cache
def groups_of(model, shape):
    return trace(models.build(model, 10, shape[0]), torch.zeros(1, *shape))


def of(preset):
    return [r for part in filter_norm.recipes(preset, SEEDS[preset]).values() for r in part]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_group_that_a_recipe_names_is_in_its_network(preset):
    for recipe in of(preset):
        task = recipe.task
        if isinstance(task, Baseline | Count):
            continue
        groups = groups_of(recipe.model, SHAPES[recipe.data])
        if isinstance(task, Prune | Scratch):
            assert choose(groups, task.method.ratios, task.method.residual), recipe.label
        elif task.groups == "first":
            assert groups.first_convolutions(), recipe.label
        else:
            assert len(groups.select(task.groups or groups)) >= 3, recipe.label


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_the_recipes_of_every_figure_and_table(preset):
    parts = filter_norm.recipes(preset, SEEDS[preset])
    assert set(parts) == {
        "counts", "accuracy", "imagenet", "norms", "scan", "residual", "orders", "criteria",
        "norm order", "retrained",
    }  # fmt: skip
    assert bool(parts.pop("imagenet")) == (preset == "paper")
    assert all(parts.values())


def test_no_two_presets_share_a_key_and_no_two_measurements_do():
    keys = {}
    for preset in PRESETS:
        for recipe in of(preset):
            keys.setdefault(recipe.key, set()).add((preset, recipe.label, recipe.seed))
    assert all(len(who) == 1 for who in keys.values())


def test_every_recipe_of_standard_has_its_row_in_the_committed_ledger():
    rows = ledger.read(ledger.COMMITTED / f"{filter_norm.STEM}.jsonl")
    assert {r.key for r in of("standard")} <= {row["key"] for row in rows}


def test_the_paper_preset_covers_every_row_of_table_1():
    parts = filter_norm.recipes("paper", (0,))
    for row, (model, rule) in filter_norm.TABLE_1.items():
        labels = {r.label for r in parts["imagenet" if model == "resnet-34" else "accuracy"]}
        assert (model if rule is None else row) in labels
    labels = {r.label for r in parts["accuracy"]}
    assert {"VGG-16-pruned-A scratch-E", "ResNet-110-pruned-B scratch-B"} <= labels


@pytest.mark.parametrize(
    ("part", "trained", "retrained"),
    [("accuracy", (160, 0.1, 128), (40, 0.001)), ("imagenet", (80, 0.1, 256), (20, 0.001))],
)
def test_the_paper_preset_trains_and_retrains_as_the_paper_says(part, trained, retrained):
    for recipe in filter_norm.recipes("paper", (0,))[part]:
        assert (recipe.budget.epochs, recipe.budget.lr, recipe.budget.batch) == trained
        if isinstance(recipe.task, Prune):
            assert (recipe.task.retrain.epochs, recipe.task.retrain.lr) == retrained
            assert recipe.task.retrain.schedule == "constant"


def test_the_rates_of_imagenet_fall_every_30_epochs():
    budget = filter_norm.recipes("paper", (0,))["imagenet"][0].budget
    rates = [budget.rate(epoch, 80) for epoch in (0, 29, 30, 59, 60, 79)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
