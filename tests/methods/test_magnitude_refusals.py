"""What magnitude pruning refuses, and that the network is as it was then."""

import pytest
import torch
from helpers.surgeries import net_of
from test_network_surgery_refusals import INF, NAN, refused

from prunelab.methods import Magnitude


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give either `ratios` or `q`"),
        ({"ratios": 0.5, "q": 1}, "give either `ratios` or `q`"),
        ({"ratios": 1.0}, r"`ratio` .* must be in \[0, 1\), got 1.0"),
        ({"ratios": {"0": -0.5}}, "got -0.5"),
        ({"ratios": NAN}, "got nan"),
        ({"q": -1}, "`q` must be a number >= 0, or .*; got -1"),
        ({"q": NAN}, "`q` must be a number >= 0, or .*; got nan"),
        ({"q": {"0": 1, "3": "2"}}, "`q` must be a number >= 0, or .*; got {'0': 1, '3': '2'}"),
        ({"q": True}, "`q` must be a number >= 0, or .*; got True"),
        ({"q": 1, "rounds": 0}, "`rounds` must be an integer >= 1; got 0"),
        ({"q": 1, "rounds": 1.5}, "`rounds` must be an integer >= 1; got 1.5"),
        ({"q": 1, "rounds": 2}, "`rounds` > 1 needs `retrain`"),
    ],
)
def test_a_bad_field_is_refused_when_the_method_is_made(options, message):
    with pytest.raises(ValueError, match=f"^Magnitude: .*{message}"):
        Magnitude(**options)


def test_retrain_that_is_no_budget_is_refused():
    with pytest.raises(TypeError, match=r"^Magnitude: `retrain` must be a Budget; got 3"):
        Magnitude(0.5, retrain=3)


@pytest.mark.parametrize("field", ["ratios", "q"])
def test_a_name_that_is_no_layer_is_refused_with_the_layers(field):
    message = f"^Magnitude: `{field}` names 'fc9', which is no .*; they are 0, 3, 5$"
    refused(Magnitude(**{field: {"0": 0.5, "fc9": 0.5}}), ValueError, message)


@pytest.mark.parametrize("value", [NAN, INF])
def test_weights_that_are_not_finite_are_refused_by_name(value):
    net = net_of()
    net[5].bias.data[1] = value
    refused(Magnitude(0.5), ValueError, "^Magnitude: `5.bias` holds values that are not", net)


EMPTY = "^Magnitude: `q` would remove all {} weights and biases of `{}`: its threshold is [0-9.]+, "


def test_q_that_would_empty_the_first_layer_is_refused():
    refused(Magnitude(q={"0": 50}), ValueError, EMPTY.format(30, 0))


def test_q_that_would_empty_a_later_layer_is_refused_before_any_is_cut():
    refused(Magnitude(q={"0": 1, "3": 50}), ValueError, EMPTY.format(864, 3))


def test_the_largest_weight_in_the_message_is_the_limit():
    net = net_of()
    both = torch.cat([net[5].weight.detach().flatten(), net[5].bias.detach()])
    limit = float(both.abs().max() / net[5].weight.detach().std(correction=0))
    refused(Magnitude(q={"5": limit * 1.001}), ValueError, EMPTY.format(27, 5), net)
    keep = Magnitude(q={"5": limit * 0.999}).prune(net, None)
    assert int(keep["5.weight"].sum() + keep["5.bias"].sum()) == 1
