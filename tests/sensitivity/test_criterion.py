"""A criterion of one's own receives what it names; the shipped ones are what their papers say."""

import functools

import numpy as np
import pytest
import torch
from helpers.toy import dataset, network
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18

import prunelab
from prunelab import groups, sensitivity, surgery, widgets
from prunelab.data.tensors import as_split
from prunelab.sensitivity.examples import EXAMPLES

DATA = dataset(n=40)


def ranked(net, criterion, data=DATA.train, **options):
    found = groups.trace(net, DATA.example.to(next(net.parameters()).dtype))
    return sensitivity.ranking(net, found, criterion, data, **options)


class Block(nn.Module):
    """A stream with two writers; the sum is added in place, and the ReLU works in place."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.inner = nn.Conv2d(4, 5, 3, padding=1)
        self.norm = nn.BatchNorm2d(5)
        self.last = nn.Conv2d(5, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = self.first(x)
        y = self.last(F.relu(self.norm(self.inner(F.relu(x))), inplace=True))
        y += x
        return self.head(F.relu_(y).mean((2, 3)))


def block():
    torch.manual_seed(0)
    return Block().eval()


def test_activations_and_gradients_are_those_of_each_image_even_if_overwritten_later():
    net, seen = block(), {}

    @prunelab.criterion(images=7)
    def watch(activations, gradients, group, images, labels):
        seen.setdefault(group.name, []).append((activations, gradients, images, labels))
        return torch.ones(group.size)

    ranked(net, watch)
    x, y = DATA.train.batch(slice(0, 7))
    inner = F.relu(net.norm(net.inner(F.relu(net.first(x)))))
    stream = F.relu(net.last(inner) + net.first(x))
    for value, (activations, gradients, images, labels) in zip(
        (inner, stream), (seen["inner"][0], seen["first"][-1])
    ):
        value = value.detach().requires_grad_()
        rest = value if value.shape[1] == 4 else F.relu(net.last(value) + net.first(x))
        loss = F.cross_entropy(net.head(rest.mean((2, 3))), y, reduction="sum")
        (slope,) = torch.autograd.grad(loss, value)
        assert torch.allclose(activations, value.detach().flatten(2), atol=1e-6)
        assert torch.allclose(gradients, slope.flatten(2), atol=1e-6)
        assert torch.equal(images, x) and torch.equal(labels, y)
    assert len(seen["first"]) == 2 and len(seen["inner"]) == 1  # once for each writer


def test_taylor_predicts_how_the_loss_changes_when_a_channel_goes():
    # To first order: with channels scaled by 1 - t the loss changes by -t sum(a dL/da).
    net = block().double()
    x, y = DATA.train.batch(slice(0, 64), torch.float64)
    inner = F.relu(net.norm(net.inner(F.relu(net.first(x))))).detach()
    found = ranked(net, prunelab.criterion(lambda activations, gradients: (
        (activations * gradients).sum((0, 2))
    ), images=64))["inner"]  # fmt: skip

    def loss(scale):
        out = net.head(F.relu(net.last(inner * scale) + net.first(x)).mean((2, 3)))
        return F.cross_entropy(out, y, reduction="sum")

    for channel in range(5):
        scale = torch.ones(1, 5, 1, 1, dtype=torch.float64)
        scale[0, channel] -= 1e-5
        change = (loss(scale) - loss(torch.ones_like(scale))) / -1e-5
        assert found[channel].item() == pytest.approx(change.item(), rel=1e-3, abs=1e-6)


def test_the_shipped_ones_are_what_they_say():
    net, first = block(), DATA.train[:64]
    weight = net.inner.weight.detach().flatten(1)
    distances = (weight[:, None] - weight[None]).norm(dim=2).sum(1)
    assert torch.allclose(ranked(net, "geometric median")["inner"], distances, atol=1e-5)
    net.norm.weight.data = torch.tensor([0.5, -2.0, 0.1, 1.0, 0.0])
    found = prunelab.criterion(lambda scales: scales)
    scanned = groups.trace(net, DATA.example).select(["inner"])
    assert sensitivity.ranking(net, scanned, found)["inner"].tolist() == pytest.approx(
        [0.5, 2.0, 0.1, 1.0, 0.0]
    )
    x, _ = first.batch(slice(0, 64))
    maps = F.relu(net.norm(net.inner(F.relu(net.first(x)))))
    expected = maps.abs().mean((0, 2, 3))
    assert torch.allclose(ranked(net, "mean activation")["inner"], expected, atol=1e-6)
    assert set(EXAMPLES) == {"taylor", "batch norm", "geometric median", "mean activation"}


def test_a_norm_written_as_a_criterion_is_the_norm():
    own = prunelab.criterion(lambda weights: weights.abs().sum(1))
    torch.manual_seed(1)
    for net, example in ((network(), DATA.example), (resnet18(), torch.zeros(1, 3, 64, 64))):
        found = groups.trace(net, example)
        for name, score in sensitivity.ranking(net, found, own).items():
            expected = sensitivity.ranking(net, found, "l1")[name]
            assert torch.allclose(score, expected, rtol=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(5)))
def test_scores_move_with_the_channels(order):
    net, again = block(), block()
    index = torch.tensor(order)
    for name in ("inner.weight", "inner.bias", "norm.weight", "norm.bias"):
        again.get_parameter(name).data = net.get_parameter(name).data[index]
    again.last.weight.data = net.last.weight.data[:, index]
    for name in ("taylor", "geometric median", "mean activation"):
        one, other = (ranked(n, name)["inner"] for n in (net, again))
        assert torch.allclose(one[index], other, rtol=1e-4, atol=1e-6)


def test_it_serves_scan_explorer_and_a_network_of_torchvision():
    net = network()
    scanned = sensitivity.scan(
        net, DATA.val, ratios=[0.5], criterion="taylor", cache=False, progress=False
    )
    order = ranked(net, "taylor", DATA.val)
    keep = {"0": prunelab.scores.best(order["0"], 2)}
    small = surgery.shrink(net, groups.trace(net, DATA.example), keep)
    right = prunelab.train.evaluate(small, DATA.val).accuracy
    assert scanned.set_index("group").accuracy["0"] == right
    box = widgets.explorer(net, DATA, criterion=EXAMPLES["taylor"], ratios={"0": 0.5})
    expected = ranked(net, "taylor", DATA.train)["0"]
    assert torch.equal(box.source.order["0"], expected)  # training images, as there are some
    assert "ranking(net, groups, criterion, data.train)" in box.code.value
    box.wait(60).close()
    photos = as_split((torch.randn(4, 3, 64, 64), torch.arange(4)))
    big = resnet18(num_classes=10).eval()
    found = groups.trace(big, photos.batch(slice(0, 1))[0])
    scores = sensitivity.ranking(big, found, "taylor", photos)
    assert all(s.isfinite().all() and s.std() > 0 for s in scores.values())
    assert all(p.grad is None for p in big.parameters()) and not big.training


def test_frozen_weights_and_a_training_network_are_no_obstacle():
    net = network().train().requires_grad_(False)
    assert all(s.isfinite().all() for s in ranked(net, "taylor").values())
    assert net.training


def test_a_criterion_can_be_tried_by_hand():
    weights = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    assert EXAMPLES["geometric median"](weights).tolist() == [5.0, 5.0]


class Mixer(nn.Module):
    """A linear layer that reads and writes channels last."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 8, 3)
        self.l1, self.l2 = nn.Linear(8, 12), nn.Linear(12, 3)

    def forward(self, x):
        return self.l2(F.relu(self.l1(self.a(x).permute(0, 2, 3, 1)))).mean((1, 2))


def test_a_linear_layer_has_its_channels_last():
    torch.manual_seed(0)
    net = Mixer().eval()
    found = ranked(net, prunelab.criterion(lambda activations: activations.mean((0, 2)), images=9))
    x, _ = DATA.train.batch(slice(0, 9))
    expected = F.relu(net.l1(net.a(x).permute(0, 2, 3, 1))).mean((0, 1, 2))
    assert torch.allclose(found["l1"], expected, atol=1e-6)
    box = widgets.explorer(net, DATA, scan=False, groups=["l1"]).wait(60)
    assert list(box.source.sizes) == ["l1"] and box.inside.grid.size == 12
    assert (box.inside.grid.maps["h"], box.inside.grid.maps["w"]) == (6, 6)
    box.close()


def test_a_criterion_may_write_into_what_it_receives():
    net, images = block(), DATA.train.batch(slice(0, 8))
    state = {name: value.clone() for name, value in net.state_dict().items()}
    kept = [value.clone() for value in images]

    @prunelab.criterion
    def spoils(weights, activations, gradients, scales, images, labels):
        for value in (weights, activations, gradients, scales, images, labels):
            value.zero_()
        return torch.arange(len(weights))

    groups_ = groups.trace(net, DATA.example).select(["inner"])
    sensitivity.ranking(net, groups_, spoils, tuple(images))
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert all(map(torch.equal, images, kept))


@pytest.mark.parametrize("kind", [list, np.asarray])
def test_scores_may_be_a_list_or_an_array(kind):
    own = prunelab.criterion(lambda weights: kind(weights.abs().sum(1).numpy()))
    for name, score in ranked(block(), own).items():
        assert torch.allclose(score.float(), ranked(block(), "l1")[name])


def test_gradients_are_there_whatever_the_caller_has_switched_off():
    net, expected = block(), ranked(block(), "taylor")
    for off in (torch.no_grad, torch.inference_mode):
        with off():
            found = ranked(net, "taylor")
        assert all(torch.allclose(found[name], expected[name]) for name in expected)


def test_a_function_without_a_name_is_named_by_its_kind():
    with pytest.raises(ValueError, match=r"`partial` must name what it takes.*got `p`"):
        prunelab.criterion(functools.partial(lambda weights, p: weights, p=1))


def test_a_pair_of_tensors_and_a_transposed_convolution_are_scanned():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.ConvTranspose2d(6, 8, 2), nn.ReLU(),
        nn.Conv2d(8, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    ).eval()  # fmt: skip
    pair = torch.randn(12, 3, 8, 8), torch.arange(12) % 3
    scanned = sensitivity.scan(net, pair, ratios=[0.5], cache=False, progress=False)
    found = groups.trace(net, pair[0])
    order = sensitivity.ranking(net, found, "l1")
    for row in scanned.to_dict("records"):
        keep = {row["group"]: prunelab.scores.best(order[row["group"]], row["kept"])}
        small = surgery.shrink(net, found, keep)
        assert row["accuracy"] == prunelab.train.evaluate(small, as_split(pair)).accuracy
    assert len(sensitivity.each_channel(net, pair, "0")) == 18


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: prunelab.criterion(3), TypeError, "`function` must be a function of weights, "),
        (lambda: prunelab.criterion(lambda: 1), ValueError, "some of weights, .*got `nothing`"),
        (lambda: prunelab.criterion(lambda filters: 1), ValueError, "weights.*got `filters`"),
        (lambda: prunelab.criterion(lambda *weights: 1), ValueError, "weights.*got `weights`"),
        (lambda: prunelab.criterion(torch.sum), ValueError, "`sum` must name what it takes"),
        (
            lambda: ranked(block(), prunelab.criterion(lambda weights: weights.sum(1) / 0)),
            ValueError,
            "got Tensor of shape \\(4,\\), 4 of them not finite",
        ),
        (
            lambda: ranked(block(), prunelab.criterion(lambda weights: "much")),
            ValueError,
            "4 finite scores for `first`; got 'much'",
        ),
        (lambda: prunelab.criterion(images=0), ValueError, "`images` must be an integer >= 1"),
        (lambda: ranked(network(), "taylor", None), ValueError, "`taylor` needs activations, grad"),
        (lambda: ranked(block(), "batch norm"), ValueError, "`batch_norm` needs scales; no norm"),
        (lambda: ranked(network(), "median"), ValueError, "one of l1, l2, .*taylor, batch norm"),
        (
            lambda: ranked(network(), prunelab.criterion(lambda weights: weights)),
            ValueError,
            "`criterion` must be a source of 4 finite scores for `0`; got Tensor of shape",
        ),
        (
            lambda: ranked(network(), prunelab.criterion(lambda weights: weights.nothing)),
            AttributeError,
            "nothing",
        ),
    ],
)
def test_bad_input_is_one_line(make, error, words):
    with pytest.raises(error, match=words) as found:
        make()
    assert "\n" not in str(found.value)
