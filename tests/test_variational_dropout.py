"""Variational dropout: its numbers, its units against naive loops, and real runs on digits."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Net, pooled
from pruning import batch, difference, ready
from test_network_surgery_runs import traces
from torch import nn
from torch.nn.functional import leaky_relu, max_pool2d, relu
from toy import dataset, same

from prunelab import surgery
from prunelab.data import load
from prunelab.groups import trace
from prunelab.masks import Keep
from prunelab.methods.noisy_weights import log_uniform_kl
from prunelab.methods.variational_dropout import SparseLayer, VariationalDropout
from prunelab.models import build
from prunelab.train import Budget, evaluate

SHORT = Budget(epochs=3, lr=1e-3, batch=8, optimizer="adam", weight_decay=0)
DATA = dataset()


def method(budget=SHORT, **options):
    return VariationalDropout(budget=budget, **options)


def sparse(weights, log_vars, threshold=3.0):
    layer = SparseLayer(nn.Linear(len(weights), 1), 1.0, -10.0, threshold)
    with torch.no_grad():
        layer.layer.weight.copy_(torch.tensor([weights]))
        layer.log_vars["weight"].copy_(torch.tensor([log_vars]))
    return layer


def test_log_alpha_is_the_log_ratio_of_noise_and_signal_within_8():
    weights, log_vars = [2.0, -0.1, 1e-3, 0.0, 5.0], [-3.0, -1.0, 0.0, -2.0, -10.0]
    expected = [v - 2 * math.log(abs(w)) if w else math.inf for w, v in zip(weights, log_vars)]
    expected = [max(-8, min(8, v)) for v in expected]
    assert sparse(weights, log_vars).log_alpha()[0].tolist() == pytest.approx(expected, rel=1e-5)
    assert expected[2:] == [8, 8, -8]


def test_weights_above_the_threshold_are_left_out_of_the_mean_but_not_of_training():
    layer = sparse([1.0, 1.0, -2.0], [2.9, 3.1, -40.0])
    assert layer.kept().tolist() == [[True, False, True]]
    x = torch.tensor([[10.0, 20.0, 30.0]])
    n, bias = 40_000, float(layer.layer.bias.detach())
    with torch.no_grad():
        assert float(layer.eval()(x)) == pytest.approx(10 - 60 + bias)
        y = layer.train()(x.expand(n, 3)) - bias
    assert float(y.mean()) == pytest.approx(-30, abs=5 * float(y.std()) / math.sqrt(n))
    spread = math.sqrt(100 * math.exp(2.9) + 400 * math.exp(3.1))
    assert float(y.std()) == pytest.approx(spread, rel=5 / math.sqrt(2 * n))
    assert sparse([1.0], [1.5], threshold=1.5).kept().all()  # at the threshold it stays
    assert not sparse([1.0], [1.5], threshold=1.4).kept().any()


def test_the_penalty_is_the_kl_of_all_weights_over_the_number_of_images():
    torch.manual_seed(0)
    net = ready(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)))
    gated = method(log_var=-4.0).network(net, batch(6))
    expected = 0
    for layer in (net[0], net[2]):
        for w in layer.weight.flatten().tolist():
            alpha = max(-8, min(8, -4 - 2 * math.log(abs(w))))
            expected += log_uniform_kl(torch.tensor(alpha, dtype=torch.float64)).item()
    assert gated.penalty().item() == pytest.approx(expected)
    assert method().strength(250) == 1 / 250


@settings(deadline=None, max_examples=60)
@given(st.floats(-60, 30), st.sampled_from([0.0, 1e-30, 1e-10, 1e-4, 1.0, 1e6]))
def test_gradients_of_the_penalty_are_finite_everywhere(log_var, weight):
    layer = sparse([weight, -weight], [log_var, log_var])
    layer.penalty().backward()
    assert torch.isfinite(layer.penalty())
    assert torch.isfinite(layer.layer.weight.grad).all()
    assert torch.isfinite(layer.log_vars["weight"].grad).all()


def pruned(net, x, share, seed, inputs=(), hurt=()):
    """`net` under variational dropout; of each weight about `share` is pruned.

    `hurt`: (tensor name, axis) of which each line is pruned whole with probability 1/2.
    """
    g = torch.Generator().manual_seed(seed)
    gated = method(inputs=inputs).network(net, x)
    with torch.no_grad():
        for name, layer in gated.noisy.items():
            weight = layer.layer.weight
            gone = torch.rand(weight.shape, generator=g) < share
            for axis in [axis for other, axis in hurt if other == name]:
                lines = torch.rand(weight.shape[axis], generator=g) < 0.5
                gone.movedim(axis, 0)[lines] = True
            level = weight.square().log()
            layer.log_vars["weight"].copy_(torch.where(gone, level + 5, level - 5))
            assert torch.equal(layer.kept(), ~gone)
    return gated


def chain(conv_padding=0, bias=True):
    """Two convolutions and three linear layers, with pooling and flattening between."""
    return Net(
        lambda self, x: self.c(relu(self.b(relu(self.a(
            max_pool2d(relu(self.v(relu(self.u(x)))), 2).flatten(1)
        ))))),
        u=nn.Conv2d(2, 4, 3), v=nn.Conv2d(4, 3, 3, padding=conv_padding, bias=bias),
        a=nn.Linear(3 * (4 if not conv_padding else 9), 6), b=nn.Linear(6, 5), c=nn.Linear(5, 3),
    )  # fmt: skip


def naive(kept):
    """Units of `chain` that stay: deletions, one by one, until none is left to make."""
    order = ["u", "v", "a", "b", "c"]
    rows = {n: kept[n].flatten(2).any(2).tolist() if n in "uv" else kept[n].tolist() for n in order}
    size = {n: len(rows[n]) for n in order}
    constant, unread = set(), set()

    def readers(n, i):  # (reading layer, unit, is the weight there)
        after = order[order.index(n) + 1]
        columns = range(i * 4, i * 4 + 4) if n == "v" else [i]
        return [(after, o, any(rows[after][o][c] for c in columns)) for o in range(size[after])]

    def written(n, i):  # units whose weights enter
        before = order[order.index(n) - 1] if n != "u" else None
        if before is None:
            return [None for w in rows[n][i] if w]
        per = 4 if n == "a" else 1
        return [(before, c // per) for c, w in enumerate(rows[n][i]) if w]

    changed = True
    while changed:
        changed = False
        for n in order[:-1]:
            for i in range(size[n]):
                if (n, i) not in constant and all(k in constant for k in written(n, i)):
                    constant.add((n, i))
                    changed = True
                gone = constant | unread
                if (n, i) not in gone and all(not w or (o, u) in gone for o, u, w in readers(n, i)):
                    unread.add((n, i))
                    changed = True
    return {n: [(n, i) not in constant | unread for i in range(size[n])] for n in order[:-1]}


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([0.3, 0.6, 0.8, 0.9]))
def test_units_go_as_in_a_naive_loop_and_the_function_stays_the_same(seed, share):
    net, x = ready(chain()), batch(2, 8, 8, n=3)
    hurt = [(name, axis) for name in "uvabc" for axis in (0, 1)]
    hurt = [h for i, h in enumerate(hurt) if (seed >> i) & 1]
    gated = pruned(net, x, share, seed, inputs=("a",), hurt=hurt)
    kept = {name: layer.kept() for name, layer in gated.noisy.items()}
    found, expected = gated.kept(), naive(kept)
    assert {name: found[name].tolist() for name in "uvab"} == expected
    dead = ~torch.tensor(expected["v"]).repeat_interleave(4)
    assert not found["a.inputs"][dead].any()
    before = gated.eval()(x)
    keep = {name: k if k.any() else torch.arange(len(k)) == 0 for name, k in found.items()}
    gated.fold(net, Keep(keep))
    with torch.no_grad():
        scale = before.abs().max()
        assert (net(x) - before).abs().max() < 1e-9 * scale
        assert (surgery.shrink(net, trace(net, x), keep)(x) - before).abs().max() < 1e-9 * scale
    for name, mask in kept.items():
        assert not net.get_parameter(f"{name}.weight")[~mask].any()


class Heads(nn.Module):
    """`c` reads `w` twice, as means and as sums; `d` reads `v` and `t`, which reads `u`."""

    def __init__(self):
        super().__init__()
        self.u, self.n = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        self.t, self.v = nn.ConvTranspose2d(6, 5, 3), nn.Conv2d(3, 4, 1)
        self.w, self.c, self.d = nn.Conv2d(3, 5, 1), nn.Linear(5, 4), nn.Conv2d(9, 4, 1)

    def forward(self, x):
        maps = relu(self.t(relu(self.n(self.u(x)))))
        both = self.d(torch.cat([leaky_relu(self.v(x), 0.3), maps], 1))
        w = relu(self.w(x))
        return pooled(both) + self.c(pooled(w)) + self.c(w.sum([2, 3]))


OTHERS = {
    "zero padding": (lambda: chain(conv_padding=1), 2),
    "no bias": (lambda: chain(bias=False), 2),
    "mixed": (Heads, 3),
    "residual": (lambda: build("resnet-20", 4, 3), 3),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", OTHERS)
def test_removing_units_changes_nothing_on_other_architectures(name, seed):
    net, x = ready(OTHERS[name][0]()), batch(OTHERS[name][1], 8, 8)
    groups = trace(net, x)
    hurt = [(s.layer, s.axis) for group in groups.values() for s in group.slices]
    gated = pruned(net, x, 0.2, seed, hurt=hurt)
    before = gated.eval()(x)
    keep = {n: k if k.any() else torch.arange(len(k)) == 0 for n, k in gated.kept().items()}
    assert not all(k.all() for k in keep.values())
    gated.fold(net, Keep(keep))
    with torch.no_grad():
        assert difference(net(x), before) < 1e-9
        assert difference(surgery.shrink(net, groups, keep)(x), before) < 1e-9


def test_a_unit_that_reads_nothing_stays_where_its_constant_fits_no_bias():
    for change, stays in (({}, False), ({"bias": False}, True), ({"conv_padding": 1}, True)):
        net, x = ready(chain(**change)), batch(2, 8, 8)
        gated = pruned(net, x, 0.0, 0)
        assert all(k.all() for k in gated.kept().values())
        with torch.no_grad():
            gated.noisy["u"].log_vars["weight"][1] = 30
        assert gated.kept()["u"].tolist() == [True, stays, True, True]


@pytest.fixture(scope="module")
def digits():
    """A LeNet-300-100 pruned from random weights: (network, its traces before, run, course)."""
    torch.manual_seed(0)
    net, course = build("lenet-300-100"), []
    budget = Budget(epochs=24, lr=2e-3, batch=64, optimizer="adam", weight_decay=0,
                    schedule="linear", milestones=(0.5,))  # fmt: skip

    def watch(done, gated):
        weights = sum(int(layer.kept().sum()) for layer in gated.noisy.values())
        course.append((done, {n: int(k.sum()) for n, k in gated.kept().items()}, weights))

    made, before = method(budget, ramp=0.5, inputs=("fc1",)), traces(net)
    return net, before, made.run(net, load("digits"), progress=False, watch=watch), course


def test_on_digits_all_but_one_weight_of_200_and_most_units_go(digits):
    net, _, run, course = digits
    weights = sum(int((layer.weight != 0).sum()) for layer in net.children())
    assert 400 < weights < 266_200 / 200  # measured: 790
    sizes = {"fc1.inputs": 784, "fc1": 300, "fc2": 100}
    assert list(run.keep) == list(sizes)
    for name, share in (("fc1.inputs", 0.5), ("fc1", 0.25), ("fc2", 0.8)):
        assert 5 < run.keep.widths()[name] < share * sizes[name]  # measured: 188, 37, 65
    assert evaluate(net, load("digits").test).accuracy > 0.9  # measured: 0.936
    assert [done for done, _, _ in course] == list(range(0, 481, 20))
    assert course[0][1] == sizes and course[-1][1] == run.keep.widths()
    assert course[0][2] > 250_000 and course[-1][2] >= weights


def test_afterwards_the_network_is_plain_and_computes_what_its_shrunk_form_does(digits):
    net, before, run, _ = digits
    data = load("digits")
    assert traces(net) == before
    x = data.test.batch(slice(0, 100))[0]
    small = surgery.shrink(net, trace(net, data.example), run.keep)
    with torch.no_grad():
        assert (small(x) - net(x)).abs().max() < 1e-5 * net(x).abs().max()
    assert small.fc1.weight.shape == (run.keep.widths()["fc1"], run.keep.widths()["fc1.inputs"])
    last = run.history.last["test_accuracy"]  # of the mean network, before it was folded
    assert abs(evaluate(net, data.test).accuracy - last) < 1.5 / 360


def small():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 6),
        nn.ReLU(), nn.Linear(6, 3),
    )  # fmt: skip


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not():
    runs = []
    for seed in (4, 4, 5):
        net = small()
        runs.append((method(log_var=-3.0).prune(net, DATA, seed=seed, progress=False), net))
    (keep, net), (again, other), (_, third) = runs
    assert keep == again and same(net, other) and not same(net, third)
    assert not all(k.all() for k in keep.values()) or (net[4].weight == 0).any()


def test_a_run_that_stops_goes_on_to_the_same_bits(tmp_path):
    def stop(done, gated):
        if done == 12:
            raise KeyboardInterrupt

    whole, broken, file = small(), small(), tmp_path / "run"
    run = method(log_var=-3.0, ramp=0.8).run(whole, DATA, progress=False)
    with pytest.raises(KeyboardInterrupt):
        method(log_var=-3.0, ramp=0.8).run(
            broken, DATA, progress=False, watch=stop, checkpoint=file
        )
    broken = small()
    again = method(log_var=-3.0, ramp=0.8).run(broken, DATA, progress=False, checkpoint=file)
    assert again.keep == run.keep and same(whole, broken)


def test_a_place_without_units_stops_the_run_or_keeps_one_that_changes_nothing():
    with pytest.raises(RuntimeError, match="none of the 4 units of `0` is left after 6 steps"):
        method(log_var=5.0).prune(small(), DATA, progress=False)
    net, last = small(), []
    made = method(log_var=5.0, dead="keep one")
    keep = made.prune(net, DATA, progress=False)
    assert keep.widths() == {"0": 1, "4": 1}
    x = DATA.example
    shrunk = surgery.shrink(net, trace(net, x), keep)
    with torch.no_grad():
        torch.testing.assert_close(shrunk.eval()(x), net.eval()(x))
        assert (net(x) - net(x)[0]).abs().max() < 1e-6  # the constants of its biases are left


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 8.0}, r"`threshold` must be a number in \[-8, 8\); got 8.0"),
        ({"threshold": "3"}, r"`threshold` must be a number in \[-8, 8\); got '3'"),
        ({"threshold": True}, "`threshold` must be a number"),
        ({"log_var": 6}, r"`log_var` must be a number in \[-30, 5\]; got 6"),
        ({"log_var": math.nan}, "`log_var` must be a number"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message):
    with pytest.raises(ValueError, match=f"^VariationalDropout: {message}") as caught:
        method(**options)
    assert "\n" not in str(caught.value)


def test_a_bad_input_name_and_bad_weights_are_refused_before_training():
    with pytest.raises(ValueError, match="`inputs` names 'fc9'; it must be one of 0, 4, 6"):
        method(inputs=("fc9",)).prune(small(), DATA, progress=False)
    net = small()
    net[4].weight.data[0, 0] = math.inf
    with pytest.raises(ValueError, match="`4.weight` holds values that are not finite"):
        method().prune(net, DATA, progress=False)
