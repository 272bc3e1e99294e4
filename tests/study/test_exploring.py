"""Recordings are what was measured, and the explorer's app serves them."""

import json

import pytest
import torch

from prunelab import cost, data, models, scores, sensitivity, surgery, train
from prunelab.cli import main
from prunelab.groups import trace
from prunelab.study import app, exploring
from prunelab.study.recipes import PRESETS
from prunelab.study.work import Work
from prunelab.widgets import explorer
from prunelab.widgets.exploring.recorded import TRAINED, curves, shipped


@pytest.fixture(scope="module")
def made():
    torch.manual_seed(0)
    digits, net = data.load("digits"), models.build("lenet-5")
    train.fit(net, digits, train.Budget(epochs=1, lr=0.02, batch=64), progress=False)
    task = exploring.Explore("LeNet-5", (0.25, 0.5), images=80, budgets=(0.5, 1e-6))
    return net, digits, task.run(net, digits, Work())


def test_a_recording_is_plain_data_and_answers_in_the_explorer(made):
    _, _, recording = made
    again = json.loads(json.dumps(recording))
    shown = explorer(recorded=again).wait(30)
    assert shown.answer.accuracy == recording["whole"]["accuracy"]
    shown.show({"conv1": 0.5}).wait(30)
    (point,) = [p for p in recording["points"] if (p["group"], p["ratio"]) == ("conv1", 0.5)]
    assert shown.answer.accuracy == point["accuracy"]
    assert shown.answer.how == "recorded"
    shown.close()


def test_combinations_are_really_measured(made):
    net, digits, recording = made
    labels = [c["label"] for c in recording["combinations"]]
    assert labels == ["uniform 25%", "uniform 50%", "PFEC A", "solver, 50% of the MACs"]
    groups = trace(net, digits.example)
    order = sensitivity.ranking(net, groups, "l1")
    for row in recording["combinations"]:
        keep = {g: scores.best(order[g], scores.kept(groups[g].size, r))
                for g, r in row["ratios"].items()}  # fmt: skip
        small = surgery.shrink(net, groups, keep)
        assert row["accuracy"] == train.evaluate(small, digits.val[:80]).accuracy
        assert row["macs"] == cost.measure(small, digits.example).macs
    solved = recording["combinations"][-1]
    assert solved["macs"] <= recording["whole"]["macs"] / 2


def test_tables_say_what_is_predicted_and_what_measured(made):
    _, _, recording = made
    table = exploring.combinations(recording)
    scan = curves(recording)
    for row, shown in zip(recording["combinations"], table.to_dict("records")):
        guess = sensitivity.predict(scan, row["ratios"])
        assert shown["predicted %"] == round(100 * min(1, max(0, guess.accuracy)), 1)
        assert shown["measured %"] == round(100 * row["accuracy"], 1)
    half = exploring.at_half(recording)
    assert sorted(half["group"]) == ["conv1", "conv2", "fc1"]
    assert half["accuracy lost, points"].is_monotonic_decreasing
    assert set(half["kind"]) == {"one layer"}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_records_a_plain_and_a_residual_network(preset):
    recipes = exploring.recipes(preset, (0, 1))
    assert len({r.key for r in recipes}) == 2
    assert [r.model.split("-")[0] for r in recipes][1] == "resnet"
    assert all(r.seed == 0 for r in recipes)


def test_the_app_is_a_notebook_that_opens_the_explorer():
    (cell,) = app.page().cells
    assert "widgets.explorer()" in cell.source
    compile(cell.source, "page", "exec")


@pytest.mark.parametrize("port", [0, 70_000])
def test_a_port_that_is_none_is_refused(port, capsys):
    assert main(["explore", "--port", str(port)]) == 2
    assert f"`port` must be 1 to 65535, got {port}" in capsys.readouterr().err


def test_a_shipped_recording_names_the_network_that_it_was_measured_on():
    known = {recipe.key: recipe for preset in PRESETS for recipe in exploring.recipes(preset, (0,))}
    assert {key: known[key].trained_key for key in TRAINED} == TRAINED
    for recording in shipped():
        assert recording["network"]["file"] in TRAINED.values()
