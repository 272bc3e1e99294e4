"""Rebuilding a layer: the sums over rows give what the rows themselves would give."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Lasso
from torch import nn
from torch.nn.functional import unfold

from prunelab.groups.wiring import Wiring
from prunelab.methods.channel_regression import lasso
from prunelab.methods.reconstruction.moments import Moments, solve
from prunelab.methods.reconstruction.rows import patches, positions, read
from prunelab.methods.thinet import keeping, removing


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def summed(x, y, channels):
    sums = Moments(x.shape[1], y.shape[1], channels)
    for part in torch.arange(len(x)).split(7):
        sums.add(x[part], y[part])
    return sums


@pytest.fixture
def rows():
    """x (40, 4 channels x 3), y (40, 5), a weight that does not fit."""
    return drawn(40, 12), drawn(40, 5, seed=1), drawn(5, 12, seed=2)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(0, 2),
    st.integers(1, 2),
    st.sampled_from(["zeros", "reflect", "circular"]),
)
def test_patches_times_the_weight_are_what_the_convolution_writes(
    kernel, stride, padding, dilation, mode
):
    padding = padding if mode == "zeros" else min(padding, 1)
    conv = nn.Conv2d(3, 4, kernel, stride, padding, dilation, padding_mode=mode).double()
    x = drawn(2, 3, 7, 6)
    y = conv(x)
    found, wanted = patches(conv, x, y, None)
    assert torch.allclose(found @ conv.weight.flatten(1).T + conv.bias, wanted)
    if mode == "zeros":
        columns = unfold(x, kernel, dilation, padding, stride).transpose(1, 2).flatten(0, 1)
        assert torch.equal(found, columns)


def test_drawn_positions_are_rows_of_all_of_them():
    conv, x = nn.Conv2d(2, 3, 3, padding="same").double(), drawn(4, 2, 5, 6)
    y = conv(x)
    at = positions(y.shape, 7, torch.Generator().manual_seed(0))
    every, _ = patches(conv, x, y, None)
    some, wanted = patches(conv, x, y, at)
    assert at.shape == (4, 7) and at.max() < 30
    assert torch.equal(
        some, every.view(4, 30, -1).gather(1, at[..., None].expand(-1, -1, 18)).flatten(0, 1)
    )
    assert torch.allclose(some @ conv.weight.flatten(1).T + conv.bias, wanted)


def test_reading_stops_after_the_last_layer_and_sees_what_in_place_layers_overwrite():
    ran = []
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2), nn.Linear(2, 2))
    net[3].register_forward_hook(lambda *_: ran.append(3))
    net.train()
    x = torch.randn(5, 3)
    wiring = Wiring.of(net, x, "test")
    ran.clear()
    shared = dict.fromkeys(["0", "2"], wiring.call("0"))  # two layers beside one node
    found, beside = read(wiring, ["0", "2"], x, lambda *_: None, shared)
    assert torch.equal(found["0"][1], net[0](x))
    assert all(torch.equal(beside[name], net[0](x)) for name in shared)
    assert torch.equal(found["2"][0], net[0](x).relu())
    assert not ran and net.training
    net.add_module("idle", nn.Linear(2, 2))
    net.forward = lambda x: x
    with pytest.raises(ValueError, match=r"^test: `net` does not call `idle`"):
        Wiring.of(net, x, "test").call("idle")


def test_loss_and_gradient_are_those_of_the_rows(rows):
    x, y, weight = rows
    weight.requires_grad_()
    loss = (x @ weight.T - y).square().sum() / (2 * y.numel())
    loss.backward()
    sums = summed(x, y, 4)
    assert torch.isclose(sums.loss(weight.detach()), loss)
    assert torch.allclose(sums.gradient(weight.detach()), weight.grad)


def test_least_squares_on_some_channels_is_that_of_their_columns(rows):
    x, y, _ = rows
    kept = torch.tensor([True, False, True, True])
    columns = kept.repeat_interleave(3)
    found = summed(x, y, 4).solve(kept)
    assert torch.equal(found[:, ~columns], torch.zeros(5, 3, dtype=torch.float64))
    assert torch.allclose(found[:, columns].T, torch.linalg.lstsq(x[:, columns], y).solution)
    centred = summed(x - x.mean(0), y - y.mean(0), 4)
    assert torch.allclose(summed(x, y, 4).centred().solve(kept), centred.solve(kept))


def test_a_part_has_the_targets_that_other_channels_leave(rows):
    x, y, weight = rows
    mine = slice(3, 9)
    rest = y - x[:, :3] @ weight[:, :3].T - x[:, 9:] @ weight[:, 9:].T
    part, alone = summed(x, y, 4).part(weight, mine, 2), summed(x[:, mine], rest, 2)
    for name in ("xx", "xy", "yy", "x", "y"):
        assert torch.allclose(getattr(part, name), getattr(alone, name)), name
    assert (part.rows, part.channels, part.area) == (40, 2, 3)


def test_what_each_channel_writes_alone_adds_up_by_channel(rows):
    x, y, weight = rows
    z = torch.einsum("rca,nca->rnc", x.view(40, 4, 3), weight.view(5, 4, 3)).flatten(0, 1)
    gram, right = summed(x, y, 4).by_channel(weight)
    assert torch.allclose(gram, z.T @ z)
    assert torch.allclose(right, z.T @ y.flatten())


@pytest.mark.parametrize("count", [1, 3, 6])
def test_the_greedy_rules_are_those_of_the_examples(count):
    x = drawn(50, 7) * torch.arange(1, 8)
    y, gram = x.sum(1), x.T @ x
    removed, total = [], torch.zeros(50, dtype=torch.float64)
    while len(removed) < 7 - count:
        left = [j for j in range(7) if j not in removed]
        j = min(left, key=lambda j: (total + x[:, j]).norm())
        removed.append(j)
        total = total + x[:, j]
    assert (~removing(gram, count)).nonzero()[:, 0].tolist() == sorted(removed)

    kept, left = [], y
    while len(kept) < count:
        rest = [j for j in range(7) if j not in kept]
        fit = {j: x[:, j] @ left / x[:, j].square().sum() for j in rest}
        kept.append(min(rest, key=lambda j: (left - fit[j] * x[:, j]).norm()))
        left = y - x[:, kept] @ torch.linalg.lstsq(x[:, kept], y[:, None]).solution[:, 0]
    assert keeping(gram, count).nonzero()[:, 0].tolist() == sorted(kept)


@pytest.mark.parametrize("count", [2, 5, 8])
def test_lasso_keeps_what_scikit_learn_keeps_at_the_lambda_with_as_many(count):
    z = drawn(300, 10) @ drawn(10, 10, seed=3)
    y = z @ drawn(10, seed=6) + drawn(300, seed=4)
    low, high = 0.0, 1e3  # the smallest lambda that leaves no more than `count`
    for _ in range(60):
        middle = (low + high) / 2
        model = Lasso(middle, fit_intercept=False, tol=1e-12, max_iter=10**6).fit(z, y)
        low, high = (middle, high) if (model.coef_ != 0).sum() > count else (low, middle)
    model = Lasso(high, fit_intercept=False, tol=1e-12, max_iter=10**6).fit(z, y)
    assert (model.coef_ != 0).sum() == count
    kept = lasso(z.T @ z, z.T @ y, torch.ones(10, dtype=torch.float64), count)
    assert kept.tolist() == (model.coef_ != 0).tolist()


def test_the_authors_intercept_is_that_of_scikit_learn_over_all_outputs():
    x, weight = drawn(60, 12).abs(), drawn(5, 12, seed=2)  # means that matter
    z = torch.einsum("rca,nca->rnc", x.view(60, 4, 3), weight.view(5, 4, 3)).flatten(0, 1)
    y = drawn(60, 5, seed=1) + 3 + 0.5 * z.view(60, 5, 4)[:, :, 2]
    gram, right = summed(x, y, 4).by_channel(weight, intercept=True)
    centred, target = z - z.mean(0), y.flatten() - y.mean()
    assert torch.allclose(gram, centred.T @ centred)
    assert torch.allclose(right, centred.T @ target)
    alphas = torch.logspace(-4, 1, 40).tolist()
    fits = (Lasso(a, tol=1e-12, max_iter=10**6).fit(z, y.flatten()).coef_ != 0 for a in alphas)
    expected = next(fit for fit in fits if fit.sum() == 2)
    assert lasso(gram, right, torch.ones(4).double(), 2).tolist() == expected.tolist()


def test_dead_and_doubled_channels_leave_the_equations_solvable():
    x = torch.cat([drawn(30, 2), torch.zeros(30, 1, dtype=torch.float64)], 1)
    x = torch.cat([x, x[:, :1]], 1)  # channel 3 is channel 0 again, channel 2 is dead
    gram, right = x.T @ x, x.T @ x.sum(1)
    for kept in (
        removing(gram, 2),
        keeping(gram, 2),
        lasso(gram, right, torch.ones(4).double(), 2),
    ):
        assert kept.sum() == 2 and not kept[2]
        factors = solve(gram[kept][:, kept], right[kept])
        assert torch.allclose(x[:, kept] @ factors, x.sum(1), atol=1e-6)
    assert solve(gram, right).isfinite().all()
