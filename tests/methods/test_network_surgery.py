"""Dynamic network surgery against naive loops: thresholds, equation (3), gradients, draws."""

from copy import deepcopy

import pytest
import torch
from helpers.pruning import first_cut
from helpers.surgeries import DATA, EPOCH, LAYERS, NAMES, equal, limits, net_of, run, surgery
from helpers.toy import quiet, same
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from prunelab.data import load
from prunelab.methods import NetworkSurgery
from prunelab.methods.masking.splicing import Splicing
from prunelab.models import build
from prunelab.train import Budget, fit


@pytest.mark.parametrize("c", [0.8, 0, -0.7, -9])
def test_thresholds_are_those_of_the_start_over_weights_and_biases_that_are_not_zero(c):
    net = net_of()
    with torch.no_grad():
        net[3].weight[:, ::2] = 0
        net[0].bias[1] = 0
        net[5].bias.copy_(
            torch.tensor([5.0, -4.0, 3.0])
        )  # biases count: the threshold of 5 is high
    expected = {name: limits(net, name, c) for name in LAYERS}
    assert (c == -9) == (expected["3"] == (0, 0))
    _, _, seen = run(surgery(c), net)
    assert len(seen.limits) == 19
    for row in seen.limits:  # the weights move, the thresholds do not
        assert all(row[name] == pytest.approx(expected[name], rel=1e-5) for name in LAYERS)
    assert not equal(seen.dense[0], seen.dense[18])


def test_the_first_cut_is_made_before_the_first_step_on_biases_too():
    net, c = net_of(), {"0": 0.5, "3": -0.2, "5": 0.4}
    with torch.no_grad():
        net[0].bias.copy_(torch.tensor([1e-3, 0.9, -1e-3]))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    lows = {name: limits(net, name, c[name])[0] for name in LAYERS}
    counts = first_cut(net, c)
    _, done, seen = run(surgery(c), net)
    for name in NAMES:
        expected = [abs(v) > lows[name[0]] for v in before[name].flatten().tolist()]
        assert seen.kept[0][name].flatten().tolist() == expected
    assert seen.kept[0]["0.bias"].tolist() == [False, True, False]
    for layer, keys in LAYERS.items():
        size = sum(before[f"{layer}.{key}"].numel() for key in keys)
        assert counts[layer] == sum(int(seen.kept[0][f"{layer}.{key}"].sum()) for key in keys)
        assert done.events[layer][0].tolist() == [size - counts[layer], 0]
        assert 0 < counts[layer] < size


NUMBERS = st.lists(st.floats(-1.5, 1.5, width=32), min_size=8, max_size=8)


@settings(deadline=None, max_examples=60)
@given(
    NUMBERS, NUMBERS, st.lists(st.booleans(), min_size=8, max_size=8), st.floats(-1.5, 0.5),
    st.tuples(st.floats(0.5, 1.0), st.floats(0, 0.5)), st.booleans(),
)  # fmt: skip
def test_equation_3(start, now, kept, c, margins, splice):
    net = nn.Sequential(nn.Linear(3, 2))
    weight, bias = net[0].weight, net[0].bias

    @torch.no_grad()
    def put(values):
        weight.copy_(torch.tensor(values[:6]).view(2, 3))
        bias.copy_(torch.tensor(values[6:]))

    put(start)
    margins = (margins[0], sum(margins))
    assume(first_cut(net, c, margins[0])["0"] > 0)
    state = Splicing(net, surgery(c, margins=margins, splice=splice), {"0": c}, 0, 45)
    masks = state.layers["0"].masks
    a, b = float(masks["weight"].low), float(masks["weight"].high)
    put(now)
    masks["weight"].kept.copy_(torch.tensor(kept[:6]).view(2, 3))
    masks["bias"].kept.copy_(torch.tensor(kept[6:]))
    state.refresh()
    expected = []
    for w, mask in zip(now, kept):  # as the authors' code compares
        if mask and abs(w) <= a:
            expected.append(False)
        elif not mask and abs(w) > b and splice:
            expected.append(True)
        else:
            expected.append(mask)
    assume(any(expected))
    state.look(1)
    found = [*masks["weight"].kept.flatten().tolist(), *masks["bias"].kept.tolist()]
    assert found == expected
    pairs = list(zip(kept, expected))
    assert state.events()["0"][1].tolist() == [
        pairs.count((True, False)),
        pairs.count((False, True)),
    ]
    torch.testing.assert_close(
        net[0].weight, torch.tensor(now[:6]).view(2, 3) * masks["weight"].kept
    )
    state.close()


def naive(net, c, steps, stop, whole=True, decay=0.02, lr=0.1, momentum=0.9):
    """Surgery as section 3 of the specification writes it, on dense tensors and full batches."""
    x = (DATA.train.images / 255 - DATA.train.mean[0]) / DATA.train.std[0]
    dense = {k: p.detach().clone() for k, p in net.named_parameters()}
    kept = {k: torch.ones_like(p, dtype=torch.bool) for k, p in dense.items()}
    speed = {k: torch.zeros_like(p) for k, p in dense.items()}
    at = {k: limits(net, k[0], c[k[0]]) for k in dense if k[0] in c}
    for step in range(steps):
        for k in at if step < stop else ():
            kept[k][dense[k].abs() <= at[k][0]] = False
            kept[k][dense[k].abs() > at[k][1]] = True
        masked = {k: (dense[k] * kept[k]).requires_grad_() for k in dense}
        loss = cross_entropy(functional_call(net, masked, x), DATA.train.labels)
        for k, gradient in zip(masked, torch.autograd.grad(loss, list(masked.values()))):
            gradient = gradient if whole else gradient * kept[k]
            speed[k] = momentum * speed[k] + gradient + decay * dense[k]
            dense[k] = dense[k] - lr * speed[k]
    return dense, kept


FULL = Budget(epochs=12, lr=0.1, batch=45, weight_decay=0.02)


@pytest.mark.parametrize("c", [{"0": 0.2, "3": 0.6, "5": 0.4}, {"3": 0.8}])
def test_masked_weights_get_the_whole_gradient_decay_and_momentum_as_in_a_naive_loop(c):
    net = net_of()
    dense, kept = naive(net, c, steps=12, stop=9)
    wrong, _ = naive(net, c, steps=12, stop=9, whole=False)
    _, done, seen = run(surgery(c, FULL, stop=9), net)
    for k, p in net.named_parameters():
        torch.testing.assert_close(p.detach(), dense[k] * kept[k], rtol=0, atol=1e-5)
        assert k[0] not in c or torch.equal(done.keep[k], kept[k])
    for k, found in seen.dense[-1].items():
        torch.testing.assert_close(found, dense[k], rtol=0, atol=1e-5)
        assert k != "3.weight" or not torch.allclose(found, wrong[k], rtol=0, atol=1e-3)
    assert sum(int(e[1:].sum()) for e in done.events.values()) > 0


def of_4000_steps(seed=0, **options):
    method = surgery(0.0, Budget(epochs=1, batch=2), **options)
    return Splicing(net_of(), method, dict.fromkeys(LAYERS, 0.0), seed, 8000).due


def test_draws_are_made_per_layer_with_the_falling_probability():
    due = of_4000_steps(stop=4000, gamma=0.004, power=0.7)
    assert due.shape == (4001, 3)
    chance = torch.tensor([(1 + 0.004 * t) ** -0.7 for t in range(4000)])
    for chosen, p in zip(due[:4000].split(500), chance.split(500)):
        spread = 5 * (p * (1 - p)).sum().sqrt()
        assert ((chosen.sum(0) - p.sum()).abs() < spread).all()
    both = (chance**2).sum()  # independent between layers
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert abs((due[:4000, i] & due[:4000, j]).sum() - both) < 5 * both.sqrt()
    assert due[0].all()


def test_draws_stop_depend_on_the_seed_and_are_certain_without_gamma_or_power():
    stops = {"0": 0, "3": 1000, "5": 4000}
    due = of_4000_steps(stop=stops, gamma=0.001)
    for layer, stop in enumerate(stops.values()):
        assert not due[stop:, layer].any()
        assert stop == 0 or due[stop - 100 : stop, layer].any()
    assert torch.equal(due, of_4000_steps(stop=stops, gamma=0.001))
    assert not torch.equal(due, of_4000_steps(1, stop=stops, gamma=0.001))
    for certain in ({"gamma": 0.0}, {"gamma": 3.0, "power": 0.0}):
        due = of_4000_steps(stop=300, **certain)
        assert due[:300].all() and not due[300:].any()


def test_masks_change_in_steps_that_were_drawn_and_before_stop_alone():
    _, done, seen = run(surgery(stop=14, gamma=0.2))
    due = seen.due[0]
    assert 10 < due.sum() < 3 * 14
    changed = {name: [] for name in LAYERS}
    for step in range(1, 19):
        for number, (layer, keys) in enumerate(LAYERS.items()):
            names = [f"{layer}.{key}" for key in keys]
            moved = any(not torch.equal(seen.kept[step][k], seen.kept[step - 1][k]) for k in names)
            assert moved == bool(done.events[layer][step].any())
            if moved:
                assert due[step, number] and step < 14
                changed[layer].append(step)
    assert all(len(steps) > 1 for steps in changed.values())


def test_stop_0_is_plain_training_bit_for_bit():
    net, plain = net_of(), net_of()
    _, done, _ = run(surgery(stop=0), net, seed=3)
    quiet(plain, DATA, EPOCH, seed=3)
    assert same(net, plain)
    assert all(keep.all() for keep in done.keep.values())
    assert not any(events.any() for events in done.events.values())


def test_without_splicing_nothing_returns_and_with_it_something_does():
    for splice in (False, True):
        _, done, seen = run(surgery(splice=splice))
        back = [bool((b[k] & ~a[k]).any()) for a, b in zip(seen.kept, seen.kept[1:]) for k in NAMES]
        assert any(back) == splice
        assert (sum(int(e[:, 1].sum()) for e in done.events.values()) > 0) == splice


def test_equal_margins_leave_no_memory_and_unequal_ones_do():
    for margins in ((1, 1), (0.9, 1.1)):
        _, _, seen = run(surgery(margins=margins))
        by_size, band = [], set()
        for kept, dense, at in zip(seen.kept[:18], seen.dense, seen.limits):
            for k in NAMES:
                a, b = at[k[0]]
                by_size.append(torch.equal(kept[k], dense[k].abs() > a))
                band |= set(kept[k][(dense[k].abs() > a) & (dense[k].abs() <= b)].tolist())
        assert all(by_size) == (margins == (1, 1))
        assert band == (set() if margins == (1, 1) else {True, False})


@pytest.fixture(scope="module")
def lenet():
    torch.manual_seed(0)
    net, digits = build("lenet-300-100"), load("digits")
    fit(net, digits, Budget(epochs=3, lr=0.05, batch=64), progress=False)
    return net, digits


def test_a_lenet_300_100_grows_after_the_first_cut_by_splicing_alone(lenet):
    budget = Budget(epochs=10, lr=0.1, batch=64, weight_decay=1e-3, schedule="cosine")
    counts = {True: [], False: []}
    for splice, found in counts.items():
        method = NetworkSurgery(
            {"fc1": 4, "fc2": 2.9, "fc3": 2.2}, budget, stop=180, splice=splice
        )  # fmt: skip

        def watch(_, state, found=found):
            found.append(sum(layer.kept() for layer in state.layers.values()))

        method.run(deepcopy(lenet[0]), lenet[1], progress=False, watch=watch)
        assert len(found) == 201
    assert max(counts[True][:100]) > 1.5 * counts[True][0]
    assert counts[False] == sorted(counts[False], reverse=True)
