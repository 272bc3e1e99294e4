"""What every method promises about the precision of a network, and about data without images."""

from dataclasses import replace

import pytest
import torch
from helpers.every_method import LOOK, METHODS, REBUILT, WEIGHTS, equal, setting, state, traces

every_method = pytest.mark.parametrize("name", METHODS)
precisions = pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)


def pruned(name, dtype, which="convolution"):
    net, data = setting(which)
    net.to(dtype)
    return net, METHODS[name].run(net, data, seed=3, progress=False).keep


def is_pruned_in(net, keep, dtype):
    """Nothing of the network changed its type, became infinite or was emptied."""
    floats = [t for t in net.state_dict().values() if t.is_floating_point()]
    whole = all(t.isfinite().all() for t in floats)
    full = all(kept.any() for key, kept in keep.items() if not key.endswith("bias"))
    return {t.dtype for t in floats} == {dtype} and whole and full


@precisions
@every_method
def test_a_network_of_another_precision_is_pruned_and_keeps_it(name, dtype):
    net, keep = pruned(name, dtype)
    assert is_pruned_in(net, keep, dtype)
    if name in LOOK and dtype == torch.float64:
        assert keep == pruned(name, torch.float32)[1]


@precisions
@pytest.mark.parametrize("name", REBUILT)
def test_a_residual_network_of_another_precision_is_rebuilt_in_it(name, dtype):
    net, keep = pruned(name, dtype, "resnet-20")
    assert is_pruned_in(net, keep, dtype)


@every_method
def test_data_without_training_images_are_refused_in_one_line(name):
    if name in WEIGHTS and name in LOOK:
        pytest.skip("it does not look at data")
    net, data = setting()
    before, weights = traces(net), state(net)
    with pytest.raises(ValueError, match=r"^\w+: `data.train` must hold images; it has none$"):
        METHODS[name].run(net, replace(data, train=data.train[:0]), progress=False)
    assert traces(net) == before and equal(state(net), weights)
