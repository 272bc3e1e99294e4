"""What gates refuse, and that nothing of them is left on a network, whatever happens."""

from copy import deepcopy

import pytest
import torch
from helpers.every_method import traces
from helpers.gating import IMAGE, Breaking, KnownMethod, Stop, gated, small
from helpers.networks import conv, head, pooled
from helpers.pruning import batch, ready
from helpers.toy import dataset, network
from torch import nn
from torch.nn import functional as F

from prunelab import surgery
from prunelab.groups import trace
from prunelab.methods.gating.gates import Gate
from prunelab.models import build
from prunelab.train import Budget


def refused(net, message, x=None, error=ValueError, **options):
    """In one line, and the network is as it was."""
    x = batch(*IMAGE) if x is None else x
    before, state = traces(net), {k: v.clone() for k, v in net.state_dict().items()}
    with pytest.raises(error, match=message) as caught:
        gated(net, x, **options)
    assert "\n" not in str(caught.value)
    assert traces(net) == before
    after = net.state_dict()
    assert all(torch.equal(v.nan_to_num(9), after[k].nan_to_num(9)) for k, v in state.items())


def test_gates_on_gates_are_refused():
    net, x = ready(small(lambda s, x: s.last(pooled(s.a(x).relu())))), batch(*IMAGE)
    found = gated(net, x)
    for again in (found, found.graph, nn.Sequential(found)):
        refused(again, r"^gates: `net` has gates already; give the network without them$")
    gated(net, x)


class Split(nn.Module):
    """Other operations, or another argument of one, in training than in evaluation."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.a, self.last = kind, conv(3, 6), head(6)
        self.norm = nn.BatchNorm2d(6)

    def forward(self, x):
        y = F.relu(self.a(x))
        if self.kind == "operation" and self.training:
            y = F.relu(y)
        if self.kind == "argument":
            y = F.dropout(y, 0.5, self.training)
        if self.kind == "order":
            y = F.max_pool2d(y, 1 + self.training)
        return self.last(pooled(y))


@pytest.mark.parametrize("kind", ["operation", "argument", "order"])
def test_a_network_that_does_something_else_in_training_is_refused(kind):
    message = r"^gates: `net` runs other operations in training than in evaluation$"
    for net in (Split(kind).double().eval(), Split(kind).double().train()):
        refused(net, message)
    gated(Split("nothing").double(), batch(*IMAGE))


CANNOT = {
    "a does not pass `tanh`": small(lambda s, x: s.last(pooled(torch.tanh(s.a(x))))),
    "a does not pass `GELU`": small(lambda s, x: s.last(pooled(s.g(s.a(x)))), g=nn.GELU()),
    "a does not pass `relu6`": small(lambda s, x: s.last(pooled(F.relu6(s.a(x))))),
    "a does not pass `add`": small(lambda s, x: s.last(pooled(F.relu(s.a(x)) + 1))),
    "a does not pass `pow`": small(lambda s, x: s.last(pooled(F.relu(s.a(x)) ** 2))),
    "a does not pass `BatchNorm2d`": small(
        lambda s, x: s.last(pooled(s.b(F.relu(s.a(x))))), b=nn.BatchNorm2d(6)
    ),
    "b does not pass `Conv2d`": small(
        lambda s, x: s.last(pooled(F.relu(s.d(F.relu(s.b(F.relu(s.a(x)))))))), b=conv(6, 6),
        d=conv(6, 6, groups=6),
    ),
    "a: its 6 channels are pruned as 2 units": small(
        lambda s, x: s.last(pooled(s.d(F.relu(s.a(x))))), d=conv(6, 6, groups=2)
    ),
    "a: its 6 channels are pruned as 3 units": small(
        lambda s, x: s.last(pooled(F.glu(s.a(x), 1))), last=head(3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", CANNOT)
def test_units_whose_factor_could_not_be_folded_are_refused_by_name(why):
    layer, _, words = why.partition(" " if "does" in why else ": ")
    message = rf"^gates: the units of `{layer}` cannot have gates: .*{words}"
    refused(ready(deepcopy(CANNOT[why])), message)


def test_a_layer_that_runs_twice_is_refused_by_name():
    net = small(lambda s, x: s.last(pooled(torch.cat([F.relu(s.a(x)), F.relu(s.a(-x))], 1))),
                last=head(12))  # fmt: skip
    refused(ready(net), r"^gates: `a` runs more than once in `net`$")


def test_a_network_without_a_layer_to_gate_is_refused():
    message = r"^gates: `net` has no layer whose units can be gated$"
    refused(ready(nn.Sequential(nn.Flatten(), nn.Linear(192, 3))), message)
    found = gated(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), batch(*IMAGE), inputs=("1",))
    assert list(found.gates) == ["1.inputs"]


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("key", ["fc1.weight", "conv2.bias"])
def test_weights_that_are_not_finite_are_refused_by_layer(key, value):
    net = build("lenet-5")
    with torch.no_grad():
        net.get_parameter(key).view(-1)[3] = value
    message = rf": `{key}` holds values that are not finite$"
    refused(net, message, batch(1, 28, 28).float())


@pytest.mark.parametrize("name", ["fc9", "", "fc1.inputs", "relu", "conv1.weight"])
def test_inputs_of_no_layer_are_refused_with_the_layers(name):
    message = rf"^gates: `inputs` names '{name}'; it must be one of conv1, conv2, fc1, fc2$"
    refused(build("lenet-5"), message, batch(1, 28, 28).float(), inputs=("fc1", name))


def test_inputs_of_a_layer_that_picks_already_or_does_not_run_are_refused():
    net, x = (
        ready(
            small(
                lambda s, x: s.last(pooled(F.relu(s.b(F.relu(s.a(x)))))), b=conv(6, 5), last=head(5)
            )
        ),
        batch(*IMAGE),
    )
    net.unused = nn.Linear(4, 4).double()
    picked = {"b.inputs": torch.arange(6) != 2}
    small_net = surgery.shrink(net, trace(net, x), picked)
    message = r"^gates: `inputs` names '{}'; it must be one of a, last$"
    refused(small_net, message.format("b"), x, inputs=("b",))
    refused(small_net, message.format("unused"), x, inputs=("unused",))


def test_an_example_that_does_not_fit_is_refused():
    refused(build("lenet-5"), r"^trace: `example` .* does not fit", batch(1, 9, 9).float())


# What is left on the network

BUDGET = Budget(epochs=3, lr=0.01, batch=8, optimizer="adam")  # 6 steps an epoch
DATA = dataset()


class Constants(nn.Module):
    """Makes a constant in `forward`, and has a frozen weight and a part in evaluation mode."""

    def __init__(self, broken_at=None):
        super().__init__()
        self.net = network()
        self.net[5].bias.requires_grad_(False)
        self.net[4].eval()

    def forward(self, x):
        return self.net(x * torch.tensor([2.0]))


@pytest.mark.parametrize("training", [False, True])
def test_after_pruning_nothing_is_left_on_the_network_but_other_weights(training):
    net = Constants()
    net.training = training
    before, weights = traces(net), {k: v.clone() for k, v in net.state_dict().items()}
    random = torch.get_rng_state()
    keep = KnownMethod(budget=BUDGET, inputs=("net.5",)).prune(net, DATA, progress=False)
    assert traces(net) == before
    assert torch.equal(torch.get_rng_state(), random)
    assert list(keep) == ["net.0", "net.5.inputs"]
    after = net.state_dict()
    same = [k for k in weights if torch.equal(after[k], weights[k])]
    assert same == ["net.5.bias"]  # which is frozen
    assert torch.equal(
        net.net[5].weight.any(0), keep["net.0"].repeat_interleave(36) & keep["net.5.inputs"]
    )


def stop(steps, error):
    def watch(done, network):
        if done == steps:
            raise error

    return watch


@pytest.mark.parametrize(("steps", "error"), [(0, Stop()), (6, RuntimeError("full")), (18, Stop())])
def test_after_an_exception_nothing_is_left_on_the_network(steps, error):
    net = Constants()
    before = traces(net)
    with pytest.raises(type(error)):
        KnownMethod(budget=BUDGET).run(net, DATA, progress=False, watch=stop(steps, error))
    assert traces(net) == before
    assert KnownMethod(budget=BUDGET).prune(net, DATA, progress=False)["net.0"].tolist() == [
        True, False, True, True,
    ]  # fmt: skip


def test_after_an_exception_in_the_middle_of_a_step_nothing_is_left_on_the_network(monkeypatch):
    monkeypatch.setattr(KnownMethod, "gate", lambda self, place: Breaking(place))
    net = Constants()
    before = traces(net)
    with pytest.raises(Stop):
        KnownMethod(budget=BUDGET).prune(net, DATA, progress=False)
    assert traces(net) == before


def test_after_a_loss_that_is_not_finite_nothing_is_left_on_the_network(monkeypatch):
    monkeypatch.setattr(KnownMethod, "strength", lambda self, images: float("inf"))
    net = Constants()
    before = traces(net)
    with pytest.raises(RuntimeError, match="the loss is inf at step 0"):
        KnownMethod(budget=BUDGET).prune(net, DATA, progress=False)
    assert traces(net) == before


def test_watch_is_called_before_training_and_after_each_epoch():
    seen = []

    def watch(done, found):
        assert isinstance(found.gates["0"], Gate)
        seen.append((done, float(found.done)))

    done = KnownMethod(budget=Budget(2.5, 0.01, 8, optimizer="adam")).run(
        network(), DATA, progress=False, watch=watch
    )
    assert seen == [(0, 0), (6, 6), (12, 12), (15, 15)]
    assert len(done.history[0].rows) == 3
