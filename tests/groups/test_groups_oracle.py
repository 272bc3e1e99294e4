"""Torch-Pruning finds the same groups on plain CNNs."""

import pytest
import torch
from torch import nn
from torchvision import models as tv

from prunelab.groups import trace

tp = pytest.importorskip("torch_pruning")
pytestmark = pytest.mark.filterwarnings("ignore")  # of its own code
OUT = {
    tp.prune_conv_out_channels,
    tp.prune_linear_out_channels,
    tp.prune_depthwise_conv_out_channels,
}
IN = {tp.prune_conv_in_channels, tp.prune_linear_in_channels}


def ours(net, groups):
    """{(size, layers written, layers read)}, convolutions and linear layers only."""
    layers = {n: m for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    found = set()
    for group in groups.values():
        ins = frozenset(s.layer for s in group.slices if s.role == "in")
        outs = frozenset(s.layer for s in group.slices if s.role != "in" and s.layer in layers)
        found.add((group.size, outs, ins))
    return found


def theirs(net, x):
    """The same, as Torch-Pruning's dependency graph has it."""
    graph = tp.DependencyGraph().build_dependency(net, x)
    names = {m: n for n, m in net.named_modules()}
    found = set()
    for group in graph.get_all_groups(root_module_types=[nn.Conv2d, nn.Linear]):
        parts = [(d.handler, names.get(d.target.module)) for d, _ in group]
        outs = frozenset(n for handler, n in parts if handler in OUT)
        ins = frozenset(n for handler, n in parts if handler in IN)
        found.add((len(group[0].idxs), outs, ins))
    return found


@pytest.mark.parametrize(
    "name",
    ["alexnet", "vgg11_bn", "resnet18", "resnet50", "mobilenet_v2", "mnasnet0_5", "squeezenet1_1"],
)
def test_torch_pruning_finds_the_same_groups(name):
    net = tv.get_model(name, weights=None).eval()
    x = torch.zeros(1, 3, 64, 64)
    expected = {g for g in theirs(net, x) if g[2]}  # without the network's output
    assert ours(net, trace(net, x)) == expected
