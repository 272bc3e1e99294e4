import math

import pytest
import torch
from helpers.toy import dataset, network
from torch import nn
from torch.nn.utils import prune as torch_prune

from prunelab import surgery
from prunelab.groups import trace
from prunelab.methods import FilterNorm
from prunelab.models import build
from prunelab.study.papers.filter_norm import TABLE_1
from prunelab.train import Budget

IMAGE = torch.zeros(1, 3, 32, 32)
SHORT = Budget(epochs=1, lr=0.05, batch=8)


def chain(*layers):
    """1x1 convolutions without bias, in a row, with these weights; then a linear head."""
    convs = []
    for rows in layers:
        weight = torch.tensor(rows, dtype=torch.float32)[:, :, None, None]
        conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=False)
        conv.weight = nn.Parameter(weight)
        convs += [conv, nn.ReLU()]
    return nn.Sequential(*convs, nn.Flatten(), nn.Linear(len(layers[-1]) * 4, 2))


def keeps(net, example, **options):
    found = FilterNorm(**options).prune(net, example)
    return {name: keep.int().tolist() for name, keep in found.items()}


def test_the_filters_of_smallest_norm_go_worked_by_hand():
    net = chain([[4, 1], [-2, 2], [0, -3], [1, -1]])
    example = torch.zeros(1, 2, 2, 2)
    # l1: 5, 4, 3, 2; a half removed: the last two. l2: sqrt(17), sqrt(8), 3, sqrt(2).
    assert keeps(net, example, ratios=0.5) == {"0": [1, 1, 0, 0]}
    assert keeps(net, example, ratios=0.5, norm="l2") == {"0": [1, 0, 1, 0]}
    assert keeps(net, example, ratios=0.3) == {"0": [1, 1, 0, 0]}  # ceil(1.2) = 2 go
    assert keeps(net, example, ratios=0.5, select="largest") == {"0": [0, 0, 1, 1]}


@pytest.mark.parametrize(("norm", "n"), [("l1", 1), ("l2", 2)])
def test_torch_prunes_the_same_filters(norm, n):
    torch.manual_seed(3)
    net = build("vgg-16")
    conv = net.features.conv5
    keep = FilterNorm({"features.conv5": 0.3}, norm=norm).prune(net, IMAGE)["features.conv5"]
    torch_prune.ln_structured(conv, "weight", amount=math.ceil(0.3 * 256), n=n, dim=0)
    assert torch.equal(keep, conv.weight_mask.flatten(1).any(1))
    assert int(keep.sum()) == 179


def test_largest_is_the_mirror_of_smallest():
    net = network()
    example = dataset().example
    small = FilterNorm(0.5).prune(net, example)
    large = FilterNorm(0.5, select="largest").prune(net, example)
    assert torch.equal(small["0"], ~large["0"])


def test_random_depends_on_the_seed_alone_and_is_nested_in_the_ratio():
    net = build("lenet-5")
    example = torch.zeros(1, 1, 28, 28)

    def keep(ratio, seed):
        return FilterNorm(ratio, select="random").prune(net, example, seed=seed)

    assert keep(0.5, 1) == keep(0.5, 1)
    assert keep(0.5, 1) != keep(0.5, 2)
    few, many = keep(0.7, 1), keep(0.4, 1)
    assert all(bool((many[name] >= few[name]).all()) for name in few)
    nn.init.zeros_(net.conv1.weight)
    assert keep(0.5, 1)["conv1"].sum() == 10  # weights do not matter
    assert keep(0.5, 1)["conv1"].tolist() != [False] * 10 + [True] * 10


def test_greedy_leaves_out_the_kernels_that_read_removed_maps():
    net = chain([[3.0], [1.0]], [[1, 5], [2, 1]], [[4, 1], [2, 2]])
    example = torch.zeros(1, 1, 2, 2)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    # Layer 0: norms 3, 1, so map 1 goes, whichever the strategy.
    # Layer 2: whole filters 1+5 = 6 and 2+1 = 3: filter 1 goes. Without map 1: 1 and 2: 0 goes.
    # Layer 4: whole 5 and 4: filter 1 goes. Without map 0 (greedy removed it): 1 and 2: 0 goes.
    independent = {"0": [1, 0], "2": [1, 0], "4": [1, 0]}
    greedy = {"0": [1, 0], "2": [0, 1], "4": [0, 1]}
    assert keeps(net, example, ratios=0.5) == independent
    assert keeps(net, example, ratios=0.5, strategy="greedy") == greedy
    after = net.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_greedy_counts_the_pixels_of_a_removed_map_behind_a_flatten():
    net = nn.Sequential(
        nn.Conv2d(1, 2, 1, bias=False), nn.Flatten(), nn.Linear(8, 2), nn.ReLU(), nn.Linear(2, 2)
    )
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([2.0, 1.0]).view(2, 1, 1, 1))  # map 1 goes
        # Unit 0: 4 from map 0, 12 from map 1; unit 1: 8 from map 0, 4 from map 1.
        net[2].weight.copy_(torch.tensor([[1.0] * 4 + [3.0] * 4, [2.0] * 4 + [1.0] * 4]))
    example = torch.zeros(1, 1, 2, 2)
    assert keeps(net, example, ratios=0.5)["2"] == [1, 0]  # 16 > 12
    assert keeps(net, example, ratios=0.5, strategy="greedy")["2"] == [0, 1]  # 4 < 8


def test_both_strategies_agree_where_only_first_convolutions_are_pruned():
    net = build("resnet-20")
    one, two = (
        FilterNorm(0.5, residual="first", strategy=s).prune(net, IMAGE)
        for s in ("independent", "greedy")
    )
    assert one == two


def test_first_names_the_first_convolutions_of_the_blocks_and_nothing_else():
    keep = FilterNorm(0.5, residual="first").prune(build("resnet-20"), IMAGE)
    blocks = [f"layer{stage}.{block}.conv1" for stage in (1, 2, 3) for block in range(3)]
    assert list(keep) == blocks
    with pytest.raises(ValueError, match="no group `conv1`"):
        FilterNorm({"conv1": 0.5}, residual="first").prune(build("resnet-20"), IMAGE)
    with pytest.raises(ValueError, match="residual='first' leaves no group"):
        FilterNorm(0.5, residual="first").prune(build("vgg-16"), IMAGE)


def test_the_shortcut_leads_its_stream():
    torch.manual_seed(0)
    net = build("resnet-34")
    example = torch.zeros(1, 3, 64, 64)
    ratios = {"layer3.0.conv2": 0.2}
    led = FilterNorm(ratios, residual="shortcut").prune(net, example)["layer3.0.conv2"]
    norms = net.layer3[0].downsample[0].weight.detach().abs().sum((1, 2, 3))
    assert int((~led).sum()) == math.ceil(0.2 * 256)
    assert norms[~led].max() < norms[led].min()
    coupled = FilterNorm(ratios).prune(net, example)["layer3.0.conv2"]
    assert not torch.equal(led, coupled)
    writers = [block.conv2 for block in net.layer3] + [net.layer3[0].downsample[0]]
    total = sum(conv.weight.detach().abs().sum((1, 2, 3)) for conv in writers)
    assert total[~coupled].max() < total[coupled].min()


@pytest.mark.parametrize("select", ["smallest", "largest", "random"])
def test_rounds_reach_the_ratio_hold_removed_filters_at_zero_and_leave_no_hook(select):
    net, data = build("lenet-5", 3), dataset(24, size=28)
    before = net.conv1.weight.detach().clone()
    method = FilterNorm({"conv1": 0.5}, select=select, rounds=2, retrain=SHORT)
    keep = method.prune(net, data, progress=False)["conv1"]
    weight = net.conv1.weight.detach()
    gone = weight.flatten(1).eq(0).all(1)
    assert int(keep.sum()) == 10
    assert int(gone.sum()) == 5  # the first round removed a quarter
    assert not (gone & keep).any()  # and none of these came back
    assert not net.conv1.bias.detach()[gone].any()
    assert not torch.equal(weight[~gone], before[~gone])  # it was trained in place
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_rounds_need_a_budget_and_training_images():
    with pytest.raises(ValueError, match="`rounds` > 1 and `retrain` go together"):
        FilterNorm(0.5, rounds=2)
    with pytest.raises(ValueError, match="go together"):
        FilterNorm(0.5, retrain=SHORT)
    with pytest.raises(TypeError, match="FilterNorm: `data` must be a Dataset"):
        FilterNorm(0.5, rounds=2, retrain=SHORT).prune(network(), dataset().example)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratios": 1.0}, r"FilterNorm: `ratio` .* must be in \[0, 1\), got 1.0"),
        ({"ratios": {"0": -0.5}}, "got -0.5"),
        ({"ratios": 0.5, "norm": "l3"}, "`norm` must be one of l1, l2; got 'l3'"),
        ({"ratios": 0.5, "select": "best"}, "`select` must be one of smallest, largest, random;"),
        ({"ratios": 0.5, "strategy": "lazy"}, "`strategy` must be one of independent, greedy;"),
        ({"ratios": 0.5, "residual": "C"}, "`residual` must be one of coupled, first, shortcut;"),
        ({"ratios": 0.5, "rounds": 0}, "`rounds` must be an integer >= 1; got 0"),
    ],
)
def test_a_bad_field_is_refused_when_the_method_is_made(options, message):
    with pytest.raises(ValueError, match=message):
        FilterNorm(**options)


def test_an_unknown_group_is_named_with_those_that_exist():
    with pytest.raises(ValueError, match="no group `conv9`; groups are 0"):
        FilterNorm({"conv9": 0.5}).prune(network(), dataset().example)


def test_an_output_layer_is_refused_with_the_reason():
    net = build("lenet-5")
    with pytest.raises(ValueError, match="`fc2` cannot be pruned: "):
        FilterNorm({"fc2": 0.5}).prune(net, torch.zeros(1, 1, 28, 28))


def test_greedy_and_independent_give_the_same_shapes_on_vgg_a():
    torch.manual_seed(0)
    net, rule = build("vgg-16"), TABLE_1["VGG-16-pruned-A"][1]
    greedy = FilterNorm(rule.ratios, strategy="greedy")
    one, two = rule.prune(net, IMAGE), greedy.prune(net, IMAGE)
    differ = {name for name in one if not torch.equal(one[name], two[name])}
    # conv1's reader, conv2, is not pruned and nothing pruned comes before conv8.
    assert differ and differ <= {f"features.conv{i}" for i in range(9, 14)}
    assert one.widths() == two.widths()
    assert surgery.shrink(net, trace(net, IMAGE), two)(IMAGE.repeat(2, 1, 1, 1)).shape == (2, 10)


@pytest.mark.parametrize("rounds", [0, -1, 2.5, "2", True, None])
def test_rounds_are_a_positive_integer(rounds):
    with pytest.raises(ValueError, match="`rounds` must be an integer >= 1; got "):
        FilterNorm(0.5, rounds=rounds)
