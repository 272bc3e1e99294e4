import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from prunelab import scores
from prunelab.groups import trace

SIZES = st.integers(1, 4096)
RATIOS = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("size", "ratio", "stay"),
    [
        (64, 0.8, 12),  # the paper's own remark: 80% of 64 leaves 12
        (16, 0.1, 14),  # ResNet-56-A, stage 1: ceil(1.6) = 2 go
        (32, 0.1, 28),  # ceil(3.2) = 4 go
        (64, 0.1, 57),  # ceil(6.4) = 7 go
        (16, 0.6, 6),  # ResNet-56-B
        (32, 0.3, 22),
        (32, 0.4, 19),  # ResNet-110-B
        (64, 0.3, 44),
        (128, 0.6, 51),  # ResNet-34-B; rounding 76.8 to 77 would also leave 51 ...
        (256, 0.4, 153),  # ... but rounding 102.4 to 102 would leave 154
        (256, 0.2, 204),  # ResNet-34-C
        (10, 0.9, 1),  # (1 - 0.9) * 10 is 0.9999999999999998 in floating point
        (1000, 0.9, 100),
        (3, 0.99, 1),  # never empty
        (7, 0, 7),
    ],
)
def test_kept_rounds_as_the_paper_does(size, ratio, stay):
    assert scores.kept(size, ratio) == stay


@settings(deadline=None)
@given(SIZES, RATIOS)
def test_kept_leaves_at_least_one_and_at_most_all(size, ratio):
    assert 1 <= scores.kept(size, ratio) <= size


@settings(deadline=None)
@given(SIZES, RATIOS, RATIOS)
def test_a_larger_ratio_never_keeps_more(size, a, b):
    low, high = sorted((a, b))
    assert scores.kept(size, low) >= scores.kept(size, high)


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(0, 499))
def test_a_ratio_that_means_whole_channels_removes_exactly_these(size, removed):
    removed = min(removed, size - 1)
    assert scores.kept(size, removed / size) == size - removed


@pytest.mark.parametrize("ratio", [-0.1, 1, 1.0, 2, float("nan"), float("inf"), "0.5", None, True])
def test_a_ratio_outside_0_to_1_is_refused(ratio):
    with pytest.raises(ValueError, match=r"^kept: `ratio` .* must be in \[0, 1\), got .*$"):
        scores.kept(8, ratio)


def test_best_keeps_the_largest_and_leaves_the_channels_in_order():
    keep = scores.best(torch.tensor([3.0, -1.0, 2.0, 5.0]), 2)
    assert keep.tolist() == [True, False, False, True]
    assert keep.dtype == torch.bool


def test_of_equal_scores_the_first_go():
    assert scores.best(torch.ones(5), 2).tolist() == [False, False, False, True, True]
    assert scores.best(torch.tensor([1.0, 0, 1, 0]), 3).tolist() == [True, False, True, True]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_scores_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="best: scores must be finite, got 1 others"):
        scores.best(torch.tensor([1.0, bad, 2.0]), 2)


def test_filter_norms_by_hand():
    weight = torch.tensor([[[[1.0, -2.0]], [[2.0, 0.0]]], [[[0.0, -3.0]], [[0.0, 0.0]]]])
    assert scores.filter_norm(weight, 1).tolist() == [5.0, 3.0]  # 1+2+2, 3
    assert scores.filter_norm(weight, 2).tolist() == [3.0, 3.0]  # sqrt(1+4+4), 3
    assert scores.filter_norm(weight, 1, axis=1).tolist() == [6.0, 2.0]  # input channels
    with pytest.raises(ValueError, match="`p` must be 1 or 2; got 3"):
        scores.filter_norm(weight, 3)
    with pytest.raises(ValueError, match=r"must be \(O, I, ...\) .*; got Tensor of shape \(2,\)"):
        scores.filter_norm(torch.ones(2))


class Stream(nn.Module):
    """Two layers write one stream of two channels; the second's input is shared with a third."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 1, bias=False)
        self.inner = nn.Conv2d(2, 3, 1, bias=False)
        self.outer = nn.Conv2d(3, 2, 1, bias=False)
        self.project = nn.Conv2d(2, 2, 1, bias=False)
        self.head = nn.Conv2d(2, 2, 1, bias=False)

    def forward(self, x):
        x = self.stem(x)
        return self.head(self.outer(self.inner(x)) + self.project(x))


def test_a_stream_is_ranked_by_the_sum_of_its_writers_or_by_its_shortcut_alone():
    net = Stream()
    with torch.no_grad():
        net.outer.weight.copy_(torch.tensor([[1.0, 1, 1], [2, 2, 2]])[:, :, None, None])
        net.project.weight.copy_(torch.tensor([[-7.0, 0], [0, 1]])[:, :, None, None])
    groups = trace(net, torch.zeros(1, 1, 4, 4))
    stream, tensors = groups["outer"], net.state_dict()
    assert scores.group_norm(stream, tensors).tolist() == [3 + 7, 6 + 1]
    assert scores.group_norm(stream, tensors, layers=groups.shortcuts).tolist() == [7, 1]
    assert groups.shortcuts == {"project"}


def test_norms_scores_every_group_and_refuses_another_norm():
    net = Stream()
    found = scores.norms(net, trace(net, torch.zeros(1, 1, 4, 4)), "l2")
    assert {name: len(s) for name, s in found.items()} == {"stem": 2, "inner": 3, "outer": 2}
    stem = net.stem.weight.detach().flatten().abs()
    torch.testing.assert_close(found["stem"], stem)
    with pytest.raises(ValueError, match="`norm` must be one of l1, l2; got 'l3'"):
        scores.norms(net, {}, "l3")
