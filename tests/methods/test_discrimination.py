"""DCP: where its losses sit, and Algorithm 2 against the literal one."""

from copy import deepcopy

import pytest
import torch
import torchvision
from helpers import literal_dcp
from helpers.preresnet import DATA, preresnet

from prunelab import methods, models, ratios
from prunelab.groups import trace
from prunelab.groups.wiring import Wiring
from prunelab.methods.discrimination.greedy import choose
from prunelab.methods.discrimination.heads import heads_for
from prunelab.methods.discrimination.places import places, positions
from prunelab.methods.discrimination.problem import Problem, only
from prunelab.methods.reconstruction.layerwise import parts_of
from prunelab.methods.reconstruction.readers import readers_of


@pytest.mark.parametrize(
    ("blocks", "losses", "after"),
    [
        (27, 3, [7, 14, 21]),
        (27, 5, [5, 10, 15, 20, 25]),
        (27, 7, [4, 8, 12, 16, 20, 24, 26]),
        (27, 9, [3, 6, 9, 12, 15, 18, 21, 24, 26]),
        (8, 2, [3, 6]),
        (16, 3, [5, 10, 15]),
        (16, 2, [6, 12]),
    ],
)
def test_losses_sit_where_the_authors_code_puts_them(blocks, losses, after):
    assert positions(blocks, losses) == after


@pytest.mark.parametrize(
    ("name", "losses", "found"),
    [
        ("preresnet-56", None, ["layer1.6", "layer2.4", "layer3.2"]),
        ("preresnet-8", None, ["layer2.0"]),
        ("preresnet-8", 0, []),
        ("vgg-19", 2, ["features.conv6", "features.conv12"]),
    ],
)
def test_losses_sit_behind_blocks_or_layers_of_a_network(name, losses, found):
    net = models.build(name)
    assert places(net, torch.zeros(1, 3, 32, 32), losses) == found
    assert net.training


@pytest.mark.parametrize(
    ("size", "left"),
    [
        (16, (12, 8, 5)),
        (32, (23, 16, 10)),
        (64, (45, 32, 20)),
        (128, (90, 64, 39)),
        (256, (180, 128, 77)),
        (512, (359, 256, 154)),
    ],
)
def test_as_many_channels_stay_as_in_the_authors_code(size, left):
    assert tuple(ratios.left(size, rate) for rate in (0.3, 0.5, 0.7)) == left


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("preresnet-20", 9), ("preresnet-56", 27), ("resnet-20", 9), ("vgg-19", 16), ("lenet-5", 3)],
)
def test_blocks_are_residual_blocks_or_layers(name, blocks):
    net = models.build(name, 10)
    size = 28 if name == "lenet-5" else 32
    x = torch.zeros(1, 1 if name == "lenet-5" else 3, size, size)
    found = Wiring.of(net.eval(), x, "test").blocks()
    assert len(found) == blocks == len({*found})


@pytest.mark.parametrize(
    ("name", "blocks"), [("resnet18", 8), ("resnet50", 16), ("mobilenet_v2", 10), ("vgg11_bn", 10)]
)
def test_a_network_cut_at_a_layer_gives_what_it_gave(name, blocks):
    torch.manual_seed(0)
    net = getattr(torchvision.models, name)(num_classes=3).eval()
    x = DATA.train.batch(slice(0, 2))[0].repeat(1, 1, 4, 4)
    wiring, groups = Wiring.of(net, x, "test"), trace(net, x)
    assert len(wiring.blocks()) == blocks
    place, seen = wiring.blocks()[blocks // 2], []
    net.get_submodule(place).register_forward_hook(lambda m, i, out: seen.append(out.clone()))
    with torch.no_grad():
        expected = net(x)
        for group in groups.inner().values():
            layers = [reader.layer for reader in readers_of(net, group)]
            front, rest = wiring.cut(layers, None)
            torch.testing.assert_close(rest(*front(x)), expected)
            if all(wiring.leads(layer, place) for layer in layers):
                front, rest = wiring.cut(layers, place)
                torch.testing.assert_close(rest(*front(x)), seen[0])


@pytest.mark.parametrize(
    ("lam", "reconstruction"), [(1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.3, 0.5)]
)
@pytest.mark.parametrize("place", ["layer1.2", None])
@torch.no_grad()
def test_the_choice_is_that_of_the_literal_algorithm(lam, reconstruction, place):
    """All images are one batch, so the gradient of L_M is that of the batch too."""
    net, whole = preresnet(0).double(), preresnet(1).double()
    x, y = DATA.train.batch(slice(None))
    x, layer = x.double(), "layer1.0.conv2"
    heads = heads_for(net, x, [place], 3, seed=0) if place else {}
    head = heads[place].eval() if place else None
    literal = deepcopy(net), deepcopy(whole)
    method = methods.DiscriminationAware(0.5, lam=lam, reconstruction=reconstruction, passes=3.0)

    group = trace(net, x)["layer1.0.conv1"]
    wirings = [Wiring.of(one, x, "test") for one in (net, whole)]
    parts = parts_of(*wirings, [x], readers_of(net, group), None, torch.Generator())
    front, rest = wirings[0].cut([layer], place)
    layers = [net.get_submodule(layer)]
    with only(layers, net):
        logits = rest if head is None else lambda *values: head(rest(*values))
        problem = Problem(net, parts, logits, front(x), y, reconstruction, lam)
        found = choose(method, problem, 8, torch.Generator(), lambda n: None)

    with torch.enable_grad():
        pair = literal_dcp.Pair(*literal, layer, place, head)
        how = {"lam": lam, "reconstruction": reconstruction, "batch": len(y), "passes": 3}
        order = literal_dcp.choose(pair, x, y, 8, **how)
    assert found["order"].tolist() == order
    torch.testing.assert_close(net.get_submodule(layer).weight, pair.layer.weight)
    error, side = (float(loss) for loss in pair.losses(x, y))
    assert float(found["losses"][-1, 0]) == pytest.approx(error)
    if lam:
        assert float(found["losses"][-1, 1]) == pytest.approx(side)
