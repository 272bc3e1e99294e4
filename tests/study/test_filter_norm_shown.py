"""PFEC at standard: the long trainings, and what is shown until they are measured."""

import json
import re
from pathlib import Path

import pytest
from helpers.studies import row_of, texts

from prunelab.study import ledger
from prunelab.study.papers.filter_norm import LONG, STUDY, before, errors, of
from prunelab.study.recipes import PRESETS, SEEDS
from prunelab.study.tasks import Prune

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "01-filter-norm.ipynb"
TITLE = "Before and after pruning, preset standard"
RECIPES = STUDY.recipes("standard", SEEDS["standard"])
COMMITTED = ledger.read(ledger.COMMITTED / f"{STUDY.stem}.jsonl")
BEFORE = before("standard", SEEDS["standard"])


def measured(recipe, accuracy):
    values = {"accuracy": accuracy, "best_accuracy": accuracy, "macs": 10, "weights": 10}
    return row_of(recipe, values)


SHORT = [measured(recipe, 0.84) for recipe in BEFORE["accuracy"]]
LENET, WHOLE, PRUNED = (
    measured(next(r for r in RECIPES["accuracy"] if r.label == label), accuracy)
    for label, accuracy in (("lenet-5", 0.99), ("vgg-16", 0.93), ("vgg-16 A", 0.92))
)


def shown(*rows):
    """Network -> epochs, error and seeds in the table; and the lines of the figure."""
    table = texts(STUDY, rows)[TITLE].set_index("network")
    assert not table.index.duplicated().any()
    found = table[["epochs", "error % (last epoch)", "seeds"]].agg(tuple, axis=1).to_dict()
    return found, errors(STUDY.results(rows), "standard")


@pytest.mark.parametrize("more", [[], [WHOLE], [PRUNED]], ids=["none", "one", "the other"])
def test_the_shorter_training_stays_until_the_longer_one_is_measured_in_full(more):
    table, figure = shown(*SHORT, *more)
    assert table["vgg-16"] == table["vgg-16 A"] == ("4", "16.00 ± 0.00", "3")
    assert set(figure.data) == {"cifar10, 4 epochs"}
    assert figure.error.tolist() == pytest.approx([0.16] * 6)


def test_then_the_longer_one_alone_is_shown():
    table, figure = shown(*SHORT, WHOLE, PRUNED)
    assert table["vgg-16"] == ("30", "7.00", "1") and table["vgg-16 A"] == ("30", "8.00", "1")
    assert figure.label.tolist() == ["vgg-16", "vgg-16 A"]
    assert set(figure.data) == {"cifar10, 30 epochs"}
    assert figure.error.tolist() == pytest.approx([0.07, 0.08])
    change = texts(STUDY, [*SHORT, WHOLE, PRUNED])[TITLE].set_index("network")
    assert change["change by pruning, points"]["vgg-16 A"] == "1.00"  # from its own training


def test_who_measures_anew_is_asked_for_the_longer_training_only():
    table, _ = shown(LENET)
    assert table["vgg-16"] == ("30", "not measured", "0")
    assert table["resnet-56 B"] == ("45", "not measured", "0")
    table, figure = shown(LENET, WHOLE)
    assert (table["vgg-16"][1], table["vgg-16 A"][1]) == ("7.00", "not measured")
    assert figure.label.tolist() == ["lenet-5", "vgg-16"]


def test_the_rows_shown_in_their_place_are_committed_and_never_measured_again():
    asked = {r.key for part in RECIPES.values() for r in part}
    kept = {r.key for part in BEFORE.values() for r in part}
    committed = {row["key"] for row in COMMITTED}
    assert kept <= committed and not kept & asked
    assert {r.model for part in RECIPES.values() for r in part if r.key not in committed} <= {*LONG}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_figure_that_has_another_network_before_has_one_now(preset):
    parts = before(preset, SEEDS[preset])
    assert set(parts) == set(BEFORE) <= set(STUDY.recipes(preset, (0,)))
    assert any(parts.values()) == (preset == "standard")


def test_a_figure_names_its_network_and_how_long_it_was_trained():
    named = {part: of([row_of(found[0], {})]) for part, found in BEFORE.items()}
    assert set(named.values()) == {"vgg-16 on cifar10, 4 epochs", "resnet-20 on cifar10, 6 epochs"}
    parts = ("norms", "scan", "retrained", "residual")
    now = [of([row_of(RECIPES[part][0], {})]) for part in parts]
    assert now == ["vgg-16 on cifar10, 30 epochs"] * 3 + ["resnet-56 on cifar10, 45 epochs"]
    assert of([]) == "no network"


def test_the_long_trainings_are_one_cycle_in_bfloat16_and_retraining_is_a_quarter_of_them():
    found = [r for r in RECIPES["accuracy"] if r.model in LONG]
    assert [r.label for r in found] == [
        "vgg-16", "vgg-16 A", "resnet-56", "resnet-56 A", "resnet-56 B",
    ]  # fmt: skip
    assert {r.seed for r in found} == {0}
    for recipe in found:
        assert (recipe.budget.schedule, recipe.budget.precision) == ("onecycle", "bfloat16")
        if isinstance(recipe.task, Prune):
            after = recipe.task.retrain
            assert after.epochs == recipe.budget.epochs * 40 / 160  # the paper's
            assert (after.schedule, after.lr, after.precision) == ("constant", 0.001, "bfloat16")


def test_what_is_said_of_their_length_is_what_is_declared():
    length = {r.model: r.budget.epochs for r in RECIPES["accuracy"]}
    said = f"VGG-16 for {length['vgg-16']} epochs and ResNet-56 for {length['resnet-56']}"
    assert sum(said in line for line in STUDY.said.deviations) == 1


def test_the_papers_error_stands_beside_its_own_networks_only():
    table = texts(STUDY, [LENET])[TITLE].set_index("network")["paper's error % (best epoch)"]
    beside = table[table != "–"].to_dict()
    assert beside == {
        "vgg-16": "6.75", "vgg-16 A": "6.60",
        "resnet-56": "6.96", "resnet-56 A": "6.90", "resnet-56 B": "6.94",
    }  # fmt: skip


def test_the_stated_hours_are_an_estimate_until_all_is_measured_and_then_those_of_the_rows():
    seconds = {row["key"]: row["seconds"] for row in COMMITTED}
    keys = {r.key for part in RECIPES.values() for r in part}
    found = json.loads(NOTEBOOK.read_text())
    cost = found["metadata"]["prunelab"]["cost"]["standard"]
    stated = re.search(r"about ([\d.]+) hours of one CPU core", cost)[1]
    assert f"about {stated} hours of one CPU core" in "".join(found["cells"][0]["source"])
    hours = sum(seconds.get(key, 0) for key in keys) / 3600
    if keys <= {*seconds}:
        assert float(stated) == pytest.approx(hours, rel=0.05) and "estimate" not in cost
    else:
        assert float(stated) > hours and "estimate" in cost
