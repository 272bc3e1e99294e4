import math

import pytest
import torch
from helpers.toy import dataset, network, split
from torch import nn

from prunelab import cost, scores, surgery
from prunelab.groups import trace
from prunelab.models import build
from prunelab.sensitivity import paired_interval, scan
from prunelab.train import evaluate

COLUMNS = ["group", "ratio", "kept", "correct", "accuracy", "low", "high", "loss", "params", "macs"]
RATIOS = (0.0, 0.25, 0.6)


def small_net():
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(64, 3),
    )  # fmt: skip


def quiet(net, images, **options):
    return scan(net, images, **{"ratios": RATIOS, "progress": False} | options)


def test_a_row_per_group_and_ratio_with_the_fixed_columns():
    table = quiet(small_net(), split(10))
    assert list(table.columns) == COLUMNS
    assert list(zip(table.group, table.ratio)) == [(g, r) for g in ("0", "3") for r in RATIOS]
    assert table.kept.tolist() == [8, 6, 3, 4, 3, 1]


def test_each_row_equals_shrinking_that_group_alone_and_evaluating():
    net, images = small_net(), split(40)
    groups, base = trace(net, images.batch(slice(0, 1))[0]), evaluate(net, images)
    for row in quiet(net, images).itertuples():
        norm = net.get_submodule(row.group).weight.detach().abs().sum((1, 2, 3))
        keep = {row.group: scores.best(norm, row.kept)}
        small = surgery.shrink(net, groups, keep)
        seen, price = evaluate(small, images), cost.measure(small, torch.zeros(1, 1, 8, 8))
        assert row.correct == int(seen.correct.sum())
        assert row.accuracy == seen.accuracy == row.correct / 40
        assert row.loss == pytest.approx(seen.loss, rel=1e-5)
        assert (row.params, row.macs) == (price.params, price.macs)
        assert (row.low, row.high) == paired_interval(base.correct, seen.correct)


def test_ratio_0_is_the_whole_network():
    net, images = small_net(), split(40)
    row = quiet(net, images, ratios=[0.0], groups=["0"]).iloc[0]
    assert row.accuracy == evaluate(net, images).accuracy
    assert (row.low, row.high) == (-0.5 / 40, 0.5 / 40)
    assert row.params == sum(p.numel() for p in net.parameters())


def test_the_network_is_untouched():
    net, images = small_net(), split(10)
    net.train()
    net[1].eval()
    state = {k: v.clone() for k, v in net.state_dict().items()}
    quiet(net, images)
    assert [m.training for m in net] == [True, False] + [True] * 5
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert not any(m._forward_hooks for m in net.modules())
    assert net[0].weight.is_contiguous()


def test_the_paired_interval_worked_by_hand():
    # 10 images: 7 right before; after pruning 3 of these are lost and 1 wrong one is won.
    before = torch.tensor([1, 1, 1, 1, 1, 1, 1, 0, 0, 0]).bool()
    after = torch.tensor([0, 0, 0, 1, 1, 1, 1, 1, 0, 0]).bool()
    mean = (1 - 3) / 10
    variance = 4 / 10 - mean**2  # of a variable that is -1 three times, +1 once, else 0
    half = 1.96 * math.sqrt(variance / 10) + 0.05
    assert paired_interval(before, after) == pytest.approx((mean - half, mean + half), abs=1e-4)
    low, high = paired_interval(before, before)
    assert (low, high) == (-0.05, 0.05)  # half an image either way
    low, high = paired_interval(torch.ones(4).bool(), torch.zeros(4).bool())
    assert (low, high) == (-1.0, pytest.approx(-1 + 0.5 / 4))  # a change cannot pass -1


def test_criteria_by_name_by_scores_and_by_function_agree():
    net, images = small_net(), split(20)
    groups = trace(net, images.batch(slice(0, 1))[0])
    norms = scores.norms(net, groups)
    by_name = quiet(net, images, criterion="l1")
    assert quiet(net, images, criterion=norms).equals(by_name)
    assert quiet(net, images, criterion=lambda group: norms[group.name]).equals(by_name)
    by_list = {name: score.tolist() for name, score in norms.items()}
    assert quiet(net, images, criterion=by_list).equals(by_name)


def test_each_named_criterion_removes_what_it_says():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.Flatten(), nn.Linear(128, 3))
    images = split(30)
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([3.0, -1.0]).view(2, 1, 1, 1))
    groups = trace(net, images.batch(slice(0, 1))[0])

    def loss_with(kept):
        return evaluate(surgery.shrink(net, groups, {"0": torch.tensor(kept)}), images).loss

    def loss(criterion):
        return quiet(net, images, ratios=[0.5], criterion=criterion).loss[0]

    assert loss("l1") == pytest.approx(loss_with([True, False]), rel=1e-5)
    assert loss("l2") == pytest.approx(loss_with([True, False]), rel=1e-5)
    assert loss("largest") == pytest.approx(loss_with([False, True]), rel=1e-5)
    either = (loss_with([True, False]), loss_with([False, True]))
    assert loss("random") in [pytest.approx(value, rel=1e-5) for value in either]
    assert loss("random") == loss("random")


def test_l2_can_choose_otherwise_than_l1():
    net, images = small_net(), split(10)
    with torch.no_grad():
        net[3].weight.zero_()
        net[3].weight[:, 0, 0, 0] = torch.tensor([3.0, 5, 6, 7])
        net[3].weight[0, :4, 1, 1] = 1.0  # l1: 7, 5, 6, 7; l2: sqrt(13), 5, 6, 7
    groups = trace(net, images.batch(slice(0, 1))[0])
    expected = evaluate(
        surgery.shrink(net, groups, {"3": torch.tensor([False, True, True, True])}), images
    )
    table = quiet(net, images, ratios=[0.25], groups=["3"], criterion="l2")
    assert table.loss[0] == pytest.approx(expected.loss, rel=1e-5)
    other = quiet(net, images, ratios=[0.25], groups=["3"], criterion="l1")
    assert other.loss[0] != pytest.approx(expected.loss, rel=1e-3)


def test_groups_may_be_named_or_given():
    net, images = build("resnet-20", 3, 1), split(4)
    groups = trace(net, images.batch(slice(0, 1))[0])
    first = quiet(net, images, ratios=[0.5], groups=groups.first_convolutions())
    assert list(first.group) == list(groups.first_convolutions())
    one = quiet(net, images, ratios=[0.5], groups=["layer2.1.conv1"])
    assert one.iloc[0].equals(first[first.group == "layer2.1.conv1"].iloc[0])


def test_ratios_may_be_an_array():
    numpy = pytest.importorskip("numpy")
    table = quiet(small_net(), split(5), ratios=numpy.linspace(0, 0.5, 3))
    assert table.ratio.tolist() == [0.0, 0.25, 0.5] * 2


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"ratios": [0.5, 0.1]},
            ValueError,
            r"`ratios` must be rising, without repeats; got \[0.5, 0.1\]",
        ),
        ({"ratios": [0.1, 0.1]}, ValueError, "must be rising, without"),
        ({"ratios": []}, ValueError, r"must be rising, without repeats; got \[\]"),
        ({"ratios": [0.5, 1.0]}, ValueError, r"must be in \[0, 1\), got 1.0"),
        ({"ratios": [-0.1]}, ValueError, "got -0.1"),
        ({"groups": ["9"]}, ValueError, "no group `9`; groups are 0, 3"),
        (
            {"criterion": "l3"},
            ValueError,
            "one of l1, l2, .*, taylor, .*; got 'l3'",
        ),
        ({"criterion": {"0": torch.ones(8)}}, ValueError, "has no scores for group `3`"),
        ({"criterion": lambda g: torch.ones(8)}, ValueError, r"4 finite scores for `3`.*\(8,\)"),
        (
            {"criterion": lambda g: torch.full((g.size,), math.nan)},
            ValueError,
            "8 finite scores for `0`",
        ),
        ({"criterion": 3}, TypeError, "must be a name, scores by group or a function; got 3"),
    ],
)
def test_bad_input_is_refused_in_one_line(options, error, message):
    with pytest.raises(error, match=message) as caught:
        quiet(small_net(), split(6), **options)
    assert "\n" not in str(caught.value)


def test_an_empty_split_is_refused():
    with pytest.raises(ValueError, match="scan: `split` has no images"):
        quiet(network(), dataset().val[:0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ratios": 0.5}, "`ratios` must be several fractions; got 0.5"),
        ({"ratios": "0.5"}, "`ratios` must be several fractions"),
        ({"groups": "conv1"}, r"`groups` must be Groups, several names \(as \['conv1'\]\)"),
        ({"split": "val"}, "`split` must be a Split, as data.val, or .*; got 'val'"),
    ],
)
def test_an_argument_of_another_kind_is_named(change, message):
    arguments = {"split": dataset().val, "ratios": [0.5]} | change
    with pytest.raises(TypeError, match=f"scan: {message}"):
        scan(network(), **arguments)
