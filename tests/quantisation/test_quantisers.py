"""Quantisers: which values they leave, which gradient they pass, and what training makes of it."""

import itertools
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from helpers.toy import dataset, network
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize

from prunelab import quantisation, train
from prunelab.quantisation import quantisers as q

DATA = dataset()
ADAM = train.Budget(epochs=4, lr=0.01, batch=8, optimizer="adam", weight_decay=0)
FEW = {
    "BinaryWeights": quantisation.BinaryWeights,
    "XNORNet": quantisation.XNORNet,
    "TernaryWeights": quantisation.TernaryWeights,
    "DoReFaNet": lambda *a, **k: quantisation.DoReFaNet(*a, **k, weight_bits=3, input_bits=2),
}
EACH = pytest.mark.parametrize("make", FEW.values(), ids=FEW)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def deep():
    """Four layers, so that two stand between the ends."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2, padding=1),
        nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(54, 12), nn.ReLU(), nn.Linear(12, 3),
    )  # fmt: skip


def test_no_scale_comes_nearer_to_the_weights_than_that_of_binary_weights():
    weight = drawn(3, 2, 3, 3)
    found = q.binary(weight)
    assert torch.equal(found > 0, weight > 0)
    for row, own in zip(weight, found):
        signs = own.sign()
        best = torch.linalg.lstsq(signs.reshape(-1, 1), row.reshape(-1, 1)).solution.item()
        torch.testing.assert_close(own, best * signs)


def test_binary_weights_pass_the_gradient_of_the_paper():
    weight = (2 * drawn(3, 2, 3, 3)).requires_grad_()
    above = drawn(3, 2, 3, 3, seed=1)
    q.binary(weight).backward(above)
    scale = weight.detach().abs().mean((1, 2, 3), keepdim=True)
    assert 0 < (weight.abs() > 1).sum() < weight.numel()
    torch.testing.assert_close(weight.grad, above * (1 / 18 + scale * (weight.abs() <= 1)))


def test_ternary_weights_are_zero_below_the_threshold_and_its_best_scale_above():
    weight = drawn(5, 40)
    found = q.ternary(weight, 0.7)
    zero = weight.abs() <= 0.7 * weight.abs().mean()
    assert torch.equal(found == 0, zero) and 0 < zero.sum() < 200
    pattern = found.sign().reshape(-1, 1)
    best = torch.linalg.lstsq(pattern, weight.reshape(-1, 1)).solution.item()
    torch.testing.assert_close(found, best * found.sign())
    assert not q.ternary(torch.zeros(2, 3)).any()


@given(bits=st.integers(1, 8), seed=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_uniform_weights_are_evenly_spaced_symmetric_and_of_the_same_mean_size(bits, seed):
    weight = drawn(4, 60, seed=seed)
    found = q.uniform(weight, bits)
    torch.testing.assert_close(found.abs().mean(), weight.abs().mean())
    steps = (found / found.abs().max() + 1) / 2 * (2**bits - 1)
    torch.testing.assert_close(steps, steps.round())
    assert len(found.unique()) <= 2**bits
    order = weight.flatten().argsort()
    assert (found.flatten()[order].diff() >= 0).all()


def test_rounding_passes_the_gradient_as_it_is():
    x = drawn(50).sigmoid().requires_grad_()
    q.levels(x, 2).sum().backward()
    assert torch.equal(x.grad, torch.ones(50, dtype=torch.float64))
    assert set((q.levels(x, 2) * 3).tolist()) == {0.0, 1.0, 2.0, 3.0}


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
def test_xnor_is_a_product_of_signs_scaled_by_the_mean_size_in_each_window(stride, padding):
    layer = nn.Conv2d(3, 4, 3, stride, padding).double()
    x = drawn(2, 3, 6, 6)
    found = q.Inputs(layer, None)(x)
    signs, sizes = (nn.functional.unfold(v, 3, 1, padding, stride) for v in (x.sign(), x.abs()))
    out = layer.weight.flatten(1) @ signs * sizes.mean(1, keepdim=True) + layer.bias[:, None]
    torch.testing.assert_close(found.flatten(2), out)


def test_xnor_of_a_linear_layer_scales_with_the_mean_size_of_its_inputs():
    layer, x = nn.Linear(7, 3).double(), drawn(5, 7)
    out = x.sign() @ layer.weight.T * x.abs().mean(1, keepdim=True) + layer.bias
    torch.testing.assert_close(q.Inputs(layer, None)(x), out)


def test_the_sign_behind_a_relu_is_that_of_what_the_relu_read():
    x = drawn(100)
    assert torch.equal(q.signs(x.relu()), x.sign())


def test_inputs_of_few_bits_are_clipped_and_rounded():
    layer = nn.Linear(4, 1, bias=False)
    nn.init.constant_(layer.weight, 1.0)
    x = torch.tensor([[-3.0, 0.3, 0.6, 9.0]], requires_grad=True)
    out = q.Inputs(layer, 2)(x)
    assert out.item() == pytest.approx(0 + 1 / 3 + 2 / 3 + 1)
    out.sum().backward()
    assert x.grad.tolist() == [[0.0, 1.0, 1.0, 0.0]]


@EACH
def test_what_comes_back_is_plain_and_what_was_given_is_unchanged(make):
    net = deep()
    before, modules = deepcopy(net.state_dict()), [*net.modules()]
    small = make(ADAM).quantise(net, DATA, progress=False)
    assert not any(parametrize.is_parametrized(m) for m in small.modules())
    assert [*net.modules()] == modules
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert small.training == net.training
    again = make(ADAM).quantise(net, DATA, progress=False)
    other = make(ADAM).quantise(net, DATA, seed=1, progress=False)
    pairs = [zip(small.parameters(), one.parameters()) for one in (again, other)]
    same = [all(itertools.starmap(torch.equal, pair)) for pair in pairs]
    assert same == [True, False]


@EACH
@pytest.mark.parametrize("ends", [False, True])
def test_the_first_and_the_last_layer_stay_in_float_unless_asked_for(make, ends):
    small = make(ends=ends).quantise(deep(), DATA)
    weights = [m.weight for m in small.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    few = [max(len(row.unique()) for row in weight) <= 8 for weight in weights]
    assert few == [ends, True, True, ends]
    inputs = sum(isinstance(m, q.Inputs) for m in small.modules())
    assert inputs == (0 if "Inputs" not in repr(small) else 2 + 2 * ends)


@EACH
def test_training_with_few_values_lowers_the_loss_of_plain_rounding(make):
    net = deep()
    train.fit(net, DATA, ADAM, progress=False)
    rounded = make().quantise(net, DATA)
    tuned = make(ADAM).quantise(net, DATA, progress=False)
    losses = [train.evaluate(one, DATA.train).loss for one in (rounded, tuned)]
    assert losses[1] < losses[0]


def test_a_run_goes_on_from_its_checkpoint(tmp_path):
    method, path = quantisation.DoReFaNet(ADAM, input_bits=2), tmp_path / "work"
    whole = method.quantise(deep(), DATA, progress=False)
    kept = method.quantise(deep(), DATA, progress=False, checkpoint=path)
    assert path.is_file()
    again = method.quantise(deep(), DATA, progress=False, checkpoint=path)
    for one in (kept, again):
        assert all(map(torch.equal, whole.parameters(), one.parameters()))


def test_one_layer_between_two_ends_is_none():
    message = "BinaryWeights: `net` must have a 2-d convolution or linear layer, the first and the"
    with pytest.raises(ValueError, match=message):
        quantisation.BinaryWeights().quantise(network(), DATA)
    with pytest.raises(ValueError, match=r"must have a 2-d convolution or linear layer$"):
        quantisation.BinaryWeights(ends=True).quantise(nn.Sequential(nn.ReLU()), DATA)


def test_a_network_with_parametrizations_is_refused():
    net = deep()
    parametrize.register_parametrization(net[3], "weight", q.Weights(q.binary))
    with pytest.raises(
        ValueError, match=r"TernaryWeights: `net` must have no parametr.*`3` has one"
    ):
        quantisation.TernaryWeights().quantise(net, DATA)


def test_inputs_are_quantised_once():
    small = quantisation.XNORNet().quantise(deep(), DATA)
    with pytest.raises(ValueError, match="DoReFaNet: `net` must not have quantised inputs already"):
        quantisation.DoReFaNet(input_bits=2).quantise(small, DATA)
    assert repr(quantisation.BinaryWeights().quantise(small, DATA)).count("signs") == 2


def test_weights_that_are_not_finite_are_refused():
    net = deep()
    net[3].weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="must have finite weights; those of `3` are not"):
        quantisation.BinaryWeights().quantise(net, DATA)


@pytest.mark.parametrize("bits", [0, -1, 9, 2.0, True, None, "2"])
def test_bits_are_from_1_to_8(bits):
    with pytest.raises(ValueError, match="DoReFaNet: `weight_bits` must be an integer from 1 to 8"):
        quantisation.DoReFaNet(weight_bits=bits)
    if bits is not None:
        with pytest.raises(ValueError, match="`input_bits` must be an integer from 1 to 8"):
            quantisation.DoReFaNet(input_bits=bits)


@pytest.mark.parametrize("budget", [None, replace(ADAM, epochs=0.1)])
def test_a_threshold_that_empties_a_layer_is_refused(budget):
    net = deep()
    said = r"^TernaryWeights: a weight must stay in every layer; .*delta=50\) leaves none in `3`$"
    with pytest.raises(ValueError, match=said):
        quantisation.TernaryWeights(budget, delta=50).quantise(net, DATA, progress=False)
    assert not parametrize.is_parametrized(net[3])


@pytest.mark.parametrize("delta", [-0.1, float("nan"), "x"])
def test_a_threshold_is_not_negative(delta):
    with pytest.raises(ValueError, match=r"TernaryWeights: `delta` must be a number >= 0"):
        quantisation.TernaryWeights(delta=delta)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_the_scale_of_signs_follows_the_padding_of_the_layer(mode):
    layer = nn.Conv2d(2, 3, 3, padding=1, padding_mode=mode, bias=False).double()
    x = drawn(2, 2, 6, 6)
    ones = nn.Conv2d(1, 1, 3, padding=1, padding_mode=mode, bias=False).double()
    nn.init.constant_(ones.weight, 1 / 9)
    found = q.Inputs(layer, None)(x)
    torch.testing.assert_close(found, layer(x.sign()) * ones(x.abs().mean(1, keepdim=True)))
    torch.testing.assert_close(q.Inputs(layer, None)(x[0]), found[0])  # one image alone


def test_a_layer_under_two_names_reads_quantised_inputs_under_both():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    net.append(nn.ReLU()).append(net[2]).append(nn.ReLU()).append(nn.Linear(4, 3))
    small = quantisation.XNORNet().quantise(net, DATA, progress=False)
    assert isinstance(small[2], q.Inputs) and small[6] is small[2]


def test_attention_that_reads_weights_of_its_layers_is_refused():
    net = nn.Sequential(nn.Linear(8, 8), nn.TransformerEncoderLayer(8, 2, 8), nn.Linear(8, 3))
    with pytest.raises(ValueError, match=r"^XNORNet: `net` must not have an nn\.Multihead"):
        quantisation.XNORNet().quantise(net, DATA, progress=False)
