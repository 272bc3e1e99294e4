"""Layers that cannot be rebuilt, or hardly: refused by name, or warned of with both numbers."""

import warnings
from copy import deepcopy

import pytest
import torch
from helpers.preresnet import DATA, preresnet
from helpers.toy import dataset
from torch import nn

from prunelab import methods, models
from prunelab.data import Split
from prunelab.groups.wiring import Wiring
from prunelab.methods.discrimination.algorithm import Algorithm
from prunelab.methods.stages import Options
from prunelab.train import Budget

STILL = Budget(epochs=0.01, lr=1e-12, batch=8, weight_decay=0.0)
PLACE = "layer2.1.conv1"
MAKERS = {
    "ThiNet": lambda ratios: methods.ThiNet(ratios, images=12),
    "ThiNet, growing": lambda ratios: methods.ThiNet(ratios, images=12, rule="keep"),
    "ChannelRegression": lambda ratios: methods.ChannelRegression(ratios, images=12),
    "DiscriminationAware": lambda ratios: methods.DiscriminationAware(
        ratios, images=12, finetune=STILL, step=8, losses=0
    ),
}
each = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@pytest.fixture(scope="module")
def net():
    return preresnet()


def dead(net, zero_kernels):
    """A network one of whose layers reads nothing but zeros, or multiplies all with 0."""
    net = deepcopy(net)
    with torch.no_grad():
        if zero_kernels:
            net.layer2[1].conv2.weight.zero_()
        else:
            net.layer2[1].bn2.weight.zero_()
            net.layer2[1].bn2.bias.fill_(-1.0)  # relu gives 0
    return net


@pytest.mark.parametrize("zero_kernels", [False, True])
@each
def test_a_dead_layer_keeps_channels_and_goes_on_writing_nothing(net, make, zero_kernels):
    pruned = dead(net, zero_kernels)
    keep = make({PLACE: 0.5}).prune(pruned, DATA, progress=False)[PLACE]
    assert keep.any() and not keep.all()
    if make is MAKERS["ChannelRegression"]:
        assert keep.nonzero()[:, 0].tolist() == [*range(16)]
    if zero_kernels and make is MAKERS["DiscriminationAware"]:
        return  # its fine-tuning moves the kernels, whose inputs are not 0
    x = torch.randn(2, 32, 8, 8)
    with torch.no_grad():  # the block is its shortcut
        assert torch.equal(pruned.layer2[1].eval()(x), x)


@each
def test_weights_that_are_not_finite_are_refused_by_name(net, make):
    broken = deepcopy(net)
    broken.layer1[0].conv1.weight.data[0, 0, 0, :2] = torch.nan
    said = r"^\w+: `net` must have finite weights; 2 of 2304 numbers of `layer1.0.conv1.weight` are"
    with pytest.raises(ValueError, match=said) as error:
        make({PLACE: 0.5}).prune(broken, DATA, progress=False)
    assert "\n" not in str(error.value)


@each
def test_activations_that_are_not_finite_are_refused_with_the_layer(net, make):
    broken = deepcopy(net)
    broken.layer2[1].bn2.weight.data.fill_(3e38)  # finite, but times 2 it is not
    if make is MAKERS["DiscriminationAware"]:
        said, kind = "loss", RuntimeError  # its training comes first
    else:
        said, kind = r"^\w+: `layer2.1.conv2` must read and write finite numbers", ValueError
    with pytest.raises(kind, match=said) as error:
        make({PLACE: 0.5}).prune(broken, DATA, progress=False)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "unknowns"), [(methods.ThiNet, 16), (methods.ChannelRegression, 144)]
)
def test_fewer_rows_than_columns_are_warned_of_with_both_numbers(net, make, unknowns):
    said = rf"^{make.__name__}: `layer2.1.conv2` is rebuilt from 6 rows .* the {unknowns} columns"
    with pytest.warns(UserWarning, match=said):
        make({PLACE: 0.5}, images=3, positions=2).prune(deepcopy(net), DATA, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        enough = make({PLACE: 0.5}, images=24, positions=6)  # 144 rows
        enough.prune(deepcopy(net), DATA, progress=False)


@pytest.mark.parametrize("name", ["ThiNet", "ChannelRegression", "DiscriminationAware"])
def test_a_network_of_one_layer_is_refused_for_what_it_is(name):
    flat, data = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), dataset(8)
    said = rf"^{name}: `net` has no channels that can be rebuilt: no layer reads another one"
    with pytest.raises(ValueError, match=said):
        MAKERS[name](0.5).prune(flat, data, progress=False)


def test_discrimination_that_removes_nothing_says_so_and_why(net):
    for fields, why in (
        ({}, "each of `ratios` is 0"),
        ({"ratios": {PLACE: 0.01}}, "each of `ratios` is 0, or too small"),
        ({"ratios": {PLACE: 0.0}, "epsilon": 1e-12}, "no layer stopped at `epsilon` 1e-12"),
    ):
        method = methods.DiscriminationAware(**fields, images=8, finetune=STILL, losses=0, step=8)
        with pytest.warns(UserWarning, match=f"^DiscriminationAware: no channel was .*: {why}"):
            assert method.prune(deepcopy(net), DATA, progress=False)[PLACE].all()


def test_slimming_with_equal_scales_says_how_many_go(net):
    fresh = models.build("preresnet-20", 3, 3)
    method = methods.Slimming(0.5, Budget(epochs=0.01, lr=1e-12, batch=8), strength=0.0, start=0.5)
    said = r"^Slimming: (\d+) of \1 scales are equal to the threshold 0.5, so that \1 are at or"
    with pytest.warns(UserWarning, match=said):
        keep = method.prune(fresh, DATA, progress=False)
    assert keep.widths() == dict.fromkeys(keep, 1)


@pytest.mark.parametrize("field", ["images", "labels"])
def test_a_split_without_images_or_labels_is_refused_in_one_line(field):
    parts = {"images": DATA.val.images, "labels": DATA.val.labels} | {field: None}
    with pytest.raises(TypeError, match=f"^Split: `{field}` must be a tensor .*; got None$"):
        Split(**parts, mean=(0.5,) * 3, std=(0.5,) * 3)


def test_the_joint_variant_weighs_losses_by_blocks_or_as_the_authors_by_layers():
    found = {}
    net = models.build("preresnet-56", 3, 3)
    for depth in ("blocks", "layers"):
        method = methods.DiscriminationAware(0.5, staging="joint", depth=depth, images=8)
        run = Algorithm(method, net, DATA, Options(method, 0, False, None, None))
        found[depth] = run.weights
    assert found["blocks"] == pytest.approx([(7 / 21) ** 2, (14 / 21) ** 2, 1])
    assert found["layers"] == pytest.approx([(15 / 43) ** 2, (29 / 43) ** 2, 1])


def test_the_depth_of_a_place_counts_the_layers_on_the_longest_way():
    net = models.build("preresnet-20", 3, 3)
    wiring = Wiring.of(net, DATA.example, "test")
    assert [wiring.depth(f"layer{n}.2") for n in (1, 2, 3)] == [7, 13, 19]


def test_the_tuned_network_may_be_what_the_reconstruction_aims_at(net):
    """All channels come in again: next to nothing is left of L_M, if it looks at that network."""
    moved, ends = Budget(epochs=1, lr=0.05, batch=8), {}
    for baseline in ("found", "tuned"):
        method = methods.DiscriminationAware(
            {"layer1.1.conv1": 0.05}, 1e-12, losses=0, lam=0.0, images=12, step=16, passes=1e-9,
            finetune=moved, baseline=baseline,
        )  # fmt: skip
        with pytest.warns(UserWarning, match="no channel was removed"):
            done = method.run(deepcopy(net), DATA, progress=False)
        ends[baseline] = float(done.events["layer1.1.conv1: losses"][-1, 0])
    assert ends["tuned"] < 1e-3 * ends["found"]


def test_in_double_precision_the_choice_is_the_same(net):
    orders = []
    for dtype in (torch.float32, torch.float64):
        method = methods.DiscriminationAware({PLACE: 0.8}, images=12, finetune=STILL, losses=0)
        done = method.run(deepcopy(net).to(dtype), DATA, progress=False)
        orders.append(done.events[f"{PLACE}: order"].tolist())
    assert orders[0] == orders[1]
