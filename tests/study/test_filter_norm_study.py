"""PFEC: every recipe can run, every printed count follows, and the tables say what rows hold."""

import json
from dataclasses import replace
from functools import cache

import pandas as pd
import pytest
import torch
from helpers.studies import row_of, texts

from prunelab import models
from prunelab.groups import trace
from prunelab.methods.base import choose
from prunelab.models import build
from prunelab.study import printed
from prunelab.study.networks import IMAGENET
from prunelab.study.papers.filter_norm import STUDY, TABLE_1
from prunelab.study.recipes import PRESETS, SEEDS
from prunelab.study.tasks import Baseline, Count, Prune, Scratch
from prunelab.study.work import Work

SHAPES = {
    "digits": (1, 28, 28),
    "mnist": (1, 28, 28),
    "cifar10": (3, 32, 32),
    IMAGENET: (3, 224, 224),
}
COMPUTED = pd.read_csv(printed.PAPERS / "filter_norm" / "configs_computed.csv")
PRINTED = STUDY.printed("table1_overall").dropna(subset="flop").set_index("model")
TABLE_2 = STUDY.printed("table2_vgg16_layers")


@cache
def groups_of(model, shape):
    return trace(models.build(model, 10, shape[0]), torch.zeros(1, *shape))


def of(preset):
    return [r for part in STUDY.recipes(preset, SEEDS[preset]).values() for r in part]


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
    parts = STUDY.recipes(preset, SEEDS[preset])
    assert set(parts) == {
        "counts", "accuracy", "imagenet", "norms", "scan", "residual", "orders", "criteria",
        "norm order", "retrained",
    }  # fmt: skip
    assert bool(parts.pop("imagenet")) == (preset == "paper")
    assert all(parts.values())


def test_the_paper_preset_covers_every_row_of_table_1():
    parts = STUDY.recipes("paper", (0,))
    for row, (model, rule) in TABLE_1.items():
        labels = {r.label for r in parts["imagenet" if model == "resnet-34" else "accuracy"]}
        assert (model if rule is None else row) in labels
    labels = {r.label for r in parts["accuracy"]}
    assert {"VGG-16-pruned-A scratch-E", "ResNet-110-pruned-B scratch-B"} <= labels


@pytest.mark.parametrize(
    ("part", "trained", "retrained"),
    [("accuracy", (160, 0.1, 128), (40, 0.001)), ("imagenet", (80, 0.1, 256), (20, 0.001))],
)
def test_the_paper_preset_trains_and_retrains_as_the_paper_says(part, trained, retrained):
    for recipe in STUDY.recipes("paper", (0,))[part]:
        assert (recipe.budget.epochs, recipe.budget.lr, recipe.budget.batch) == trained
        if isinstance(recipe.task, Prune):
            assert (recipe.task.retrain.epochs, recipe.task.retrain.lr) == retrained
            assert recipe.task.retrain.schedule == "constant"


def test_the_rates_of_imagenet_fall_every_30_epochs():
    budget = STUDY.recipes("paper", (0,))["imagenet"][0].budget
    rates = [budget.rate(epoch, 80) for epoch in (0, 29, 30, 59, 60, 79)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


# Counts


@pytest.fixture(scope="module")
def counts():
    found, whole = {}, {}
    for label, (model, rule) in TABLE_1.items():
        size, classes = (224, 1000) if model == "resnet-34" else (32, 10)
        if model not in whole:
            whole[model] = build(model, classes)
        task = Count(rule, (3, size, size), classes)
        found[label] = task.run(whole[model], None, Work())
    return found


def test_table_1_has_twelve_networks():
    assert set(PRINTED.index) == set(TABLE_1)
    assert len(PRINTED) == 12


@pytest.mark.parametrize("label", TABLE_1)
def test_table_1_counts_equal_the_printed_digits(counts, label):
    row, short = PRINTED.loc[label], "_without_shortcuts" if "34" in label else ""
    full = counts[label.split("-pruned")[0]]
    for key, shown, percent in (
        ("macs", row.flop, row.flop_pruned_pct),
        ("weights", row.params, row.params_pruned_pct),
    ):
        ours = counts[label][key + short]
        assert printed.agrees(ours, shown).startswith("equal")
        if "pruned" in label:
            removed = 100 * (1 - ours / full[key + short])
            verdict = printed.agrees(removed, percent, 1)
            if (label, key) == ("ResNet-34-pruned-C", "macs"):  # the one known misprint
                assert (round(removed, 2), percent, verdict) == (7.41, 7.5, "differs")
            else:
                assert verdict.startswith("equal")


def test_table_2_counts_equal_the_printed_digits_layer_by_layer(counts):
    full, pruned = (counts[label]["layers"] for label in ("VGG-16", "VGG-16-pruned-A"))
    rows = list(TABLE_2[TABLE_2.layer != "Total"].itertuples())
    assert len(rows) == len(full) == len(pruned) == 15
    for row, before, after in zip(rows, full, pruned):
        for ours, shown in (
            (before["macs"], row.paper_flop),
            (before["weights"], row.paper_params),
        ):
            assert f"{ours:.1E}" == f"{float(shown):.1E}"
        assert (before["out"][0], after["out"][0]) == (row.maps, row.maps_after)
        assert round(100 * (1 - after["macs"] / before["macs"])) == row.paper_flop_pruned_pct
        exact = (row.computed_flop, row.computed_params)
        assert (before["macs"], before["weights"]) == exact
        exact = (row.computed_flop_after, row.computed_params_after)
        assert (after["macs"], after["weights"]) == exact


def test_table_2_total_line_equals_the_sums(counts):
    total = TABLE_2[TABLE_2.layer == "Total"].iloc[0]
    full, pruned = counts["VGG-16"], counts["VGG-16-pruned-A"]
    assert f"{full['macs']:.1E}" == "3.1E+08" == f"{float(total.paper_flop):.1E}"
    assert f"{full['weights']:.1E}" == "1.5E+07" == f"{float(total.paper_params):.1E}"
    assert round(100 * (1 - pruned["macs"] / full["macs"])) == int(total.paper_flop_pruned_pct)


@pytest.mark.parametrize("row", list(COMPUTED.itertuples()), ids=list(COMPUTED.model))
def test_counts_and_widths_equal_the_arithmetic_of_the_papers_rules(counts, row):
    values, short = counts[row.model], "_without_shortcuts" if "34" in row.model else ""
    widths = [r["out"][0] for r in values["layers"] if ".conv1" in r["layer"]]
    assert values["macs" + short] == row.flop_mac_conv_fc
    assert values["weights" + short] == row.params_weights_only
    assert values["params"] == row.params_all_trainable
    assert widths == [int(w) for w in row.first_layer_width_per_block.split()]


def test_vgg_a_keeps_32_and_256_filters(counts):
    widths = [r["out"][0] for r in counts["VGG-16-pruned-A"]["layers"]]
    assert widths == [32, 64, 128, 128, 256, 256, 256] + [256] * 6 + [512, 10]
    assert counts["VGG-16-pruned-A"]["macs"] == 206_279_680
    assert counts["VGG-16-pruned-A"]["weights"] == 5_390_176


def test_resnet_34_c_narrows_the_stream_of_stage_3(counts):
    layers = {r["layer"]: r["out"][0] for r in counts["ResNet-34-pruned-C"]["layers"]}
    stream = [layers[f"layer3.{b}.conv2"] for b in range(6)] + [layers["layer3.0.downsample.0"]]
    assert stream == [204] * 7
    assert layers["layer3.0.conv1"] == 256


def test_the_values_of_a_count_are_plain_json(counts):
    for values in counts.values():
        assert json.loads(json.dumps(values)) == values


def as_rows(counts):
    recipes = {r.label: r for r in STUDY.recipes("quick", (0,))["counts"]}
    return [row_of(recipes[label], values) for label, values in counts.items()]


def test_the_tables_say_equal_in_every_row_but_the_misprint(counts):
    cost, layers = list(texts(STUDY, as_rows(counts)).values())[:2]
    assert list(cost.model) == list(PRINTED.index)
    wrong = cost[~cost.verdict.str.startswith("equal")]
    assert list(wrong.model) == ["ResNet-34-pruned-C"]
    assert wrong.verdict.iloc[0].startswith("differs: MACs removed (a misprint")
    assert layers.verdict.eq("equal").all()
    assert list(layers.layer) == [name.replace("_", " ") for name in TABLE_2.layer]


def test_without_rows_everything_printed_is_there_and_not_measured():
    cost, layers, error, others = texts(STUDY).values()
    command = "not measured: prunelab run 01 --preset quick"
    assert cost.verdict.eq(command).all() and len(cost) == 12
    assert cost["MACs printed"].iloc[0] == "3.13e8" and cost["MACs ours"].eq("not measured").all()
    assert layers.verdict.eq(command).all() and len(layers) == 16
    assert error.verdict.str.startswith("not measured: ").all() and len(error) == 15
    assert not others.source.str.contains("Liu et al").any()  # these are remembered only


def measured(label, accuracy, macs=10, seed=0):
    """A row of preset quick, as measured with the recipe of that label."""
    recipe = next(r for r in STUDY.recipes("quick", (0,))["accuracy"] if r.label == label)
    values = {"accuracy": accuracy, "best_accuracy": accuracy, "macs": macs, "weights": macs}
    return row_of(replace(recipe, seed=seed), values)


def errors_of(rows):
    return texts(STUDY, rows)["Before and after pruning, preset quick"].set_index("network")


def test_a_network_that_is_not_measured_says_so_in_its_row():
    table = errors_of([measured("resnet-20", 0.9), measured("lenet-5 A", 0.8)])
    assert list(table.index) == [
        "lenet-5", "lenet-5 A", "resnet-20", "resnet-20 A", "resnet-20 B",
        "resnet-20 B scratch-E", "resnet-20 B scratch-B",
    ]  # fmt: skip
    last = table["error % (last epoch)"]
    assert last["resnet-20"] == "10.00" and last["lenet-5 A"] == "20.00"
    assert last["lenet-5"] == last["resnet-20 B"] == "not measured"
    # Without its baseline, a pruned network has no change and no share.
    assert table["change by pruning, points"]["lenet-5 A"] == "–"
    assert table["MACs removed %"]["lenet-5 A"] == "–"


def test_change_and_shares_are_against_the_baseline_of_the_same_seed():
    rows = [measured("resnet-20", 0.9, macs=100), measured("resnet-20", 0.5, macs=100, seed=1)]
    rows += [measured("resnet-20 B", 0.85, macs=75), measured("resnet-20 B", 0.45, macs=75, seed=1)]
    row = errors_of(rows).loc["resnet-20 B"]
    assert row["change by pruning, points"] == "5.00 ± 0.00"
    assert row["MACs removed %"] == "25.0" and row["seeds"] == "2"
    assert row["paper's change for this rule"] == "-0.02 (ResNet-56-pruned-B)"
