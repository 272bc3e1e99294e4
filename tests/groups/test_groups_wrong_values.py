"""What is no network, no example, no group and no text of groups is told in one line."""

import threading

import pytest
import torch
from helpers.networks import IMAGE, conv, head
from helpers.pruning import batch, ready
from torch import nn

from prunelab import cost
from prunelab.groups import Groups, trace

X = batch(*IMAGE)


@pytest.mark.parametrize("net", [None, 3, "resnet", nn.Linear, {}])
@pytest.mark.parametrize("call", [trace, cost.measure, cost.layers, cost.latency])
def test_no_network_is_one_line(call, net):
    with pytest.raises(TypeError, match=r"`net` must be a torch.nn.Module, got"):
        call(net, X)


@pytest.mark.parametrize("example", [None, 3.0, [X], (), {}, (1, 3, 8, 8), {1: X}, "x", {"x": 3}])
@pytest.mark.parametrize("call", [trace, cost.measure, cost.layers, cost.latency])
def test_no_example_is_one_line(call, example):
    with pytest.raises(TypeError, match="`example` must ") as caught:
        call(ready(conv(3, 4)), example)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [None, 5, "", "{}", "[]", '{"groups": 3}', "x" * 1000])
def test_text_that_holds_no_groups_is_one_line(text):
    with pytest.raises(ValueError, match="`text` must be written by to_json") as caught:
        Groups.from_json(text)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("name", [None, 5, (), "conv9"])
def test_no_group_is_one_line(name):
    groups = trace(nn.Sequential(conv(3, 4), head(8)), X.float())
    with pytest.raises(ValueError, match="groups: "):
        groups[name]


@pytest.mark.parametrize("names", [None, 5, "0", [5]])
def test_no_names_of_groups_is_one_line(names):
    groups = trace(nn.Sequential(conv(3, 4), conv(4, 2)), X.float())
    with pytest.raises(ValueError, match="groups: "):
        groups.select(names)


@pytest.mark.parametrize("shape", [(2, 0, 8, 8), (2, 4, 8, 8), (2, 3), (2, 3, 8, 8, 8, 8)])
def test_a_shape_that_does_not_fit_is_one_line_with_the_place(shape):
    net = nn.Sequential(conv(3, 4), nn.ReLU(), conv(4, 2))
    for call in (trace, cost.measure, cost.layers, cost.latency):
        with pytest.raises(ValueError, match=r"does not fit `net` .Sequential.") as caught:
            call(net, torch.zeros(shape))
        assert "\n" not in str(caught.value)


def test_a_network_that_cannot_be_copied_is_one_line():
    net = nn.Sequential(conv(3, 4))
    net.lock = threading.Lock()
    with pytest.raises(TypeError, match=r"`net` .Sequential. cannot be copied"):
        trace(net, X.float())
