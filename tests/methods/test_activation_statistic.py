import pytest
import torch
from helpers.toy import dataset, split
from torch import nn

from prunelab.groups import trace
from prunelab.methods import ActivationStatistic
from prunelab.methods.activation_statistic import STATISTICS, statistics
from prunelab.models import build


def conv_bn_relu():
    """Batch norm shifts the maps, so that statistics before and after it differ."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(216, 3),
    )
    nn.init.uniform_(net[1].weight, 0.5, 2)
    nn.init.normal_(net[1].bias)
    nn.init.normal_(net[1].running_mean)
    return net


def watched(net, layer, x):
    """The whole output of a layer for all images at once, by a hook; in float64."""
    seen = []
    hook = net.get_submodule(layer).register_forward_hook(lambda m, i, o: seen.append(o.clone()))
    net.eval()
    with torch.no_grad():
        net(x)
    hook.remove()
    return seen[0].double().flatten(2) if seen[0].ndim > 2 else seen[0].double()[:, :, None]


def direct(maps):
    """(N, C, pixels) -> the statistics as the paper writes them, image by image."""
    l2 = (maps**2).sum(2).sqrt()
    return {
        "mean-mean": maps.mean(2).mean(0),
        "mean-std": ((maps - maps.mean(2, keepdim=True)) ** 2).mean(2).sqrt().mean(0),
        "mean-l1": maps.abs().sum(2).mean(0),
        "mean-l2": l2.mean(0),
        "var-l2": ((l2 - l2.mean(0)) ** 2).mean(0),
    }


def scores_of(net, images, layer, batch=7):
    groups = trace(net, images.batch(slice(0, 1))[0]).select([layer])
    return {s: statistics(net, groups, images.batches(batch), s)[layer] for s in STATISTICS}


def test_each_statistic_equals_the_direct_computation_before_batch_norm():
    net, images = conv_bn_relu(), split(20)
    x, _ = images.batch(slice(None))
    found = scores_of(net, images, "0")
    for name, expected in direct(watched(net, "0", x)).items():
        torch.testing.assert_close(found[name], expected, rtol=1e-6, atol=1e-9)


def test_apoz_counts_zeros_after_the_relu():
    net, images = conv_bn_relu(), split(20)
    x, _ = images.batch(slice(None))
    zeros = (watched(net, "2", x) == 0).double().mean((0, 2))
    assert zeros.min() < zeros.max()
    torch.testing.assert_close(scores_of(net, images, "0")["apoz"], 1 - zeros)


def test_a_relu_that_is_a_function_is_found_on_lenet_5():
    torch.manual_seed(1)
    net, images = build("lenet-5", 3), split(12, size=28)
    x, _ = images.batch(slice(None))
    units = watched(net, "fc1", x)[:, :, 0]
    found = scores_of(net, images, "fc1")
    torch.testing.assert_close(found["apoz"], (units > 0).double().mean(0))
    torch.testing.assert_close(found["mean-mean"], units.mean(0), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found["mean-l1"], units.abs().mean(0), rtol=1e-5, atol=1e-6)
    assert not found["mean-std"].any()  # a map of one pixel has no spread


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_apoz_of_a_convolution_never_looks_at_the_relu_of_a_later_layer(layer):
    torch.manual_seed(1)
    net, images = build("lenet-5", 3), split(12, size=28)
    found = scores_of(net, images, layer)["apoz"]
    maps = watched(net, layer, images.batch(slice(None))[0])
    torch.testing.assert_close(found, (maps != 0).double().mean((0, 2)))
    assert found.min() > 0.99  # LeNet-5's convolutions have no ReLU, so next to nothing is zero


def test_a_relu_behind_a_pooling_belongs_to_the_convolution_before_it():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)
    )
    images = split(10)
    after = watched(net, "2", images.batch(slice(None))[0])
    found = scores_of(net, images, "0")["apoz"]
    torch.testing.assert_close(found, (after > 0).double().mean((0, 2)))


def test_a_stream_is_ranked_by_the_sum_over_its_writers():
    torch.manual_seed(0)
    net, images = build("resnet-20", 3, 1), split(6)
    (writers,) = (
        g.producers for n, g in trace(net, torch.zeros(1, 1, 8, 8)).items() if n == "conv1"
    )
    x, _ = images.batch(slice(None))
    found = scores_of(net, images, "conv1")["mean-l1"]
    # Zero padding doubles the widths of the later stages; the stream's 16 channels sit inside.
    offsets = {16: 0, 32: 8, 64: 24}
    total = 0
    for layer in writers:
        part = direct(watched(net, layer, x))["mean-l1"]
        total = total + part[offsets[len(part)] :][:16]
    torch.testing.assert_close(found, total, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("batch", [1, 6, 20])
def test_batching_changes_nothing(batch):
    net, images = conv_bn_relu(), split(20)
    one, other = scores_of(net, images, "0", 20), scores_of(net, images, "0", batch)
    for name in STATISTICS:
        torch.testing.assert_close(one[name], other[name], rtol=1e-6, atol=1e-9)


def test_apoz_removes_the_maps_that_are_zero_most_often():
    net, data = conv_bn_relu(), dataset()
    with torch.no_grad():
        net[1].bias[[1, 4]] = -100.0  # always below zero after batch norm
        net[1].bias[[0, 2, 3, 5]] = 100.0
    keep = ActivationStatistic(0.3, "apoz").prune(net, data, progress=False)["0"]
    assert keep.tolist() == [True, False, True, True, False, True]


@pytest.mark.parametrize("statistic", STATISTICS)
def test_the_maps_of_smallest_score_go(statistic):
    net, data = conv_bn_relu(), dataset()
    keep = ActivationStatistic(0.5, statistic).prune(net, data, progress=False)["0"]
    score = scores_of(net, data.train, "0", 250)[statistic]
    assert int(keep.sum()) == 3
    assert score[~keep].max() <= score[keep].min()


def test_only_the_images_asked_for_are_looked_at():
    net, data = conv_bn_relu(), dataset()
    groups = trace(net, data.example)
    few = statistics(net, groups, data.train[:9].batches(4), "mean-std")["0"]
    keep = ActivationStatistic(0.5, "mean-std", images=9).prune(net, data, progress=False)["0"]
    assert torch.equal(keep, few >= few.sort().values[3])


def test_looking_leaves_modes_and_state_as_they_were():
    net, data = conv_bn_relu(), dataset()
    net.train()
    net[1].eval()
    state = {k: v.clone() for k, v in net.state_dict().items()}
    ActivationStatistic(0.5).prune(net, data, progress=False)
    assert [m.training for m in net] == [True, False, True, True, True]
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())


class Functional(nn.Module):
    """A convolution by function: there is no module whose output could be watched."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 1, 3, 3))
        self.head = nn.Linear(144, 3)

    def forward(self, x):
        return self.head(nn.functional.conv2d(x, self.weight).flatten(1))


def test_bad_input_is_refused():
    data = dataset()
    with pytest.raises(ValueError, match=r"`statistic` must be one of mean-mean, .*; got 'median'"):
        ActivationStatistic(0.5, "median")
    with pytest.raises(ValueError, match="`images` must be an integer >= 1; got 0"):
        ActivationStatistic(0.5, images=0)
    with pytest.raises(TypeError, match="ActivationStatistic: `data` must be a Dataset"):
        ActivationStatistic(0.5).prune(conv_bn_relu(), data.example)
    with pytest.raises(ValueError, match="statistics: there are no images"):
        statistics(conv_bn_relu(), trace(conv_bn_relu(), data.example), [], "apoz")
    net = Functional()
    with pytest.raises(ValueError, match="statistics: `net` does not call `weight`"):
        ActivationStatistic(0.5).prune(net, data, progress=False)
