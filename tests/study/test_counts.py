"""Counts from widths are those of really shrunk networks, and as the papers count."""

import pytest
import torch

from prunelab import cost, models, surgery
from prunelab.groups import trace
from prunelab.masks import Keep
from prunelab.study.counts import network


@pytest.mark.parametrize("model", ["lenet-300-100-bn", "lenet-5-relu", "resnet-20", "preresnet-20"])
@pytest.mark.parametrize("seed", [0, 1])
def test_counts_from_widths_are_those_of_the_shrunk_network(model, seed):
    net = models.build(model)
    x = torch.zeros((1, 3, 32, 32) if "resnet" in model else (1, 1, 28, 28))
    groups, g = trace(net, x), torch.Generator().manual_seed(seed)
    keep = {name: torch.rand(groups[name].size, generator=g) < 0.5 for name in network(model).whole}
    small = surgery.shrink(net, groups, Keep(keep))
    widths = {name: int(kept.sum()) for name, kept in keep.items()}
    if model == "lenet-5-relu":  # of the flattened map what arrives and is picked
        widths["fc1.inputs"] = small.fc1.weight.shape[1]
    found, measured = network(model).counts(widths), cost.measure(small, x)
    assert (found.weights, found.macs) == (measured.weights, measured.macs)
    assert found.activations < network(model).counts().activations


# papers/vibnet.md, section 4: weights, activations, millions of MACs.
@pytest.mark.parametrize(
    ("model", "classes", "expected"),
    [
        ("vgg-16-fc2", 10, (15_239_872, 308_736, 313.73)),
        ("vgg-16", 10, (14_977_728, 308_224, 313.46)),
        ("vgg-19", 10, (20_024_000, 334_336, 398.14)),
        ("vgg-16", 100, (15_023_808, 308_224, 313.51)),
        ("vgg-19", 100, (20_070_080, 334_336, 398.18)),
    ],
)
def test_whole_networks_count_as_the_paper_counts(model, classes, expected):
    found = network(model, classes).counts()
    assert (found.weights, found.activations, round(found.macs / 1e6, 2)) == expected
    with torch.device("meta"):
        net = models.build(model, classes)
    assert found.weights == sum(p.numel() for p in net.parameters() if p.ndim > 1)


def test_widths_are_written_in_the_order_of_the_network():
    assert network("lenet-300-100").widths({"fc2": 33, "fc1": 71, "fc1.inputs": 97}) == "97-71-33"


def test_an_unknown_network_is_refused():
    with pytest.raises(KeyError, match="alexnet"):
        network("alexnet")
