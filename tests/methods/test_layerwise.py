"""ThiNet, channel regression and slimming on whole networks."""

from copy import deepcopy

import pytest
import torch
import torchvision
from helpers.preresnet import DATA, preresnet
from helpers.toy import dataset
from torch import nn

from prunelab import data, methods, models, surgery, train
from prunelab.groups import trace
from prunelab.groups.wiring import Wiring
from prunelab.methods.reconstruction import layerwise
from prunelab.methods.reconstruction.inherited import shortcut
from prunelab.methods.slimming import norms_of
from prunelab.train import Budget

THREE = dataset(24, channels=3, size=32)


@pytest.fixture(scope="module")
def digits():
    """A pre-activation network that reads digits, and the digits."""
    split = data.load("digits")
    torch.manual_seed(0)
    net = models.build("preresnet-20", 10, 1)
    budget = Budget(4, 0.05, 32, weight_decay=5e-4, nesterov=True, schedule="onecycle")
    train.fit(net, split, budget, progress=False)
    return net, split


def accuracy(net, split, method):
    net = deepcopy(net)
    keep = method.prune(net, split, progress=False)
    small = surgery.shrink(net, trace(net, split.example), keep)
    return train.evaluate(small, split.val).accuracy


def test_least_squares_make_up_for_half_of_the_channels_without_training(digits):
    net, split = digits
    whole = train.evaluate(net, split.val).accuracy
    found = {
        select: accuracy(net, split, methods.ChannelRegression(0.5, images=500, select=select))
        for select in ("lasso", "first", "random")
    }
    plain = accuracy(net, split, methods.FilterNorm(0.5, residual="first"))
    assert whole > 0.95
    assert min(found.values()) > whole - 0.05 > plain + 0.3


def test_thinets_factors_leave_a_smaller_error_than_none(digits):
    net, split = digits
    losses = {}
    for rescale in (True, False):
        pruned = deepcopy(net)
        methods.ThiNet(0.3, images=500, rescale=rescale).prune(pruned, split, progress=False)
        losses[rescale] = train.evaluate(pruned, split.val).loss
    assert losses[True] < losses[False]


@pytest.mark.parametrize("make", [methods.ThiNet, methods.ChannelRegression])
def test_a_ratio_of_0_gives_the_network_itself(make, digits):
    net, split = digits
    pruned = deepcopy(net)
    keep = make(0.0, images=200).prune(pruned, split, progress=False)
    assert all(kept.all() for kept in keep.values())
    x = split.val.batch(slice(0, 8))[0]
    with torch.no_grad():
        torch.testing.assert_close(pruned.eval()(x), net.eval()(x), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "mobilenet_v2", "vgg11_bn", "densenet121"]
)
@pytest.mark.parametrize("make", [methods.ThiNet, methods.ChannelRegression])
def test_torchvisions_networks_shrink_to_what_was_masked(name, make):
    torch.manual_seed(0)
    net = getattr(torchvision.models, name)(num_classes=3)
    inner = trace(net, THREE.example).inner()
    few = dict.fromkeys([*inner][:2], 0.5)
    keep = make(few, images=4, positions=3).prune(net, THREE, progress=False)
    assert list(keep) == list(few)
    small = surgery.shrink(net, trace(net, THREE.example), keep)
    x = THREE.val.batch(slice(0, 2))[0]
    with torch.no_grad():
        torch.testing.assert_close(small.eval()(x), net.eval()(x), rtol=1e-3, atol=1e-4)


def test_what_a_layer_picks_of_a_stream_can_be_chosen(digits):
    net, split = digits
    net, name = deepcopy(net), "layer2.1.conv1.inputs"
    keep = methods.ChannelRegression({name: 0.5}, images=200).prune(net, split, progress=False)
    small = surgery.shrink(net, trace(net, split.example), keep)
    assert small.layer2[1].conv1.weight.shape[:2] == (32, 16)
    assert small.layer2[1].bn1.num_features == 32  # the stream goes on as it was


class Upwards(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.up = nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 6, 3)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        return self.fc(torch.relu(self.up(torch.relu(self.conv(x)))).mean((2, 3)))


def test_what_cannot_be_rebuilt_is_left_out_or_refused_by_name():
    net = Upwards()
    keep = methods.ThiNet(0.5, images=4).prune(net, THREE, progress=False)
    assert list(keep) == ["up"]
    with pytest.raises(ValueError, match=r"^ThiNet: `up` .* be rebuilt: it must be a Conv2d"):
        methods.ThiNet({"conv": 0.5}, images=4).prune(net, THREE, progress=False)
    with pytest.raises(ValueError, match=r"^ThiNet: `net` has no channels that can be rebuilt"):
        methods.ThiNet(0.5).prune(nn.Sequential(nn.Flatten(), nn.Linear(3072, 3)), THREE)


def test_slimming_pushes_scales_to_zero_and_cuts_at_one_threshold(digits):
    net, split = digits
    start, budget = deepcopy(net), Budget(1, 0.02, 32, weight_decay=5e-4)
    sparse, dense = deepcopy(net), deepcopy(net)
    keep = methods.Slimming(0.4, budget, strength=3e-2).prune(sparse, split, progress=False)
    methods.Slimming(0.0, budget, strength=0.0).prune(dense, split, progress=False)
    scaled = norms_of(net, trace(start, split.example), split.example)
    assert set(keep) == set(scaled) and "layer1.1.conv1.inputs" in keep
    sums = [
        sum(n.get_submodule(name).weight.abs().sum() for (name,) in scaled.values())
        for n in (sparse, dense)
    ]
    assert sums[0] < 0.8 * sums[1]
    removed = sum(int((~kept).sum()) for kept in keep.values())
    assert removed == pytest.approx(0.4 * sum(map(len, keep.values())), abs=len(keep))


def test_slimming_removes_at_most_the_share_of_a_layer_that_is_allowed(digits):
    net, split = digits
    budget = Budget(0.02, 0.02, 32)
    net = deepcopy(net)
    net.layer3[0].bn2.weight.data.mul_(1e-6)  # would go as a whole
    for most, least in ((1.0, 1), (0.5, 32)):
        pruned = deepcopy(net)
        keep = methods.Slimming(0.3, budget, 0.0, most=most).prune(pruned, split, progress=False)
        assert int(keep["layer3.0.conv1"].sum()) == least


@pytest.mark.parametrize("name", ["preresnet-20", "resnet-20"])
def test_the_last_layer_of_a_branch_makes_up_for_the_error_of_its_shortcut(name):
    """Where it writes what is asked of it, the block gives what it gave before pruning."""
    whole = preresnet(name=name)
    net = deepcopy(whole)
    with torch.no_grad():
        net.layer1[0].conv2.weight.mul_(1.3)  # an error that the second block inherits
    x, place, seen = DATA.train.batch(slice(0, 4))[0], "layer1.1.conv2", []
    now, then = (Wiring.of(one, x, "test") for one in (net, whole))
    (node, scale), (other, _) = shortcut(now, place), shortcut(then, place)
    found = {}
    for wiring, its in ((now, node), (then, other)):
        wiring.watch([its, wiring.call(place)], lambda n, _, out: found.update({n: out.clone()}))(x)
    inherited = (found[other] - found[node]) * scale.view(-1, 1, 1)
    wanted = found[then.call(place)] + inherited
    net.layer1[1].conv2.register_forward_hook(lambda *_: wanted)
    for one in (whole, net):
        one.layer1[1].register_forward_hook(lambda *args: seen.append(args[-1]))
        with torch.no_grad():
            one(x)
    torch.testing.assert_close(seen[1], seen[0], rtol=1e-3, atol=1e-3)
    assert shortcut(now, "layer1.1.conv1") is None


def test_a_regression_that_sees_the_shortcut_leaves_a_smaller_error(digits, monkeypatch):
    net, split = digits
    losses = []
    for find in (shortcut, lambda *_: None):
        monkeypatch.setattr(layerwise, "shortcut", find)
        pruned = deepcopy(net)
        methods.ChannelRegression(0.7, images=500).prune(pruned, split, progress=False)
        losses.append(train.evaluate(pruned, split.val).loss)
    assert losses[0] < losses[1]
