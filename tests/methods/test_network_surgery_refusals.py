"""What network surgery refuses, with what words, and that the network is as it was then."""

import re
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from helpers.pruning import first_cut
from helpers.surgeries import DATA, EPOCH, net_of, surgery
from helpers.toy import dataset, quiet, same

from prunelab.methods import NetworkSurgery

IN_PHASES = {"phases": "convolutions first"}
NAN, INF = float("nan"), float("inf")


def refused(method, error, message, net=None, data=DATA, **options):
    """The method raises, and the network has the bits and the names it had, and no mask."""
    net = net or net_of()
    before, names = deepcopy(net), [sorted(vars(m)) for m in net.modules()]
    with pytest.raises(error, match=message) as caught:
        method.run(net, data, progress=False, **options)
    assert [type(m) for m in net.modules()] == [type(m) for m in before.modules()]
    assert [sorted(vars(m)) for m in net.modules()] == names
    a, b = net.state_dict(), before.state_dict()
    assert list(a) == list(b)
    assert all(torch.equal(a[k].nan_to_num(9), b[k].nan_to_num(9)) for k in a)
    assert all(p.grad is None for p in net.parameters())
    return str(caught.value)


EMPTY = r"^NetworkSurgery: c = 99 would remove all 864 weights and biases of `3`; it must be below "


def test_c_that_would_empty_a_layer_is_refused_with_the_limit():
    refused(surgery({"0": 0.1, "3": 99}), ValueError, EMPTY)


def test_c_that_would_empty_a_linear_layer_is_refused_before_the_convolutions_train():
    refused(surgery({"0": 0.1, "3": 99}, **IN_PHASES), ValueError, EMPTY)


def some_zeros(net):
    net[5].weight[:, :5] = 0
    net[5].bias.zero_()


@pytest.mark.parametrize("margins", [(0.9, 1.1), (0.5, 0.6), (1, 1)])
@pytest.mark.parametrize("change", [lambda net: None, some_zeros], ids=["dense", "some zeros"])
def test_the_limit_in_the_message_is_the_limit(change, margins):
    net = net_of()
    with torch.no_grad():
        change(net)
    message = refused(surgery({"5": 99}, margins=margins), ValueError, "of `5`;", net)
    limit = float(re.search(r"below (-?[\d.]+) there$", message).group(1))
    refused(surgery({"5": limit + 0.01}, margins=margins), ValueError, "of `5`;", net)
    assert first_cut(net, {"5": limit + 0.01}, margins[0]) == {"5": 0}
    below = {"5": limit - 0.01}
    left = []
    surgery(below, margins=margins).run(
        net, DATA, progress=False, watch=lambda t, s: left.append(s.layers["5"].kept())
    )
    assert left[0] >= 1


def test_a_layer_of_zeros_is_refused_in_plain_words():
    net = net_of()
    with torch.no_grad():
        net[3].weight.zero_()
    message = refused(surgery(-1.0), ValueError, "`3`", net)
    assert "nan" not in message and "inf" not in message


@pytest.mark.parametrize("phases", [{}, IN_PHASES], ids=["together", "convolutions first"])
@pytest.mark.parametrize("stop", [19, {"0": 5, "3": 19}])
def test_stop_past_the_end_is_refused(stop, phases):
    message = r"`stop` must be at most the 18 steps of the run; got .*19"
    refused(surgery(stop=stop, **phases), ValueError, message)
    surgery(stop=18, **phases).run(net_of(), DATA, progress=False)


@pytest.mark.parametrize("phases", [{}, IN_PHASES], ids=["together", "convolutions first"])
@pytest.mark.parametrize("field", ["c", "stop"])
@pytest.mark.parametrize("name", ["fc9", "", "1", "3.weight"])
def test_a_name_that_is_no_layer_is_refused_with_the_layers(name, field, phases):
    message = f"^NetworkSurgery: `{field}` names '{name}', which is no convolution or linear"
    message += " layer of `net`; they are 0, 3, 5$"
    refused(surgery(**{field: {"0": 1, name: 1}}, **phases), ValueError, message)


@pytest.mark.parametrize("phases", [{}, IN_PHASES], ids=["together", "convolutions first"])
@pytest.mark.parametrize("name", ["0.bias", "3.weight"])
@pytest.mark.parametrize("value", [NAN, -INF])
def test_weights_that_are_not_finite_are_refused_by_name(name, value, phases):
    net = net_of()
    net.get_parameter(name).data.view(-1)[1] = value
    message = f"^NetworkSurgery: `{name}` holds values that are not finite"
    refused(surgery(**phases), ValueError, message, net)


def test_what_fit_refuses_leaves_the_network_as_it_was(tmp_path):
    refused(surgery(), ValueError, "`seed` must be an integer >= 0; got -1", seed=-1)
    no_dataset = SimpleNamespace(train=DATA.train)
    refused(surgery(), TypeError, "`data` must be a Dataset", data=no_dataset)
    classes = replace(DATA, train=dataset(classes=5).train)
    refused(surgery(), ValueError, "labels|classes|logits", data=classes)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("c", [NAN, INF, "3", None, True, {"0": NAN}, {"0": "1"}]),
        ("stop", [-1, 2.5, "3", None, True, {"0": -1}, {"0": 1.0}]),
        ("gamma", [-0.1, NAN, INF, "0", None, True]),
        ("power", [-0.1, NAN, INF, "0", None, True]),
        ("margins", [(1.1, 0.9), (0, 1), (-1, 1), (0.9,), (0.9, 1, 1.1), (NAN, 1), (0.9, NAN), ()]),
        ("phases", ["linear first", "", None]),
    ],
)
def test_a_bad_field_is_refused_when_the_method_is_made(field, values):
    good = {"c": 0.3, "budget": EPOCH, "stop": 5}
    for value in values:
        with pytest.raises(ValueError, match=rf"^NetworkSurgery: `{field}` must be .* got "):
            NetworkSurgery(**(good | {field: value}))


@pytest.mark.parametrize("margins", [0.9, None, "ab", ("a", "b"), (0.9, INF), (True, True)])
def test_margins_that_are_no_two_numbers_are_refused_in_the_same_words(margins):
    with pytest.raises(ValueError, match=r"^NetworkSurgery: `margins` must be two numbers"):
        surgery(margins=margins)


@pytest.mark.parametrize("budget", [None, 3, {"epochs": 1}])
def test_a_budget_that_is_none_is_refused(budget):
    with pytest.raises(TypeError, match=r"^NetworkSurgery: `budget` must be a Budget; got "):
        surgery(budget=budget)


def test_an_edge_of_every_field_is_accepted():
    net, options = net_of(), {"margins": [1, 1], "gamma": 0, "power": 0}
    method = surgery(-5, stop=0, **options)
    assert method.margins == (1, 1)
    expected = deepcopy(net)
    quiet(expected, DATA, EPOCH)
    method.run(net, DATA, progress=False)
    assert same(net, expected)
