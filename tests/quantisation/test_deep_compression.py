"""Deep Compression: zeros stay, few values are left, and they learn with summed gradients."""

import copy

import numpy as np
import pytest
import torch
from helpers.toy import dataset, network
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize

from prunelab import methods, quantisation, train
from prunelab.quantisation.deep_compression import Shared, clusters

DATA = dataset()
ADAM = train.Budget(epochs=2, lr=0.01, batch=8, optimizer="adam", weight_decay=0)


def lloyd(values, count):
    """k-means in one dimension, from evenly spaced centres."""
    centres = np.linspace(values.min(), values.max(), count)
    for _ in range(300):
        own = np.abs(values[:, None] - centres).argmin(1)
        centres = np.array([values[own == k].mean() for k in range(count)])
    return centres, own


def test_shared_values_are_those_of_plain_k_means_from_a_linear_start():
    values = torch.rand(200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    codebook, found = clusters(values, 7)
    centres, own = lloyd(values.numpy(), 7)
    np.testing.assert_allclose(codebook.numpy(), centres, atol=1e-4)
    assert np.array_equal(found.numpy(), own)


@given(n=st.integers(0, 30), most=st.integers(1, 255), seed=st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_every_weight_shares_a_value_that_is_there(n, most, seed):
    values = torch.randn(n, generator=torch.Generator().manual_seed(seed))
    codebook, found = clusters(values, most)
    assert len(codebook) <= max(1, min(n, most)) and found.shape == values.shape
    if 0 < n <= most:
        torch.testing.assert_close(codebook[found], values)


def test_the_gradient_of_a_shared_value_is_the_sum_over_its_weights():
    layer = nn.Linear(12, 5)
    layer.weight.data[torch.rand(5, 12) < 0.5] = 0
    zero = layer.weight == 0
    above = torch.randn(5, 12)
    parametrize.register_parametrization(layer, "weight", Shared(2))
    (layer.weight * above).sum().backward()
    codebook = layer.parametrizations.weight.original
    number = layer.parametrizations.weight[0].number
    assert codebook.shape == (3,) and torch.equal(number == 0, zero)
    sums = [above[number == k + 1].sum() for k in range(3)]
    torch.testing.assert_close(codebook.grad, torch.stack(sums))


@pytest.mark.parametrize("bits", [1, 3, {"0": 2, "5": 4}])
def test_zeros_stay_and_few_values_are_left(bits):
    net, prune = network(), methods.Magnitude(0.6)
    small = quantisation.DeepCompression(prune, bits, ADAM).quantise(net, DATA, progress=False)
    keep = prune.prune(net, DATA)
    for name in ("0", "5"):
        weight, most = small[int(name)].weight, bits[name] if isinstance(bits, dict) else bits
        assert not weight[~keep[f"{name}.weight"]].any()
        assert len(weight[weight != 0].unique()) <= 2**most - 1
    assert not any(parametrize.is_parametrized(m) for m in small.modules())


def test_layers_that_are_not_named_stay_in_float():
    method = quantisation.DeepCompression(methods.Magnitude(0.6), {"5": 2})
    small = method.quantise(network(), DATA)
    assert len(small[0].weight.unique()) > 4 >= len(small[5].weight.unique())


def test_shared_values_learn():
    net = network()
    train.fit(net, DATA, ADAM, progress=False)
    made = [
        quantisation.DeepCompression(methods.Magnitude(0.5), 2, budget).quantise(
            net, DATA, progress=False
        )
        for budget in (None, ADAM)
    ]
    losses = [train.evaluate(one, DATA.train).loss for one in made]
    assert losses[1] < losses[0]


def test_weights_that_surgery_leaves_can_be_shared_too():
    surgery = methods.NetworkSurgery(0.5, ADAM, stop=5)
    small = quantisation.DeepCompression(surgery, 3).quantise(network(), DATA, progress=False)
    assert 0 < small[5].weight.count_nonzero() < 0.9 * small[5].weight.numel()
    assert len(small[5].weight.unique()) <= 8


def test_a_run_goes_on_from_its_checkpoints(tmp_path):
    method = quantisation.DeepCompression(methods.Magnitude(0.5, retrain=ADAM), 2, ADAM)
    whole = method.quantise(network(), DATA, progress=False)
    calls = 0
    fit = train.fit

    def stopped(*given, **options):
        nonlocal calls
        calls += 1
        if calls == 2:  # the first training is that of pruning
            raise KeyboardInterrupt
        return fit(*given, **options)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("prunelab.quantisation.deep_compression.train.fit", stopped)
        method.quantise(network(), DATA, progress=False, checkpoint=tmp_path / "work")
    assert [*tmp_path.iterdir()], "nothing was kept"
    again = method.quantise(network(), DATA, progress=False, checkpoint=tmp_path / "work")
    assert all(map(torch.equal, whole.parameters(), again.parameters()))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"bits": 0}, "DeepCompression: `bits` must be an integer from 1 to 8; got 0"),
        ({"bits": {"0": 9}}, "`bits` must be an integer from 1 to 8; got 9"),
        ({"bits": {}}, "`bits` must be an integer from 1 to 8"),
        (
            {"prune": methods.FilterNorm(0.5)},
            "`prune` must be a method that removes single weights",
        ),
        ({"prune": 0.5}, "`prune` must be a method that removes single weights; got 0.5"),
    ],
)
def test_fields_out_of_bounds_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        quantisation.DeepCompression(**{"prune": methods.Magnitude(0.5)} | fields)


@pytest.mark.parametrize("ratio", [1.0, -0.1, float("nan")])
def test_a_ratio_out_of_range_is_refused(ratio):
    with pytest.raises(ValueError, match=r"Magnitude: `ratio` .* must be in \[0, 1\)"):
        quantisation.DeepCompression(methods.Magnitude(ratio))


def test_an_unknown_layer_is_named_before_anything_is_trained():
    method = quantisation.DeepCompression(methods.Magnitude(0.5), {"conv9": 3})
    with pytest.raises(ValueError, match="`bits` must be one of 0, 5; got 'conv9'"):
        method.quantise(network(), DATA)


@pytest.mark.parametrize("bits", [3, {"0": 2}])
def test_what_was_pruned_stays_zero_while_shared_values_are_tuned(bits):
    net, prune = network(), methods.Magnitude(0.6, retrain=ADAM)
    pruned = copy.deepcopy(net)
    prune.prune(pruned, DATA, progress=False)
    compressed = quantisation.DeepCompression(prune, bits, budget=ADAM)
    small = compressed.quantise(net, DATA, progress=False)
    before, after = (dict(one.named_parameters()) for one in (pruned, small))
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert len(moved) > 2  # it was tuned
    for name, parameter in before.items():
        assert torch.equal(parameter == 0, after[name] == 0), name


def test_layers_that_share_a_weight_are_refused():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    net[2].weight = net[0].weight
    compressed = quantisation.DeepCompression(methods.Magnitude(0.5), 2)
    with pytest.raises(
        ValueError, match=r"^DeepCompression: `net` must not share weights; `0` has"
    ):
        compressed.quantise(net, DATA, progress=False)
