"""What every method promises. A new method is a line in `helpers/every_method.py`."""

import json
import os
import subprocess
import sys
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
from helpers.every_method import (
    CHANNELS,
    LOOK,
    METHODS,
    NETS,
    REBUILT,
    TRAIN,
    UNFIT,
    UNITS,
    WEIGHTS,
    equal,
    setting,
    state,
    traces,
)
from torch import nn

from prunelab import methods, scores, surgery
from prunelab.data import Dataset
from prunelab.groups import trace
from prunelab.methods.base import Pruned
from prunelab.study.recipes import digest, plain
from prunelab.train import Budget

ROOT = Path(__file__).resolve().parents[2]
every_method = pytest.mark.parametrize("name", METHODS)
every_net = pytest.mark.parametrize("which", NETS)
of_channels = pytest.mark.parametrize("name", CHANNELS)


@dataclass
class Run:
    """A run of a method, shared by tests, which change nothing of it."""

    net: nn.Module
    data: Dataset
    before: tuple  # traces on the network
    random: bool  # whether torch's generator is as it was
    done: Pruned


@cache
def run(name, which="convolution", seed=3):
    if (name, which) in UNFIT:
        pytest.skip("it cannot take this network")
    net, data = setting(which)
    before, random = traces(net), torch.get_rng_state()
    done = METHODS[name].run(net, data, seed=seed, progress=False)
    return Run(net, data, before, torch.equal(torch.get_rng_state(), random), done)


def prune(name, net, data, ratio):
    return CHANNELS[name](ratio).prune(net, data, progress=False)


def test_every_method_is_held_to_this():
    missing = set(methods.__all__) - {type(method).__name__ for method in METHODS.values()}
    assert not missing, f"add {missing} to CHANNELS, WEIGHTS or UNITS of helpers/every_method.py"


@every_method
def test_prune_gives_the_keep_of_run_and_the_same_seed_the_same_bits(name):
    first, (net, data) = run(name), setting()
    assert type(first.done) is Pruned
    assert METHODS[name].prune(net, data, seed=3, progress=False) == first.done.keep
    assert equal(state(net), state(first.net))


@pytest.mark.parametrize(("name", "which"), UNFIT)
def test_what_a_method_cannot_take_is_refused_and_left_as_it_was(name, which):
    net, data = setting(which)
    before, weights = traces(net), state(net)
    with pytest.raises(ValueError, match=UNFIT[name, which]) as error:
        METHODS[name].run(net, data, progress=False)
    assert "\n" not in str(error.value)
    assert traces(net) == before and equal(state(net), weights)


@pytest.mark.parametrize("name", TRAIN)
def test_another_seed_gives_other_bits(name):
    assert not equal(state(run(name).net), state(run(name, seed=4).net))


@every_method
def test_a_method_is_data_that_survives_json_and_has_a_key(name):
    method = METHODS[name]
    stored = json.loads(json.dumps(plain(method)))
    assert stored.pop("kind") == type(method).KIND
    for field, value in stored.items():
        if isinstance(value, dict) and value.pop("kind", None) == Budget.KIND:
            stored[field] = Budget(**value)
    again = type(method)(**stored)
    assert again == method and digest(again) == digest(method)


def digests():
    """Name -> a number for all bits of keep and weights, in a fresh process too."""
    out = {}
    for name in METHODS:
        found = run(name)
        tensors = [*found.done.keep.values(), *found.net.state_dict().values()]
        out[name] = sum(float(t.double().abs().sum()) for t in tensors)
    return out


def test_another_process_gives_the_same_bits():
    code = "import json, test_contract; print(json.dumps(test_contract.digests()))"
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "methods")))
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == digests()


@every_net
@every_method
def test_nothing_is_left_on_the_network_and_no_layer_is_emptied(name, which):
    found = run(name, which)
    assert traces(found.net) == found.before
    assert found.random
    assert all(p.isfinite().all() for p in found.net.parameters())
    assert all(kept.any() for key, kept in found.done.keep.items() if not key.endswith("bias"))
    assert bool(found.done.history) == (name in TRAIN)


@every_net
@pytest.mark.parametrize("name", [name for name in LOOK if name in CHANNELS])
def test_a_method_that_only_looks_changes_no_bit(name, which):
    assert equal(state(run(name, which).net), state(setting(which)[0]))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("net", {}),
        ("data", None),
        ("data", "digits"),
        ("seed", -1),
        ("seed", 1.5),
        ("progress", "yes"),
        ("checkpoint", 5),
        ("watch", "print"),
    ],
)
@every_method
def test_a_wrong_argument_is_refused_in_one_line_and_the_network_is_as_it_was(
    name, argument, value
):
    if argument == "data" and name in WEIGHTS and name in LOOK:
        pytest.skip("it does not look at data")
    net, data = setting()
    before, weights = traces(net), state(net)
    arguments = {"net": net, "data": data, "progress": False, argument: value}
    with pytest.raises((TypeError, ValueError), match=rf"^\w+: `{argument}` must be ") as error:
        METHODS[name].run(**arguments)
    assert "\n" not in str(error.value)
    assert traces(net) == before and equal(state(net), weights)


# Channels by a ratio


@every_net
@of_channels
def test_a_keep_has_the_groups_the_sizes_and_the_ratio_asked_for(name, which):
    found = run(name, which)
    groups, keep = trace(found.net, found.data.example), found.done.keep
    assert list(keep) == list(groups.inner() if name in REBUILT else groups)
    for group, kept in keep.items():
        assert kept.dtype == torch.bool
        assert kept.shape == (groups[group].size,)
        assert int(kept.sum()) == scores.kept(groups[group].size, 0.5)


@pytest.mark.filterwarnings("ignore:DiscriminationAware. no channel was removed")
@of_channels
def test_ratio_0_keeps_all_and_a_ratio_near_1_keeps_one(name):
    assert all(bool(kept.all()) for kept in prune(name, *setting(), 0).values())
    keep = prune(name, *setting(), 0.999)
    assert keep.widths() == dict.fromkeys(keep, 1)


@of_channels
def test_ratios_by_name_prune_these_groups_only(name):
    keep = prune(name, *setting("lenet-5"), {"fc1": 0.9, "conv1": 0.25})
    assert keep.widths() == {"conv1": 15, "fc1": 50}  # in order of execution


@of_channels
def test_a_ratio_outside_0_to_1_is_refused_before_anything_is_done(name):
    with pytest.raises(ValueError, match=r"must be in \[0, 1\), got 1.5"):
        CHANNELS[name](1.5)


@of_channels
def test_an_unknown_group_is_refused(name):
    with pytest.raises(ValueError, match="no group `nose`; groups are conv1, conv2, fc1"):
        prune(name, *setting("lenet-5"), {"nose": 0.5})


@every_net
@pytest.mark.parametrize("name", [*CHANNELS, *UNITS])
def test_the_shrunk_network_computes_what_the_masked_one_does(name, which):
    found = run(name, which)
    net, keep, example = deepcopy(found.net).double().eval(), found.done.keep, found.data.example
    groups = trace(net, example.double())
    x = torch.randn(4, *example.shape[1:], dtype=torch.float64)
    with torch.no_grad():
        small, whole = surgery.shrink(net, groups, keep)(x), net(x)
        torch.testing.assert_close(
            small, surgery.masked(net, groups, keep)(x), rtol=1e-9, atol=1e-12
        )
        if name in UNITS or name in REBUILT:  # the network that was trained is its own mask
            torch.testing.assert_close(small, whole, rtol=1e-9, atol=1e-12)
        elif name in LOOK:
            assert not torch.allclose(small, whole)


# Single weights


@every_net
@pytest.mark.parametrize("name", WEIGHTS)
def test_single_weights_are_zero_where_the_keep_says_so(name, which):
    keep, tensors = run(name, which).done.keep, dict(run(name, which).net.named_parameters())
    for key, kept in keep.items():
        assert kept.shape == tensors[key].shape
        assert not tensors[key][~kept].any() and kept.any() == tensors[key].any()
    layers = {key.rpartition(".")[0] for key in keep}
    assert all(keep[f"{layer}.weight"].any() for layer in layers)
