import pytest
import torch
from helpers.pruning import random_keep
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from prunelab import surgery
from prunelab.cost import Cost, latency, layers, measure
from prunelab.groups import trace
from prunelab.models import build


def flops(net, x):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(x)
    return counter.get_total_flops()


def test_lenet_5_by_hand():
    macs = 24 * 24 * 20 * 25 + 8 * 8 * 50 * 20 * 25 + 800 * 500 + 500 * 10
    assert measure(build("lenet-5"), torch.zeros(7, 1, 28, 28)) == Cost(
        params=431_080,
        weights=20 * 25 + 50 * 20 * 25 + 800 * 500 + 500 * 10,
        macs=macs,
        activations=24 * 24 * 20 + 8 * 8 * 50 + 500 + 10,
    )


@pytest.mark.parametrize(
    ("name", "macs"),
    [("vgg-16", 313_463_808), ("resnet-56", 125_485_696), ("resnet-110", 252_887_680)],
)
def test_the_papers_totals(name, macs):
    found = measure(build(name), torch.zeros(1, 3, 32, 32)).macs
    assert found == layers(build(name), torch.zeros(1, 3, 32, 32)).macs.sum()
    assert found == macs


@pytest.mark.parametrize(
    ("layer", "shape", "out", "macs"),
    [
        (nn.Conv2d(4, 6, 3), (4, 8, 8), (6, 6, 6), 6 * 36 * 4 * 9),
        (nn.Conv2d(4, 6, 3, groups=2), (4, 8, 8), (6, 6, 6), 6 * 36 * 2 * 9),
        (nn.Conv2d(4, 4, 3, groups=4), (4, 8, 8), (4, 6, 6), 4 * 36 * 9),
        (nn.Conv2d(4, 6, 3, dilation=2), (4, 8, 8), (6, 4, 4), 6 * 16 * 4 * 9),
        (nn.Conv2d(4, 6, 3, stride=2, padding=1), (4, 8, 8), (6, 4, 4), 6 * 16 * 4 * 9),
        (nn.ConvTranspose2d(4, 6, 2, stride=2), (4, 8, 8), (6, 16, 16), 4 * 64 * 6 * 4),
        (nn.Conv1d(4, 6, 3), (4, 8), (6, 6), 6 * 6 * 4 * 3),
        (nn.Linear(8, 5), (3, 8), (3, 5), 3 * 8 * 5),
    ],
)
def test_macs_by_hand_agree_with_the_flop_counter(layer, shape, out, macs):
    net, x = nn.Sequential(layer), torch.zeros(2, *shape)
    (row,) = layers(net, x).to_dict("records")
    assert row == {
        "layer": "0",
        "kind": type(layer).__name__,
        "out": out,
        "macs": macs,
        "weights": layer.weight.numel(),
        "params": layer.weight.numel() + layer.bias.numel(),
    }
    assert measure(net, x).macs == macs == flops(net, x) // 4


def test_a_layer_that_runs_twice_costs_twice_and_weighs_once():
    layer = nn.Conv2d(3, 3, 1)
    table = layers(nn.Sequential(layer, layer), torch.zeros(1, 3, 4, 4))
    assert table.macs.tolist() == [2 * 16 * 9]
    assert table.weights.tolist() == [9]


def test_a_layer_over_windows_counts_all_of_them():
    net = nn.Sequential(nn.Unflatten(1, (4, 3)), nn.Flatten(0, 1), nn.Linear(3, 5))
    assert layers(net, torch.zeros(1, 12)).macs.tolist() == [4 * 15]


@pytest.mark.parametrize("name", ["vgg-16", "resnet-56", "preresnet-56"])
def test_a_shrunk_network_costs_what_the_flop_counter_says(name):
    net, x = build(name), torch.zeros(1, 3, 32, 32)
    groups = trace(net, x)
    small = surgery.shrink(net, groups, random_keep(groups))
    found = measure(small, x)
    assert found.macs == layers(small, x).macs.sum() == flops(small, x) // 2
    assert found.params == sum(p.numel() for p in small.parameters())
    assert found.macs < measure(net, x).macs


def test_nothing_runs_on_the_network_itself():
    net = build("resnet-20").train()
    net.register_forward_hook(lambda *_: pytest.fail("the network ran"))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    measure(net, torch.full((2, 3, 32, 32), float("nan")))
    assert net.training
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


@pytest.mark.parametrize("count", [measure, layers, latency])
@pytest.mark.parametrize("shape", [(1, 5, 32, 32), (1, 3, 32), (1, 3, 0, 0)])
def test_an_example_that_does_not_fit_is_one_line(count, shape):
    with pytest.raises(
        ValueError, match=r"(cost|latency): `example` of shape .* does not fit"
    ) as caught:
        count(build("vgg-16"), torch.zeros(shape))
    assert "\n" not in str(caught.value)


def test_latency_counts_its_calls_and_restores_each_mode():
    net = build("lenet-5").train()
    net.conv1.eval()
    calls = []
    net.register_forward_hook(lambda m, *_: calls.append(m.training))
    found = latency(net, torch.zeros(4, 1, 28, 28), calls=5, warmup=2)
    assert calls == [False] * 7
    assert net.training and not net.conv1.training
    assert 0 < found.low <= found.median <= found.high
    assert (found.calls, found.batch) == (5, 4)


def test_latency_of_one_call_is_its_own_spread():
    found = latency(build("lenet-5"), torch.zeros(1, 1, 28, 28), calls=1, warmup=0)
    assert found.low == found.median == found.high


@pytest.mark.parametrize(
    ("name", "least", "value"),
    [("calls", 1, v) for v in (0, -1, 2.5, True, "x", None)]
    + [("warmup", 0, v) for v in (-1, 0.5, False, "x")],
)
def test_latency_counts_only_by_whole_numbers(name, least, value):
    words = rf"^latency: `{name}` must be an integer from {least} to 100000; got {value!r}$"
    with pytest.raises(ValueError, match=words):
        latency(build("lenet-5"), torch.zeros(1, 1, 28, 28), **{name: value})


def test_latency_of_no_sample_is_refused():
    for shape in ((0, 1, 28, 28), ()):
        with pytest.raises(ValueError, match=r"^latency: `example` must hold a sample, got shape "):
            latency(build("lenet-5"), torch.zeros(shape))
