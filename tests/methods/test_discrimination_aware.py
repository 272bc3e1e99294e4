"""DCP on whole networks: what its options do, and what it refuses."""

from copy import deepcopy

import pytest
import torch
from helpers.preresnet import DATA, preresnet
from torch import nn

from prunelab import methods, surgery
from prunelab.groups import trace
from prunelab.methods.discrimination import algorithm
from prunelab.methods.discrimination.heads import Head, doors, heads_for
from prunelab.train import Budget

BUDGET = Budget(epochs=1, lr=0.02, batch=8)


@pytest.fixture(scope="module")
def net():
    return preresnet()


def run(net, **fields):
    pruned = deepcopy(net)
    method = methods.DiscriminationAware(**{"finetune": BUDGET, "images": 12} | fields)
    return pruned, method.run(pruned, DATA, progress=False)


def test_what_is_removed_is_what_is_kept_out(net):
    pruned, done = run(net, ratios={"layer1.1.conv1": 0.3, "layer3.0.conv1": 0.5}, step=4)
    assert done.keep.widths() == {"layer1.1.conv1": 12, "layer3.0.conv1": 32}
    removed = ~done.keep["layer1.1.conv1"]
    assert not pruned.layer1[1].conv2.weight[:, removed].any()
    assert not pruned.layer1[1].conv1.weight[removed].any()
    small = surgery.shrink(pruned, trace(pruned, DATA.example), done.keep)
    x = DATA.val.batch(slice(None))[0]
    with torch.no_grad():
        torch.testing.assert_close(small.eval()(x), pruned.eval()(x), rtol=1e-4, atol=1e-4)


def test_events_tell_order_losses_and_scores(net):
    _, done = run(net, ratios={"layer2.0.conv1": 0.75}, score="frobenius")
    order, losses, scores = (
        done.events[f"layer2.0.conv1: {what}"] for what in ("order", "losses", "scores")
    )
    assert order.shape == (8,) and losses.shape == (9, 2) and scores.shape == (8, 32)
    assert int(scores[0].argmax()) == order[0]
    assert done.keep["layer2.0.conv1"].nonzero()[:, 0].tolist() == order.sort().values.tolist()
    assert losses[-1, 0] < losses[0, 0]


def test_the_scores_are_norms_of_the_gradient(net):
    scores = {
        score: run(net, ratios={"layer1.0.conv1": 0.9}, score=score)[1].events[
            "layer1.0.conv1: scores"
        ][0]
        for score in ("sum", "frobenius", "squares")
    }
    torch.testing.assert_close(scores["squares"], scores["frobenius"].square())
    n = 16  # output filters: sqrt(sum of squares) <= sum <= sqrt(n) times it
    assert (scores["frobenius"] <= scores["sum"] * 1.0001).all()
    assert (scores["sum"] <= n**0.5 * scores["frobenius"] * 1.0001).all()


def test_random_dcp_draws_channels_and_fits_their_weights(net):
    name, losses = "layer2.1.conv1", []
    for passes in (1, 30):
        _, done = run(net, ratios={name: 0.5}, select="random", passes=passes, lam=0.0)
        losses.append(done.events[f"{name}: losses"][:, 0])
    assert losses[1][-1] < losses[0][-1] < losses[0][0]
    assert len(done.events[f"{name}: scores"]) == 0
    other = run(net, ratios={name: 0.5})[1]
    assert not done.keep[name].equal(other.keep[name])


@pytest.mark.filterwarnings("ignore:DiscriminationAware. no channel was removed")
def test_a_smaller_epsilon_keeps_more_channels(net):
    name = "layer2.0.conv1"
    kept = []
    for epsilon in (0.5, 0.02, 1e-9):
        _, done = run(net, ratios={name: 0.0}, epsilon=epsilon, images=8)
        kept.append(int(done.keep[name].sum()))
        joint = done.events[f"{name}: losses"].sum(1)
        changes = (joint[1:] - joint[:-1]).abs() / joint[0]
        assert (changes[:-1] > epsilon).all() and (changes[-1] <= epsilon or kept[-1] == 32)
    assert 1 <= kept[0] < kept[1] < kept[2] == 32


def test_epsilon_and_ratio_together_stop_at_the_first(net):
    _, done = run(net, ratios={"layer2.0.conv1": 0.9}, epsilon=1e-9)
    assert int(done.keep["layer2.0.conv1"].sum()) == 4


def test_the_joint_variant_trains_once_under_all_losses(net):
    _, done = run(net, ratios={"layer1.0.conv1": 0.9, "layer3.2.conv1": 0.9}, staging="joint")
    assert len(done.history) == 1
    staged = run(net, ratios={"layer1.0.conv1": 0.9, "layer3.2.conv1": 0.9})[1]
    assert len(staged.history) == 4


def test_a_layer_without_gradient_writes_nothing_and_its_block_is_its_shortcut(net):
    dead = deepcopy(net)
    with torch.no_grad():
        dead.layer2[1].bn2.weight.zero_()
        dead.layer2[1].bn2.bias.fill_(-1.0)  # relu gives 0: conv2 reads nothing
    still = Budget(epochs=0.01, lr=1e-12, batch=8, weight_decay=0.0)
    pruned, done = run(dead, ratios={"layer2.1.conv1": 0.5}, finetune=still)
    assert int(done.keep["layer2.1.conv1"].sum()) == 1
    small = surgery.shrink(pruned, trace(pruned, DATA.example), done.keep)
    x = torch.randn(2, 32, 8, 8)
    with torch.no_grad():
        assert torch.equal(small.layer2[1].eval()(x), x)


def test_heads_join_a_training_with_their_weights():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 3))
    heads = heads_for(net, DATA.example, ["0"], 3, seed=0)
    assert isinstance(heads["0"], Head) and not heads["0"].fc.bias.any()
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    features = {"0": torch.randn(4, 4, 5, 5)}
    plain, side = (
        nn.functional.cross_entropy(out, labels) for out in (logits, heads["0"](features["0"]))
    )
    total = doors(heads, {"0": 0.25})["loss"](logits, labels, features)
    torch.testing.assert_close(total, plain + 0.25 * side)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ratios": 1.0}, r"`ratio` is the fraction removed and must be in \[0, 1\), got 1.0"),
        ({"ratios": {"conv1": 0.5, "x": 2}}, r"must be in \[0, 1\), got 2"),
        ({"epsilon": 0.0}, "`epsilon` must be a number > 0, or None; got 0.0"),
        ({"epsilon": -1.0}, "`epsilon` must be a number > 0, or None; got -1.0"),
        ({"lam": -0.1}, "`lam` must be a number >= 0; got -0.1"),
        ({"lam": 0, "reconstruction": 0}, "`lam` must be > 0 if `reconstruction` is 0; got 0"),
        ({"losses": -1}, "`losses` must be an integer >= 0; got -1"),
        ({"images": 0}, "`images` must be an integer >= 1; got 0"),
        ({"step": 0}, "`step` must be an integer >= 1; got 0"),
        ({"passes": 0}, "`passes` must be a number > 0; got 0"),
        ({"score": "l3"}, "`score` must be one of sum, frobenius, squares; got 'l3'"),
        ({"select": "last"}, "`select` must be one of gradient, random; got 'last'"),
        ({"staging": "none"}, "`staging` must be one of stages, joint; got 'none'"),
    ],
)
def test_wrong_fields_are_refused_in_one_line(fields, said):
    with pytest.raises(ValueError, match=said) as error:
        methods.DiscriminationAware(**{"ratios": 0.5} | fields)
    assert "\n" not in str(error.value)


def test_more_losses_than_places_are_refused(net):
    with pytest.raises(ValueError, match=r"`losses` must be one of \[0, 1, 2, 3, 4\].* got 9"):
        run(net, ratios=0.5, losses=9)


class Nothing(nn.Module):
    """A residual network without an inner channel."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.fc = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Linear(4, 3)

    def forward(self, x):
        x = self.a(x)
        return self.fc((x + self.b(x)).mean((2, 3)))


def test_a_network_without_channels_to_choose_is_refused():
    with pytest.raises(ValueError, match=r"^DiscriminationAware: `net` has no channels that can"):
        run(Nothing(), ratios=0.5)


def test_a_killed_selection_goes_on_with_the_bits_of_an_unbroken_one(net, tmp_path, monkeypatch):
    ratios = {"layer1.0.conv1": 0.8, "layer1.1.conv1": 0.8, "layer3.2.conv1": 0.9}
    method = methods.DiscriminationAware(ratios, finetune=BUDGET, images=12)
    whole = deepcopy(net)
    expected = method.run(whole, DATA, progress=False)
    calls, choose = [], algorithm.choose

    def broken(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return choose(*arguments)

    monkeypatch.setattr(algorithm, "choose", broken)
    how = {"progress": False, "checkpoint": tmp_path / "run"}
    with pytest.raises(KeyboardInterrupt):
        method.run(deepcopy(net), DATA, **how)
    again = deepcopy(net)
    done = method.run(again, DATA, **how)
    assert len(calls) == 4  # two layers, the one that was broken off, and this one again
    assert done.keep == expected.keep
    assert all(torch.equal(done.events[name], expected.events[name]) for name in expected.events)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_a_selection_of_another_run_is_refused(net, tmp_path):
    how = {"progress": False, "checkpoint": tmp_path / "run"}
    fields = {"ratios": {"layer1.0.conv1": 0.8}, "finetune": BUDGET, "losses": 0}
    methods.DiscriminationAware(images=12, **fields).run(deepcopy(net), DATA, **how)
    with pytest.raises(ValueError, match="is of another run") as error:
        methods.DiscriminationAware(images=13, **fields).run(deepcopy(net), DATA, **how)
    assert "\n" not in str(error.value)
