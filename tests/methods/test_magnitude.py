"""Magnitude pruning against torch.nn.utils.prune and a naive loop of cutting and retraining."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from helpers.surgeries import DATA, NAMES, equal, net_of
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrize
from torch.nn.utils import prune as torch_prune

from prunelab import train
from prunelab.methods import Magnitude
from prunelab.models import build
from prunelab.train import Budget

SIZES = {"0": 30, "3": 864, "5": 27}  # weights and biases
NAN = float("nan")


def run(method, net, data=DATA, **options):
    return method.run(net, data, progress=False, **options)


def state(net):
    return {k: v.clone() for k, v in net.state_dict().items()}


def by_torch(net, layer, kept):
    """What torch's L1 pruning keeps of the weights and biases of a layer, ranked together."""
    layer = deepcopy(net).get_submodule(layer)
    pairs = [(layer, key) for key in ("weight", "bias") if getattr(layer, key) is not None]
    size = sum(getattr(*pair).numel() for pair in pairs)
    torch_prune.global_unstructured(pairs, torch_prune.L1Unstructured, amount=size - kept)
    return {key: getattr(layer, f"{key}_mask").bool() for _, key in pairs}


@pytest.mark.parametrize("ratio", [0, 0.1, 0.5, 0.77, 0.92])
def test_one_shot_prunes_what_torch_prunes_and_changes_nothing_else(ratio):
    net = net_of()
    before = state(net)
    keep = Magnitude(ratio).prune(net, None)
    assert list(keep) == NAMES
    for layer, size in SIZES.items():
        for key, expected in by_torch(net_of(), layer, round(size * (1 - ratio))).items():
            assert torch.equal(keep[f"{layer}.{key}"], expected)
    assert equal(net.state_dict(), {k: v * keep[k] for k, v in before.items()})
    assert type(net[3]) is nn.Linear and list(net.state_dict()) == list(before)


def test_biases_are_ranked_with_the_weights_of_their_layer():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, -5.0], [3.0, -0.1]]))
        net[0].bias.copy_(torch.tensor([-4.0, 0.2]))
    keep = Magnitude({"0": 0.5}).prune(net, None)
    assert keep["0.weight"].tolist() == [[False, True], [True, False]]
    assert keep["0.bias"].tolist() == [True, False]
    assert list(keep) == ["0.weight", "0.bias"]


def test_ratios_by_name_leave_other_layers_alone_and_one_weight_always_stays():
    torch.manual_seed(0)
    net = build("lenet-300-100")
    before = state(net)
    keep = Magnitude({"fc3": 0.99999, "fc1": 0.9}).prune(net, None)
    assert list(keep) == ["fc1.weight", "fc1.bias", "fc3.weight", "fc3.bias"]
    assert int(keep["fc1.weight"].sum() + keep["fc1.bias"].sum()) == 23550
    assert int(keep["fc3.weight"].sum()) == 1
    assert net.fc3.weight.abs().max() == before["fc3.weight"].abs().max()
    assert torch.equal(net.fc2.weight, before["fc2.weight"])


def test_of_equal_weights_the_first_stay():
    net = nn.Sequential(nn.Linear(4, 1, bias=False))
    nn.init.ones_(net[0].weight)
    assert Magnitude(0.5).prune(net, None)["0.weight"].tolist() == [[True, True, False, False]]


@pytest.mark.parametrize("q", [0.0, 0.4, 1, {"0": 0.5, "5": 1.5}])
def test_q_is_a_threshold_in_standard_deviations_of_the_weights(q):
    net = net_of()
    with torch.no_grad():
        net[5].bias.copy_(torch.tensor([9.0, 0.01, 0.0]))  # not in the deviation, but cut by it
    before = state(net)
    keep = Magnitude(q=q).prune(net, None)
    rates = q if isinstance(q, dict) else dict.fromkeys(SIZES, q)
    assert {k[0] for k in keep} == set(rates)
    for name, kept in keep.items():
        weights = before[f"{name[0]}.weight"].flatten().tolist()
        mean = sum(weights) / len(weights)
        std = (sum((w - mean) ** 2 for w in weights) / len(weights)) ** 0.5
        values = before[name].flatten().tolist()
        expected = [v != 0 and abs(v) >= rates[name[0]] * std for v in values]
        assert kept.flatten().tolist() == expected
    assert keep["5.bias"].tolist() == [True, q == 0, False]
    assert equal(net.state_dict(), {k: v * keep.get(k, 1) for k, v in before.items()})


FULL = Budget(epochs=5, lr=0.1, batch=45, weight_decay=0.02)
METHODS = {
    "ratios": Magnitude({"0": 0.5, "3": 0.9}, rounds=3, retrain=FULL),
    "q": Magnitude(q={"0": 1.2, "3": 1.6}, rounds=3, retrain=FULL),
}
each = pytest.mark.parametrize("which", METHODS)


def naive(net, which):
    """Cut, retrain on full batches by plain SGD on masked tensors, cut again; all the masks."""
    method, rounds, history = METHODS[which], 3, []
    x = (DATA.train.images / 255 - DATA.train.mean[0]) / DATA.train.std[0]
    w = {k: p.detach().clone() for k, p in net.named_parameters()}
    kept = {k: torch.ones_like(p) for k, p in w.items()}
    std = {layer: w[f"{layer}.weight"].std(correction=0) for layer in "03"}
    for r in range(1, rounds + 1):
        for layer in "03":
            names = [k for k in w if k[0] == layer]
            size = torch.cat([w[k].abs().flatten() for k in names])
            if which == "ratios":
                count = round(len(size) * (1 - method.ratios[layer]) ** (r / rounds))
                at = size.sort(descending=True).values[count - 1]
            else:
                at = method.q[layer] * std[layer] * r / rounds
            for k in names:
                kept[k] = kept[k] * (w[k].abs() >= at)
        history.append({k: v.bool() for k, v in kept.items()})
        w = {k: w[k] * kept[k] for k in w}
        speed = {k: torch.zeros_like(p) for k, p in w.items()}
        for _ in range(FULL.epochs):
            leaves = {k: p.clone().requires_grad_() for k, p in w.items()}
            loss = cross_entropy(functional_call(net, leaves, x), DATA.train.labels)
            for k, g in zip(leaves, torch.autograd.grad(loss, list(leaves.values()))):
                speed[k] = 0.9 * speed[k] + g * kept[k] + 0.02 * w[k]
                w[k] = w[k] - 0.1 * speed[k]
    return w, history


@pytest.fixture
def fits(monkeypatch):
    """Per call of `train.fit`: the seed, and masks and dense weights before and after."""
    calls, real = [], train.fit

    def fit(net, *args, **options):
        call = {"seed": options["seed"]}
        for when in ("before", "after"):
            layers = [(n, m) for n, m in net.named_modules() if parametrize.is_parametrized(m)]
            parts = [(f"{n}.{k}", p) for n, m in layers for k, p in m.parametrizations.items()]
            masks = {k: p[0].kept.bool() for k, p in parts}
            call[when] = masks, {k: p.original.detach().clone() for k, p in parts}
            if when == "before":
                history = real(net, *args, **options)
        calls.append(call)
        return history

    monkeypatch.setattr(train, "fit", fit)
    return calls


@each
def test_rounds_cut_and_retrain_as_a_naive_loop_does(which, fits):
    net = net_of()
    expected, masks = naive(net, which)
    found = run(METHODS[which], net, seed=7)
    assert [call["seed"] for call in fits] == [8, 9, 10] and len(found.history) == 3
    for call, kept in zip(fits, masks):
        assert equal(call["before"][0], {k: v for k, v in kept.items() if k[0] in "03"})
        assert equal(call["after"][0], call["before"][0])
    assert equal(found.keep, fits[-1]["after"][0])
    for k, p in net.named_parameters():
        torch.testing.assert_close(p.detach(), expected[k], rtol=0, atol=1e-5)
        assert k[0] not in "03" or torch.equal(p != 0, found.keep[k])


@each
def test_what_is_masked_stays_masked_round_after_round(which, fits):
    run(METHODS[which], net_of())
    for first, second in zip(fits, fits[1:]):
        for k, kept in second["before"][0].items():
            assert not (kept & ~first["before"][0][k]).any()
    counts = [sum(int(m.sum()) for k, m in c["before"][0].items() if k[0] == "3") for c in fits]
    assert counts[0] > counts[1] > counts[2]
    if which == "ratios":
        assert counts == [round(864 * 0.1 ** (r / 3)) for r in (1, 2, 3)]


def test_masked_weights_get_no_gradient_and_others_do(fits):
    retrain = replace(FULL, weight_decay=0)
    run(Magnitude(0.6, retrain=retrain), net_of())
    (kept, before), (_, after) = fits[0]["before"], fits[0]["after"]
    for k in NAMES:
        assert torch.equal(after[k][~kept[k]], before[k][~kept[k]])
    assert (after["5.weight"] != before["5.weight"])[kept["5.weight"]].all()
