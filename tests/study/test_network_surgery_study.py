"""What network surgery's recipes and tasks promise."""

import json
import math
from copy import deepcopy
from dataclasses import replace

import pandas as pd
import pytest
import torch
from helpers.pruning import first_cut
from hypothesis import given
from hypothesis import strategies as st

from prunelab import data, models, train
from prunelab.masks import packed, unpacked
from prunelab.methods import Magnitude, NetworkSurgery
from prunelab.scores import layers_of
from prunelab.study.networks import IMAGENET
from prunelab.study.papers.network_surgery import SETTINGS, STUDY
from prunelab.study.papers.network_surgery.cases import alexnet, gaussian_c
from prunelab.study.recipes import PRESETS, SEEDS
from prunelab.study.tasks import Prune
from prunelab.study.weights import BINS, Snapshots
from prunelab.study.work import Work

DIGITS = data.load("digits")
TABLE_1 = "Table 1: error and compression (preset paper)"
SHORT = train.Budget(epochs=3, lr=0.05, batch=64, schedule="cosine")  # 60 steps


def of(preset):
    return [r for part in STUDY.recipes(preset, SEEDS[preset]).values() for r in part]


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = models.build("lenet-300-100")
    train.fit(net, DIGITS, SHORT, progress=False)
    return net


@pytest.mark.parametrize("preset", PRESETS)
def test_every_layer_that_a_recipe_names_is_in_its_network_and_stops_lie_in_the_run(preset):
    sizes = {"digits": 1257, "mnist": 55_000, "mnist+val": 60_000, "xor": 9_000}
    sizes |= {IMAGENET: 1_281_167}
    for recipe in of(preset):
        method = getattr(recipe.task, "method", None)
        if method is None:
            continue
        with torch.device("meta"):
            names = set(layers_of(models.build(recipe.model, 2 if recipe.data == "xor" else 10)))
        named = method.c if isinstance(method, NetworkSurgery) else method.ratios
        assert set(named if isinstance(named, dict) else names) == names, recipe.label
        if isinstance(method, NetworkSurgery):
            assert 0 < method.stop <= method.budget.steps(sizes[recipe.data])[1], recipe.label


def test_standard_is_paper():
    assert [r.key for r in of("standard")] == [r.key for r in of("paper")]


@pytest.mark.parametrize("setting", SETTINGS["paper"], ids=lambda s: s.network.model)
def test_every_control_trains_for_as_many_steps_as_the_surgery_from_the_same_network(setting):
    steps = setting.surgery.budget.steps(55_000)[1]
    network = setting.network
    found = [r for r in of("paper") if (r.model, r.data) == (network.model, network.data)]
    assert len({(r.trained_key, r.seed) for r in found}) == 3
    for recipe in found:
        method = recipe.task.method
        if isinstance(method, Magnitude):
            assert abs(method.rounds * method.retrain.steps(55_000)[1] - steps) <= method.rounds
        else:
            fields = ("lr", "weight_decay", "schedule", "milestones")
            free = fields if recipe.label.startswith("candidate") else ()
            changes = {field: getattr(method.budget, field) for field in free}
            assert method.budget == replace(setting.surgery.budget, **changes)


def test_the_runs_on_all_images_have_the_steps_of_the_headline():
    parts = STUDY.recipes("paper", SEEDS["paper"])
    for found, whole in zip(parts["surgery"], parts["all images"], strict=True):
        ours, last = found.task.method, whole.task.method
        assert (whole.model, whole.seed) == (found.model, found.seed)
        assert (found.data, whole.data) == ("mnist", "mnist+val")
        assert last.budget.steps(60_000)[1] == ours.budget.steps(55_000)[1]
        assert whole.budget.steps(60_000)[1] == found.budget.steps(55_000)[1]
        assert replace(last, budget=ours.budget) == ours
        assert replace(last.budget, epochs=ours.budget.epochs) == ours.budget
        assert replace(whole.budget, epochs=found.budget.epochs) == found.budget


def test_where_no_images_are_held_out_a_row_has_no_validation_accuracy(net, tmp_path):
    whole = replace(DIGITS, val=DIGITS.val[:0])
    work = Work(folder=tmp_path)
    row = Prune(NetworkSurgery(1.0, SHORT, 40)).run(deepcopy(net), whole, work)
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert row["val_accuracy"] is row["before"]["val_accuracy"] is None
    again = Prune(NetworkSurgery(1.0, SHORT, 40)).run(deepcopy(net), whole, work)
    assert again == row


@given(st.floats(0.02, 0.9))
def test_the_c_of_a_density_is_where_gaussian_weights_have_it(density):
    c = gaussian_c(density)
    mu, sigma = math.sqrt(2 / math.pi), math.sqrt(1 - 2 / math.pi)
    assert math.erfc((mu + c * sigma) / math.sqrt(2)) == pytest.approx(density, rel=0.03)


def test_alexnet_starts_near_the_printed_rates():
    """With Gaussian weights, as Caffe's filler draws them; biases and the margin aside."""
    torch.manual_seed(0)
    net, c = models.build("alexnet"), alexnet().c
    for module in layers_of(net).values():
        module.bias.data.zero_()
    left = first_cut(net, {k: v for k, v in c.items() if "conv" in k}, margin=1.0)
    rates = STUDY.printed("table4_alexnet_layers").set_index("layer").dns_pct
    for name, kept in left.items():
        weights = net.get_submodule(name).weight.numel()
        assert 100 * kept / weights == pytest.approx(rates[name.rpartition(".")[2]], rel=0.05)


@pytest.mark.parametrize(
    "method",
    [
        NetworkSurgery(1.0, SHORT, 40),
        Magnitude({"fc1": 0.9, "fc2": 0.5}, rounds=2, retrain=SHORT),
        Magnitude(0.5),
    ],
    ids=["surgery", "rounds", "one shot"],
)
def test_a_row_of_single_weights_agrees_with_the_network_it_is_about(net, method):
    own = deepcopy(net)
    row = Prune(method).run(own, DIGITS, Work(seed=3))
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    sizes = {k: v.weight.numel() + v.bias.numel() for k, v in layers_of(own).items()}
    assert {e["layer"]: e["size"] for e in row["layers"]} == {
        e["layer"]: sizes[e["layer"]] for e in row["layers"]
    }
    for entry in row["layers"]:
        layer, before = own.get_submodule(entry["layer"]), net.get_submodule(entry["layer"])
        flat = torch.cat([layer.weight.flatten(), layer.bias]).detach()
        old = torch.cat([before.weight.flatten(), before.bias]).detach().abs()
        assert entry["kept"] == int(torch.count_nonzero(flat))
        largest = set(old.argsort(descending=True, stable=True)[: entry["kept"]].tolist())
        share = len(largest & set(flat.nonzero()[:, 0].tolist())) / entry["kept"]
        assert entry["top_share"] == pytest.approx(share, abs=1e-4)
    assert row["kept"] == sum(e["kept"] for e in row["layers"])
    assert row["compression"] == row["total"] / row["kept"]
    assert row["accuracy"] == train.evaluate(own, DIGITS.test).accuracy <= row["best_accuracy"]
    assert row["before"]["accuracy"] == train.evaluate(net, DIGITS.test).accuracy


def test_events_add_up_to_what_is_kept(net):
    row = Prune(NetworkSurgery(1.0, SHORT, 40)).run(deepcopy(net), DIGITS, Work())
    events = pd.DataFrame(row["events"])
    for entry in row["layers"]:
        part = events[events.layer == entry["layer"]].sort_values("step")
        assert len(part) == BINS + 1 and part.step.iloc[-1] == 60
        kept = entry["size"] + (part.spliced - part.pruned).cumsum()
        assert kept.tolist() == part.kept.tolist() and part.kept.iloc[-1] == entry["kept"]
        assert not part[part.step > 40 + 60 / BINS][["pruned", "spliced"]].any().any()


def test_snapshots_are_the_masks_at_their_steps(net, tmp_path):
    method, steps = NetworkSurgery(1.0, SHORT, 40), (0, 5, 40)
    row = Snapshots(method, "fc1", steps).run(deepcopy(net), DIGITS, Work(folder=tmp_path))
    assert [shot["step"] for shot in row["snapshots"]] == list(steps)
    masks = {}
    done = method.run(
        deepcopy(net), DIGITS, progress=False,
        watch=lambda step, s: masks.update({step: s.layers["fc1"].masks["weight"].kept.bool()}),
    )  # fmt: skip
    for shot in row["snapshots"]:
        assert torch.equal(torch.from_numpy(unpacked(shot["kept"])), masks[shot["step"]])
    assert torch.equal(masks[40], done.keep["fc1.weight"])


def test_a_packed_mask_is_small_json():
    mask = torch.rand(300, 784, generator=torch.Generator().manual_seed(0)) < 0.02
    assert len(json.dumps(packed(mask))) < 8_000
