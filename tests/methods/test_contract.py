"""What every method promises. A new method is one line in `METHODS`, or in `WEIGHTS`."""

import pytest
import torch
from helpers.toy import dataset, network

from prunelab import scores, surgery
from prunelab.groups import trace
from prunelab.methods import ActivationStatistic, FilterNorm, Magnitude, NetworkSurgery
from prunelab.methods.activation_statistic import STATISTICS
from prunelab.models import build
from prunelab.train import Budget

BUDGET = Budget(epochs=1, lr=0.05, batch=8)
# Name -> (a method at a ratio, whether it only looks at the network).
METHODS = {
    "filter norm l1": (lambda r: FilterNorm(r), True),
    "filter norm l2": (lambda r: FilterNorm(r, norm="l2"), True),
    "filter norm largest": (lambda r: FilterNorm(r, select="largest"), True),
    "filter norm random": (lambda r: FilterNorm(r, select="random"), True),
    "filter norm greedy": (lambda r: FilterNorm(r, strategy="greedy"), True),
    "filter norm shortcut": (lambda r: FilterNorm(r, residual="shortcut"), True),
    "filter norm in rounds": (lambda r: FilterNorm(r, rounds=2, retrain=BUDGET), False),
    **{s: (lambda r, s=s: ActivationStatistic(r, s), True) for s in STATISTICS},
}
# Methods that remove single weights.
WEIGHTS = {
    "surgery": NetworkSurgery(0.5, BUDGET, 2),
    "surgery, convolutions first": NetworkSurgery(0.5, BUDGET, 2, phases="convolutions first"),
    "magnitude": Magnitude(0.7),
    "magnitude in rounds": Magnitude(0.7, rounds=2, retrain=BUDGET),
    "magnitude by deviation": Magnitude(q=0.8),
}
NETS = {
    "convolution": (network, 8),
    "lenet-5": (lambda: build("lenet-5", 3), 28),
    "resnet-20": (lambda: build("resnet-20", 3, 1), 8),
}
LOOKING = [name for name, (_, looks) in METHODS.items() if looks]
every_method = pytest.mark.parametrize("name", METHODS)
every_weight_method = pytest.mark.parametrize("method", WEIGHTS.values(), ids=WEIGHTS.keys())
every_net = pytest.mark.parametrize("which", NETS)


def setting(which):
    maker, size = NETS[which]
    torch.manual_seed(5)
    return maker(), dataset(16, size=size)


def prune(name, net, data, ratio=0.5, seed=0):
    return METHODS[name][0](ratio).prune(net, data, seed=seed, progress=False)


def traces_left(net):
    """All that a method could forget on a network: hooks, attributes, names, flags."""
    hooks = [len(v) for m in net.modules() for k, v in vars(m).items() if k.endswith("_hooks")]
    attributes = [sorted(vars(m)) for m in net.modules()]
    flags = [(n, p.requires_grad, p.grad is None) for n, p in net.named_parameters()]
    shapes = [(k, v.shape, v.dtype) for k, v in net.state_dict().items()]
    return hooks, attributes, flags, shapes, [m.training for m in net.modules()]


@every_net
@every_method
def test_a_keep_has_the_groups_the_sizes_and_the_ratio_asked_for(name, which):
    net, data = setting(which)
    groups = trace(net, data.example)
    keep = prune(name, net, data, 0.4)
    assert list(keep) == list(groups)
    for group, kept in keep.items():
        assert kept.dtype == torch.bool
        assert kept.shape == (groups[group].size,)
        assert int(kept.sum()) == scores.kept(groups[group].size, 0.4)


@every_method
def test_the_same_seed_gives_the_same_keep(name):
    first, second = (prune(name, *setting("lenet-5"), seed=3) for _ in range(2))
    assert first == second


@every_net
@every_method
def test_nothing_is_left_on_the_network(name, which):
    net, data = setting(which)
    before = traces_left(net)
    prune(name, net, data)
    assert traces_left(net) == before


@every_net
@pytest.mark.parametrize("name", LOOKING)
def test_a_method_that_only_looks_changes_no_bit(name, which):
    net, data = setting(which)
    state = {k: v.clone() for k, v in net.state_dict().items()}
    random = torch.get_rng_state()
    prune(name, net, data)
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


@every_method
def test_ratio_0_keeps_all(name):
    keep = prune(name, *setting("convolution"), ratio=0)
    assert all(bool(kept.all()) for kept in keep.values())


@every_method
def test_no_group_is_emptied(name):
    keep = prune(name, *setting("convolution"), ratio=0.999)
    assert keep.widths() == dict.fromkeys(keep, 1)


@every_method
def test_ratios_by_name_prune_these_groups_only(name):
    keep = prune(name, *setting("lenet-5"), ratio={"fc1": 0.9, "conv1": 0.25})
    assert keep.widths() == {"conv1": 15, "fc1": 50}  # in order of execution


@every_net
@every_method
def test_the_shrunk_network_computes_what_the_masked_one_does(name, which):
    net, data = setting(which)
    keep = prune(name, net, data)
    net = net.double().eval()
    groups = trace(net, data.example.double())
    x = torch.randn(4, *data.example.shape[1:], dtype=torch.float64)
    with torch.no_grad():
        small = surgery.shrink(net, groups, keep)(x)
        torch.testing.assert_close(small, surgery.masked(net, groups, keep)(x), rtol=1e-9, atol=0)
        assert not torch.allclose(small, net(x))


@every_method
def test_a_ratio_outside_0_to_1_is_refused_before_anything_is_done(name):
    with pytest.raises(ValueError, match=r"must be in \[0, 1\), got 1.5"):
        METHODS[name][0](1.5)


@every_method
def test_an_unknown_group_is_refused(name):
    with pytest.raises(ValueError, match="no group `nose`; groups are conv1, conv2, fc1"):
        prune(name, *setting("lenet-5"), ratio={"nose": 0.5})


@every_net
@every_weight_method
def test_single_weights_are_zero_where_the_keep_says_so_and_nothing_else_is_left(method, which):
    net, data = setting(which)
    before = traces_left(net)
    keep = method.prune(net, data, progress=False)
    assert traces_left(net) == before
    tensors = dict(net.named_parameters())
    for name, kept in keep.items():
        assert kept.shape == tensors[name].shape
        assert not tensors[name][~kept].any() and kept.any() == tensors[name].any()
    layers = {name.rpartition(".")[0] for name in keep}
    assert all(keep[f"{layer}.weight"].any() for layer in layers)


@every_weight_method
def test_the_same_seed_gives_the_same_weights(method):
    nets, keeps = [], []
    for _ in range(2):
        net, data = setting("lenet-5")
        keeps.append(method.prune(net, data, seed=3, progress=False))
        nets.append(net.state_dict())
    assert keeps[0] == keeps[1]
    assert all(torch.equal(nets[0][k], nets[1][k]) for k in nets[0])
