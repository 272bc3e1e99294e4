"""Losses of the caller's: against steps by hand, with features and a head that are trained too."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from helpers.toy import PLAIN, dataset, linear, network, quiet, same
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax

STEP = replace(PLAIN, epochs=1, batch=16)  # one step on all images
DATA = dataset(16)
X, Y = DATA.train.batch(slice(None))


def head():
    """Batch norm, ReLU, average pool, linear: what DCP trains on a feature of 4 channels."""
    torch.manual_seed(3)
    pool = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), pool, nn.Flatten(), nn.Linear(4, 3))


def hooks(net):
    return [m for m in net.modules() if m._forward_hooks or m._forward_pre_hooks]


def test_cross_entropy_as_a_loss_gives_the_bits_of_no_loss():
    nets = [network(), network()]
    rows = [
        quiet(n, dataset(), PLAIN, **o).rows for n, o in zip(nets, ({}, {"loss": cross_entropy}))
    ]
    assert same(*nets) and rows[0] == rows[1]


def test_label_smoothing_is_a_step_by_hand():
    net, hand = linear(), linear()
    smooth = lambda logits, y: cross_entropy(logits, y, label_smoothing=0.3)  # noqa: E731
    found = quiet(net, DATA, STEP, loss=smooth).last["loss"]
    target = torch.full((16, 3), 0.1)
    target[torch.arange(16), Y] += 0.7
    loss = -(target * log_softmax(hand(X), 1)).sum(1).mean()
    loss.backward()
    assert found == pytest.approx(loss.item())
    for p, q in zip(net.parameters(), hand.parameters()):
        torch.testing.assert_close(p, q - 0.1 * q.grad)


def test_the_gradient_of_a_feature_reaches_what_computes_it():
    net = network()
    before = deepcopy(net)
    quiet(net, DATA, STEP, features=("0",), loss=lambda logits, y, f: f["0"].sum())
    windows = X.unfold(2, 3, 1).unfold(3, 3, 1).sum((0, 2, 3))  # d(sum)/d(weight), (1, 3, 3)
    torch.testing.assert_close(net[0].weight, before[0].weight - 0.1 * windows.expand(4, 1, 3, 3))
    torch.testing.assert_close(net[0].bias, before[0].bias - 0.1 * 16 * 36)
    assert same(net[5], before[5]) and not hooks(net)


def test_a_head_on_a_feature_is_trained_along_as_by_hand():
    net, own = network().eval(), head()
    net[4].p = 0.0
    hand, hand_head = deepcopy(net), deepcopy(own)
    loss = lambda logits, y, f: cross_entropy(own(f["0"]), y) + cross_entropy(logits, y)  # noqa: E731
    quiet(net, DATA, STEP, features=["0"], modules=[own], loss=loss)
    hand.train(), hand_head.train()
    feature = hand[0](X)
    logits = hand[1:](feature)
    (cross_entropy(hand_head(feature), Y) + cross_entropy(logits, Y)).backward()
    for ours, theirs in ((net, hand), (own, hand_head)):
        for p, q in zip(ours.parameters(), theirs.parameters()):
            torch.testing.assert_close(p, q - 0.1 * q.grad)
            assert p.grad is None
        for p, q in zip(ours.buffers(), theirs.buffers()):
            torch.testing.assert_close(p, q)
    assert own.training and not net.training


def test_a_resumed_run_has_the_bits_of_head_and_network(tmp_path):
    budget = replace(PLAIN, epochs=3, momentum=0.9)

    def train(own, **options):
        net = network()
        loss = lambda logits, y, f: cross_entropy(own(f["2"]), y) + logits.square().mean()  # noqa: E731
        return net, quiet(
            net, dataset(), budget, features=["2"], modules=[own], loss=loss, **options
        )

    def interrupt(step):
        if step == 8:
            raise KeyboardInterrupt

    first, again = head(), head()
    whole, expected = train(first)
    path = tmp_path / "fit"
    with pytest.raises(KeyboardInterrupt):
        train(head(), checkpoint=path, after_step=interrupt)
    nn.init.zeros_(again[4].weight)  # the file's weights count
    net, found = train(again, checkpoint=path)
    assert same(net, whole) and same(again, first) and found.rows == expected.rows
    with pytest.raises(ValueError, match=r"of another network: its modules\.0\.0\.bias is float32"):
        quiet(network(), dataset(), budget, checkpoint=path)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_penalty_and_after_step_stand_beside_a_loss(precision):
    net, steps = linear(), []
    rows = quiet(
        net, DATA, replace(STEP, precision=precision), penalty=lambda: torch.tensor(5.0),
        after_step=steps.append, loss=lambda logits, y: 0 * logits.sum() + 2,
    ).rows  # fmt: skip
    assert rows[0]["loss"] == 7 and steps == [0]


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    path, net = tmp_path / "fit", linear()
    quiet(linear(), DATA, PLAIN, checkpoint=path, settings={"stage": (1, 2)})
    quiet(linear(), DATA, PLAIN, checkpoint=path, settings={"stage": [1, 2]})
    with pytest.raises(ValueError, match=r"its stage is \[1, 2\], asked for \[3\]; delete it"):
        quiet(net, DATA, PLAIN, checkpoint=path, settings={"stage": [3]})
    assert same(net, linear())


class Odd(nn.Module):
    """A module that gives a tuple, and one that does not run."""

    def __init__(self):
        super().__init__()
        self.inner, self.pair, self.idle = linear(), Pair(), nn.Linear(2, 2)

    def forward(self, x):
        return self.inner(self.pair(x)[0])


class Pair(nn.Module):
    def forward(self, x):
        return x, x


ONE = {"loss": lambda logits, y: logits.sum()}
TWO = {"loss": lambda logits, y, features: logits.sum()}


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"loss": "ce"}, TypeError, r"`loss` must be a function of .logits, labels.; got 'ce'"),
        (
            {"loss": lambda logits, y: 3.0},
            ValueError,
            "`loss` must return a tensor that depends",
        ),
        (
            {"loss": lambda logits, y: logits},
            ValueError,
            r"`loss` must return a scalar; got .*8, 3",
        ),
        (
            {"loss": lambda logits, y: y.sum()},
            ValueError,
            "`loss` must return a tensor that depends",
        ),
        ({"loss": lambda logits, y: logits.sum() / 0}, RuntimeError, "the loss is .* at step 0"),
        (
            {"loss": lambda logits: 0},
            TypeError,
            r"`loss` must be a function of .logits, labels.; too many",
        ),
        (
            ONE | {"features": ["inner"]},
            TypeError,
            r"`loss` .* of .logits, labels, features.; too many",
        ),
        ({"features": ["inner"]}, ValueError, "`features` needs a `loss`"),
        (
            TWO | {"features": "fc9"},
            ValueError,
            "names 'fc9', which is no module .*'inner', 'inner",
        ),
        (TWO | {"features": [""]}, ValueError, "names '', which is no module"),
        (TWO | {"features": 5}, TypeError, "`features` must be names of modules of `net`; got 5"),
        (TWO | {"features": ["idle"]}, ValueError, "names 'idle', which did not run in this step"),
        (TWO | {"features": ["pair"]}, TypeError, "names 'pair', which gives no tensor but tuple"),
        ({"modules": [3]}, TypeError, "`modules` must be Modules; got 3"),
        ({"modules": [linear().to("meta")]}, ValueError, "`modules` must be on the data's device"),
        ({"settings": {"a": object()}}, ValueError, "`settings` must be JSON data; Object of"),
    ],
)
def test_what_cannot_be_a_loss_is_refused_in_one_line(options, error, words):
    net = Odd()
    with pytest.raises(error, match=f"fit: .*{words}") as e:
        quiet(net, dataset(), PLAIN, **options)
    assert "\n" not in str(e.value)
    assert same(net, Odd()) and not hooks(net)
    assert all(p.grad is None for p in net.parameters())
