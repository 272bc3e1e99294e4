"""The exact choice of least loss under a budget, as a mixed-integer linear program.

Every group v takes one of its options o_v, with which it keeps k_v channels. The loss is a sum over
groups; the cost has a term for each group and one for each two groups that meet in a layer:

    loss(o) = sum_v loss_v[o_v]        cost(o) = sum_v cost_v[o_v] + sum_vw c_vw k_v[o_v] k_w[o_w]

With x_vi = 1 where v takes option i, the products become linear through z_vi, which stands for
x_vi k_w (m and M are the least and the most that w can keep):

    sum_i x_vi = 1        sum_i z_vi = k_w = sum_j k_w[j] x_wj        m x_vi <= z_vi <= M x_vi

SciPy hands this to HiGHS, which works in floating point; what it answers is checked in integers.

Source: Glover 1975, Improved linear integer programming formulations of nonlinear integer problems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

Pairs = Mapping[tuple[int, int], int]
Limit = tuple[np.ndarray, int]  # a row over all variables, and the most that it may come to


class IntegerProgram:
    """Options with their losses and costs.

    Args:
        losses: for each group (options,) int64.
        kept: the same: channels that each option keeps.
        costs: the same: what each option costs by itself.
        pairs: (v, w) -> the cost of one channel of v together with one of w, each two groups once.
    """

    def __init__(
        self,
        losses: Sequence[np.ndarray],
        kept: Sequence[np.ndarray],
        costs: Sequence[np.ndarray],
        pairs: Pairs,
    ):
        self.losses, self.kept, self.costs, self.pairs = losses, kept, costs, pairs
        self._starts = np.cumsum([0, *map(len, losses)])
        # The z of each pair follow the x of all groups: one for each option of its first group.
        self._products = self._starts[-1] + np.cumsum([0, *(len(losses[v]) for v, _ in pairs)])
        products = [factor * kept[v] for (v, _), factor in pairs.items()]
        self._cost = np.concatenate([*costs, *products])
        self._loss = np.concatenate([*losses, *(np.zeros_like(p) for p in products)])
        self._unit = max(1, int(np.gcd.reduce(self._cost)))  # smaller numbers round less
        most = [np.full(len(losses[v]), kept[w].max()) for v, w in pairs]
        self._bounds = Bounds(0, np.concatenate([np.ones(self._starts[-1]), *most]))
        self._choices = self._constraints()

    def loss(self, picks: Sequence[int]) -> int:
        """Of one choice of all groups."""
        return sum(int(loss[i]) for loss, i in zip(self.losses, picks))

    def cost(self, picks: Sequence[int]) -> int:
        """Of one choice of all groups."""
        kept = [int(k[i]) for k, i in zip(self.kept, picks)]
        own = sum(int(cost[i]) for cost, i in zip(self.costs, picks))
        return own + sum(factor * kept[v] * kept[w] for (v, w), factor in self.pairs.items())

    def cheapest(self) -> list[int]:
        """The choice of least cost."""
        return self._least(self._cost / self._unit)

    def best(self, budget: int) -> list[int] | None:
        """The choice of least loss with at most the cost `budget`; of these, one of least cost.

        None: every choice costs more.
        """
        least = self._within(budget, self._loss)
        if least is None:
            return None
        return self._within(budget, self._cost / self._unit, (self._loss, self.loss(least)))

    def _within(self, budget: int, objective: np.ndarray, *limits: Limit) -> list[int] | None:
        """The least of the objective within the budget (in integers) and the other limits."""
        limits = [(self._cost / self._unit, budget // self._unit), *limits]
        while (picks := self._least(objective, limits)) is not None:
            if self.cost(picks) <= budget:
                return picks
            limits.append((self._is(picks), len(picks) - 1))  # rounding let it pass: not this one
        return None

    def _is(self, picks: Sequence[int]) -> np.ndarray:
        row = np.zeros(len(self._cost))
        row[self._starts[:-1] + picks] = 1
        return row

    def _least(self, objective: np.ndarray, limits: Sequence[Limit] = ()) -> list[int] | None:
        """The choice that minimises `objective` under the limits; None where there is none."""
        constraints = [self._choices]
        if limits:
            rows, most = zip(*limits)
            constraints.append(LinearConstraint(np.array(rows), -np.inf, most))
        found = milp(
            objective,
            constraints=constraints,
            integrality=np.arange(len(objective)) < self._starts[-1],
            bounds=self._bounds,
            options={"mip_rel_gap": 0},
        )
        if found.x is None:
            return None
        options = (found.x[a:b].argmax() for a, b in zip(self._starts, self._starts[1:]))
        return [int(option) for option in options]

    def _constraints(self) -> LinearConstraint:
        """One option for each group, and z as products."""
        rows: list[tuple[dict[int, float], float, float]] = []
        for first, end in zip(self._starts, self._starts[1:]):
            rows.append((dict.fromkeys(range(first, end), 1), 1, 1))
        for (v, w), place in zip(self.pairs, self._products):
            z = range(place, place + len(self.losses[v]))
            counts = {self._starts[w] + j: -k for j, k in enumerate(self.kept[w])}
            rows.append((dict.fromkeys(z, 1) | counts, 0, 0))
            for i, column in enumerate(z):
                x = self._starts[v] + i
                rows.append(({column: 1, x: -self.kept[w].min()}, 0, np.inf))
                rows.append(({column: 1, x: -self.kept[w].max()}, -np.inf, 0))
        number = np.repeat(np.arange(len(rows)), [len(row) for row, *_ in rows])
        columns = [column for row, *_ in rows for column in row]
        values = [float(value) for row, *_ in rows for value in row.values()]
        table = csr_array((values, (number, columns)), (len(rows), len(self._cost)))
        return LinearConstraint(table, [low for _, low, _ in rows], [high for *_, high in rows])
