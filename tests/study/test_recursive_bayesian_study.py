"""RBP's study: what is run, how its strengths are chosen, and what its tables may say."""

import json
import math
from dataclasses import replace

import pytest
import torch
from helpers.real_data import some_photos
from helpers.studies import row_of, texts

from prunelab import data, models, plots, widgets
from prunelab.methods import RecursiveBayesian
from prunelab.study import ledger
from prunelab.study.papers.recursive_bayesian import ARMS, SETTINGS, STUDY, judged, paired, views
from prunelab.study.tasks import Prune
from prunelab.study.work import Work

SEVEN = tuple(range(7))
LENET = SETTINGS["paper"][0]
CHOSEN, DOES_IT_HELP = (
    "How the strengths were chosen (presets standard and paper)",
    "Does conditioning help? A recon",
)


def row(part, arm, seed, widths, error, val=0.98, beta=None):
    """Of LeNet-300-100 on MNIST."""
    (recipe,) = (
        recipe
        for recipe in STUDY.recipes("paper", SEVEN)[part]
        if recipe.seed == seed and recipe.model == LENET.model and recipe.label.startswith(arm)
        and beta in (None, recipe.task.method.beta)
    )  # fmt: skip
    named = dict(zip(("fc1.inputs", "fc1", "fc2"), widths))
    history = [{"val_accuracy": val, "epoch": 1, "step": 1}]
    return row_of(recipe, {"widths": named, "accuracy": 1 - error / 100, "history": history})


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


def test_the_rule_takes_the_strongest_that_is_allowed_and_sees_no_fresh_seed():
    limit, rows = 1 - LENET.allowed / 100 + 1e-6, []
    weak, strong = LENET.grid[0], LENET.grid[-1]
    for seed in (0, 1):
        rows.append(row("candidates", "forward", seed, (90, 80, 70), 2.0, limit, weak))
        rows.append(row("arms", "forward", seed, (60, 50, 40), 2.0, limit))
        rows.append(row("candidates", "forward", seed, (50, 40, 30), 3.0, limit - 1e-3, strong))
    rows += [row("arms", "forward", seed, (60, 50, 40), 2.0, 0.0) for seed in (2, 3)]
    lines = [line for line in judged(STUDY.results(rows), "paper") if line.runs]
    assert [line.note for line in lines] == ["", "yes", ""]
    assert [len(line.runs) for line in lines] == [2, 2, 2]
    table = texts(STUDY, rows)[CHOSEN]
    assert list(table[table["taken by the rule"] == "yes"].arm) == ["forward"]


def test_the_strengths_that_are_shown_are_those_that_the_rule_takes():
    rows = ledger.read(ledger.COMMITTED / "recursive_bayesian.jsonl")
    lines = [
        one for one in judged(STUDY.results(rows), "paper") if one.case.network == LENET.network
    ]
    taken = {one.case.name: one.case.task.method.beta for one in lines if one.note}
    assert taken == LENET.taken and all(len(one.runs) == LENET.seen for one in lines)


@pytest.mark.parametrize(
    ("forward", "other", "verdict"),
    [
        (((60, 50, 40), 2.0), ((90, 80, 70), 2.0), "RBP is smaller"),
        (((90, 80, 70), 2.0), ((60, 50, 40), 2.0), "the other is smaller"),
        (((60, 50, 40), 2.0), ((60, 50, 40), 3.0), "RBP is more accurate"),
        (((60, 50, 40), 3.0), ((90, 80, 70), 2.0), "RBP is smaller; the other is more accurate"),
        (((60, 50, 40), 2.0), ((60, 50, 40), 2.0), "no difference beyond the interval"),
    ],
)
def test_the_question_is_answered_by_pairs_of_fresh_seeds(forward, other, verdict):
    rows = []
    for seed in range(5):
        for arm, (widths, error) in (("forward", forward), ("at once", other)):
            shifted = tuple(w + seed % 2 for w in widths)
            rows.append(row("arms", arm, seed, shifted, error + 0.1 * (seed % 2)))
    title = next(title for title in STUDY.tables(rows) if title.startswith(DOES_IT_HELP))
    table = texts(STUDY, rows)[title]
    found = table[(table.network == "LeNet-300-100, mnist") & (table["RBP less"] == "at once")]
    assert list(found.verdict) == [verdict]
    (line,) = (one for one in paired(STUDY.results(rows), "paper")
               if one.note == "at once" and one.runs)  # fmt: skip
    assert [run.seed for run in line.runs] == [2, 3, 4]
    alone = texts(STUDY, [one for one in rows if one["seed"] == 2])[title]
    assert "one seed decides nothing" in set(alone.verdict)


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
    box = widgets.stage_player(views.played(played, *where))
    assert len(box.run.options) == 2
    box.slider.value = box.slider.max
    assert "decided" in box.text.value
    assert list(views.frontier(played, *where).method) == ["forward"]


def test_one_seed_has_a_difference_and_no_interval():
    rows = [row("arms", arm, 2, (60, 50, 40), 2.0) for arm in ("forward", "at once")]
    lines = paired(STUDY.results(rows), "paper")
    found = views.differences(lines, {"weights": lambda line: [0.5] if line.runs else []})
    assert found["mean"].tolist() and all(math.isnan(half) for half in found.half)


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
