"""Plausible wrong rules beside those that an exercise has a message for: each of them fails."""

from __future__ import annotations

import heapq
import itertools
import math

import numpy as np
import pytest
import torch

from prunelab import lab, scores, sensitivity, surgery, train

RIGHT = {e.id: e.right for number in lab.NUMBERS for e in lab.exercises(number).values()}


def largest_outside(score, inside):
    return int(score.masked_fill(inside, -math.inf).argmax())


def plans(curves):
    return [dict(zip(curves, ratios)) for ratios in itertools.product(*curves.values())]


def lost(curves, plan):
    return sum(curves[layer][ratio] for layer, ratio in plan.items())


def step_by_step(curves, budget, key):
    """Remove a step more, the one with the smallest key, until the plan is within the budget."""
    plan = {layer: min(points) for layer, points in curves.items()}
    while RIGHT["08-1"](plan) > budget:
        steps = [plan | {k: r} for k in plan for r in curves[k] if round(r - plan[k], 6) == 0.3]
        plan = min(steps, key=lambda one: key(lost(curves, one), RIGHT["08-1"](one)))
    return plan


def within(curves, budget, key, price=RIGHT["08-1"]):
    return min((p for p in plans(curves) if price(p) <= budget), key=key, default=None)


def curve(group, ratios, rank):
    """10-4 with channels in another order."""
    net, groups = lab.network(), lab.groups()
    score = rank(net, groups)[group]
    keeps = [{group: scores.best(score, scores.kept(len(score), r))} for r in ratios]
    nets = [surgery.shrink(net, groups, keep) for keep in keeps]
    return [train.evaluate(small, lab.digits().val).accuracy for small in nets]


def in_order(net, groups):
    return {name: torch.arange(group.size).float() for name, group in groups.items()}


def by_intervals(results, half):
    """10-12 with another interval."""
    pairs = itertools.permutations(results, 2)
    return {
        (a, b)
        for a, b in pairs
        if np.subtract(results[a], results[b]).mean()
        > half(*map(np.asarray, (results[a], results[b])))
    }


def standard_error(a, b):
    return (a - b).std(ddof=1) / math.sqrt(len(a))


FURTHER = {
    "01-1": [
        lambda n, p: int((1 - p) * n),  # floating point
        lambda n, p: math.ceil((1 - p) * n),
        lambda n, p: n - round(p * n),
    ],
    "01-2": [
        lambda w: w.abs().mean((1, 2, 3)),
        lambda w: w.sum((1, 2, 3)).abs(),
        lambda w: w.abs().amax((1, 2, 3)),
    ],
    "01-3": [
        lambda w, gone: w[:, ~gone].sum((1, 2, 3)),
        lambda w, gone: w[:, ~gone].square().sum((1, 2, 3)).sqrt(),
        lambda w, gone: w[:, int(gone.sum()) :].abs().sum((1, 2, 3)),
    ],
    "02-1": [
        lambda w, m, a, b: (w.abs() >= a).float(),
        lambda w, m, a, b: (w.abs() >= (a + b) / 2).float(),
        lambda w, m, a, b: torch.where(w.abs() >= b, 1.0, m),
        lambda w, m, a, b: torch.where(w.abs() < a, 1.0, torch.where(w.abs() >= b, 0.0, m)),
        lambda w, m, a, b: w * RIGHT["02-1"](w, m, a, b),
    ],
    "02-2": [
        lambda w, c: [f * (w.abs().mean() + c * w.abs().std()) for f in (0.9, 1.1)],
        lambda w, c: [f * (w.abs().mean() + c * w.std(correction=0)) for f in (0.9, 1.1)],
        lambda w, c: [f * (w.abs().median() + c * w.abs().std(correction=0)) for f in (0.9, 1.1)],
        lambda w, c: [f + (w.abs().mean() + c * w.abs().std(correction=0)) for f in (-0.1, 0.1)],
    ],
    "02-3": [lambda w, m, g, r: w - r * g * (1 - m), lambda w, m, g, r: w - g],
    "03-1": [
        lambda mu, v: 0.5 * torch.log1p(mu.square() / (v / 2).exp()).sum(),
        lambda mu, v: 0.5 * torch.log1p(mu.abs() / (v / 2).exp()).sum(),
        lambda mu, v: 0.5 * torch.log2(1 + mu.square() / v.exp()).sum(),
    ],
    "03-2": [
        lambda mu, v: mu > 0,
        lambda mu, v: mu > 0.5,
        lambda mu, v: (mu.square() > v) & (mu > 0),
        lambda mu, v: (mu > v.exp()) & (mu > 0),
        lambda mu, v: mu.abs() > (v / 2).exp(),
    ],
    "04-1": [
        lambda g: g.abs().sum((0, 2, 3)),
        lambda g: g.flatten(2).norm(dim=2).mean(0),
        lambda g: g.flatten(2).norm(dim=2).amax(0),
        lambda g: g.square().sum((0, 2, 3)),
        lambda g: g.sum(0).flatten(1).norm(dim=1),
    ],
    "04-2": [
        lambda g, inside: int((~inside).nonzero()[-1]),
        lambda g, inside: largest_outside(g.sum((0, 2, 3)), inside),
        lambda g, inside: largest_outside(g.sum((0, 2, 3)).abs(), inside),
        lambda g, inside: largest_outside(g.abs().amax((0, 2, 3)), inside),
        lambda g, inside: largest_outside(g.flatten(2).norm(dim=2).amax(0), inside),
        lambda g, inside: largest_outside(g.sum(0).flatten(1).norm(dim=1), inside),
        lambda g, inside: largest_outside(g.flatten(2).norm(dim=2).sum(0), ~inside),
    ],
    "04-3": [
        lambda b, p: [math.ceil(b / (p + 1)) * k for k in range(1, p + 1)],
        lambda b, p: [round(b / (p + 1)) * k for k in range(1, p + 1)],
        lambda b, p: [(b // (p + 1) + 1) * k for k in range(p)],
        lambda b, p: [(b // (p + 1) + 1) * k for k in range(1, p + 2)],
        lambda b, p: [min((b // (p + 1) + 1) * k, b - 1) for k in range(1, p + 2)],
        lambda b, p: [min(math.ceil(b / (p + 1)) * k, b - 1) for k in range(1, p + 1)],
        lambda b, p: sorted({min((b // (p + 1) + 1) * k, b - 2) for k in range(1, p + 1)}),
    ],
    "05-1": [lambda mu, s: 0.5 * math.log1p(abs(mu) / s), lambda mu, s: math.log1p(abs(mu) / s)],
    "05-2": [lambda mu, s: (mu + s) ** 2, lambda mu, s: mu**2 + s],
    "05-3": [lambda mu, s: mu**2, lambda mu, s: s**2 / 2, lambda mu, s: abs(mu) * s],
    "06-1": [
        lambda s, a, b: a[1] * (b[1] / a[1]) ** (math.log(s / a[0]) / math.log(b[0] / a[0])),
        lambda s, a, b: a[1] + (b[1] - a[1]) * s / b[0],
    ],
    "06-2": [
        lambda p: sorted(RIGHT["06-2"](p)),
        lambda p: [v if v < 1 else 1.1 for v in RIGHT["06-2"](p)],  # not at most 1
    ],
    "07-1": [lambda m, n, e: 5 * m * n * e, lambda m, n, e: 12 * m * n * e],
    "07-2": [
        lambda f, g, p, u: f / (g * p * u) / 60,
        lambda f, g, p, u: f * g / (p * u) / 3600,
        lambda f, g, p, u: f / (g * p * (1 - u)) / 3600,
    ],
    "07-3": [
        lambda g, n: sum(g) / sum(n),
        lambda g, n: sum(a / b for a, b in zip(g, n)) / sum(1 / b for b in n),
        lambda g, n: float(np.median(np.repeat(g, n))),
    ],
    "08-1": [lambda r: 300 * math.prod(1 - one for one in r.values())],
    "08-2": [
        lambda c, b: step_by_step(c, b, lambda points, macs: points),
        lambda c, b: step_by_step(c, b, lambda points, macs: macs),
        lambda c, b: within(c, b, lambda p: max(c[k][r] for k, r in p.items())),
        lambda c, b: within(c, b, lambda p: -RIGHT["08-1"](p)),
        lambda c, b: within(c, b, lambda p: lost(c, p), lambda p: 300 - 100 * sum(p.values())),
    ],
    "09-1": [
        lambda w: torch.cdist(w.flatten(1), w.flatten(1)).square().sum(1),
        lambda w: torch.cdist(w.flatten(1), w.flatten(1)).mean(1),
        lambda w: torch.cdist(w.flatten(1), w.flatten(1), p=1).sum(1),
        lambda w: (w - w.median(0).values).flatten(1).norm(dim=1),
    ],
    "09-2": [
        lambda w, g, v, eps: w * (g / (v.sqrt() + eps))[:, None, None, None],
        lambda w, g, v, eps: w * (g.abs() / (v + eps).sqrt())[:, None, None, None],
        lambda w, g, v, eps: w / ((v + eps).sqrt())[:, None, None, None],
    ],
    "10-1": [
        lambda i, f, k, s: {"parameters": f * i * k**2 + i, "MACs": f * i * k**2 * s**2},
        lambda i, f, k, s: {"parameters": f * i * k**2 + f, "MACs": f * (i * k**2 + 1) * s**2},
        lambda i, f, k, s: {"parameters": f * i * k**2 + f, "MACs": 2 * f * i * k**2 * s**2},
        lambda i, f, k, s: {"parameters": f * i * k + f, "MACs": f * i * k * s**2},
    ],
    "10-2": [
        lambda c, n: 1.645 * math.sqrt(c / n * (1 - c / n) / n),
        lambda c, n: 0.98 / math.sqrt(n),
    ],
    "10-3": [
        lambda w, b, f, k: {"weight": w[k], "bias": b[k], "following": f * k[:, None, None]},
        lambda w, b, f, k: {"weight": w[: k.sum()], "bias": b[k], "following": f[:, k]},
    ],
    "10-4": [
        lambda g, r: curve(g, r, lambda net, groups: sensitivity.ranking(net, groups, "l2")),
        lambda g, r: curve(g, r, in_order),
        lambda g, r: curve(g, r, lambda *of: {k: -v for k, v in in_order(*of).items()}),
    ],
    "10-6": [
        lambda a, g: (a.mean(2) * g.mean(2)).abs().mean(0),
        lambda a, g: (a * g).mean(2).square().mean(0),
        lambda a, g: (a * g).mean(2).abs().sum(0),
    ],
    "10-8": [
        lambda k, p: [c * p for c in k.nonzero()[:, 0].tolist()],
        lambda k, p: [n + 1 for n in RIGHT["10-8"](k, p)],
    ],
    "10-9": [lambda w, p, t: (t - p) / t, lambda w, p, t: (t - p) / (1 - p)],
    "10-10": [lambda s, f: s * f, lambda s, f: 1 / (1 - s), lambda s, f: 1 / (s + (1 - s) / f)],
    "10-11": [
        lambda a, b: (np.subtract(a, b).mean(), 4.303 * standard_error(*map(np.asarray, (a, b)))),
        lambda a, b: (np.subtract(a, b).mean(), 2 * standard_error(*map(np.asarray, (a, b)))),
    ],
    "10-12": [
        lambda r: by_intervals(r, lambda a, b: 4.303 * standard_error(a, b)),
        lambda r: by_intervals(r, lambda a, b: 1.96 * standard_error(a, b)),
        lambda r: by_intervals(r, lambda a, b: a.std(ddof=1) + b.std(ddof=1)),
        lambda r: {(a, b) for a, b in itertools.permutations(r, 2) if min(r[a]) > max(r[b])},
    ],
    "11-1": [
        lambda w: w.square().mean((1, 2, 3), keepdim=True).sqrt() * w.sign(),
        lambda w: w.abs().mean(0, keepdim=True) * w.sign(),
        lambda w: w.mean((1, 2, 3), keepdim=True).abs() * w.sign(),
    ],
    "11-2": [
        lambda p, b: sum(1 + (y - x - 1) // (2**b - 1) for x, y in zip([-1, *p], p)),
        lambda p, b: len(p) + (p[-1] + 1 - len(p)) // 2**b,
        lambda p, b: len(p) + sum((y - x - 1) // 2**b > 0 for x, y in zip([-1, *p], p)),
        lambda p, b: len(p) + sum((y - x - 1) // 2**b for x, y in itertools.pairwise(p)),
    ],
    "11-3": [lambda p: sum(heapq.nsmallest(2, p)) + 1],
}  # fmt: skip
EACH = [(name, rule) for name, rules in FURTHER.items() for rule in rules]
NAMES = [f"{name}, {n}" for name, rules in FURTHER.items() for n in range(len(rules))]


@pytest.mark.parametrize(("name", "rule"), EACH, ids=NAMES)
def test_a_plausible_wrong_rule_fails_and_runs(name, rule):
    with pytest.raises(lab.Wrong) as error:
        lab.check(name, rule)
    assert "it raises" not in str(error.value)


def test_every_function_has_further_ones():
    functions = {e.id for n in lab.NUMBERS for e in lab.exercises(n).values() if not e.is_value}
    assert {*FURTHER} == functions


def test_each_best_plan_is_the_only_one():
    for curves, budget in lab.exercises("08")["08-2"].cases:
        points = sorted(lost(curves, p) for p in plans(curves) if RIGHT["08-1"](p) <= budget)
        assert points[1] - points[0] > 0.05
