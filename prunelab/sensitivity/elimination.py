"""Elimination: the exact choice of least loss under a budget, when costs are sums over pairs.

Every variable takes one of its options. The loss is a sum over variables, the cost a sum over
variables and over pairs of them:

    loss(x) = sum_v loss_v[x_v]        cost(x) = sum_v cost_v[x_v] + sum_vw pair_vw[x_v, x_w]

Variables are eliminated one by one (dynamic programming on the tree that this makes of the graph of
pairs). What is handed on is a Pareto frontier of (loss, cost) for each choice of the neighbours.

Before that, the tree is run with the single number p cost + q loss. A choice within the budget and
no worse than `most` has p cost + q loss <= p budget + q most, for any p, q >= 0; so an entry whose
best completion exceeds this is dropped. A walk along the convex hull finds the p, q that drop most.
All numbers are integers, so nothing is rounded.

Source: Dechter, Bucket elimination, 1999; Everett, Generalized Lagrange multipliers, 1963.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prunelab.sensitivity.buckets import Pairs, buckets
from prunelab.sensitivity.frontier import Front, joined, pareto

SAFE_BITS = 60  # so that sums stay inside 64-bit integers


class Elimination:
    """The variables in their order of elimination.

    Args:
        losses: for each variable (options,) int64.
        costs: the same.
        pairs: (v, w) -> (options of v, options of w) int64, each two variables once.

    Raises:
        TooWideError: the tables need more than `MOST` numbers.
    """

    def __init__(self, losses: Sequence[np.ndarray], costs: Sequence[np.ndarray], pairs: Pairs):
        self.losses, self.costs, self.pairs = losses, costs, pairs
        self.sizes = [len(loss) for loss in losses]
        self.most_loss = sum(int(abs(loss).max()) for loss in losses)
        self.most_cost = sum(int(abs(cost).max()) for cost in [*costs, *pairs.values()])
        self.buckets = buckets(costs, pairs)

    def loss(self, picks: Sequence[int]) -> int:
        """Of one choice of all variables."""
        return sum(int(loss[i]) for loss, i in zip(self.losses, picks))

    def cost(self, picks: Sequence[int]) -> int:
        """Of one choice of all variables."""
        own = sum(int(cost[i]) for cost, i in zip(self.costs, picks))
        return own + sum(int(pair[picks[v], picks[w]]) for (v, w), pair in self.pairs.items())

    def cheapest(self) -> list[int]:
        """The choice of least cost; of these, one of least loss."""
        return self._least(*self._safe(2 * self.most_loss + 1, 1))

    def best(self, budget: int) -> list[int]:
        """The choice of least loss with at most the cost `budget`; of these, one of least cost.

        `budget` must not be below the cost of `cheapest()`. TooWideError as the class.
        """
        budget = min(budget, self.most_cost)
        p, q, known = self._multipliers(budget)
        inside = self._inside(p, q)
        outside = self._outside(*inside)
        upper = self.loss(known)
        lower = -((p * budget - int(inside[1][-1])) // q) if q else upper
        steps = [2**k - 1 for k in range(max(0, upper - lower).bit_length())]
        for most in [*(lower + step for step in steps), upper]:  # a low guess drops the most
            fronts = self._fronts(*inside, outside, p * budget + q * most)
            within = np.flatnonzero((fronts[-1].cost <= budget) & (fronts[-1].loss <= most))
            if len(within):  # at `upper` at the latest: `known` is there
                break
        return self._traced(fronts, int(within[0]))

    def _safe(self, p: int, q: int) -> tuple[int, int]:
        """Smaller p, q of about the same direction, where large ones could overflow."""
        top = p * self.most_cost + q * self.most_loss
        shift = max(0, top.bit_length() - SAFE_BITS)
        return p >> shift, q >> shift

    def _multipliers(self, budget: int) -> tuple[int, int, list[int]]:
        """The p, q of the hull's edge that crosses the budget, and a choice within the budget."""
        p, q = self._safe(1, 2 * self.most_cost + 1)
        over = self._least(p, q)
        if self.cost(over) <= budget:
            return p, q, over
        within = self.cheapest()
        while True:
            rise, run = self.loss(within) - self.loss(over), self.cost(over) - self.cost(within)
            p, q = self._safe(rise, run)
            ends = [p * self.cost(x) + q * self.loss(x) for x in (over, within)]
            between = self._least(p, q)
            if p * self.cost(between) + q * self.loss(between) >= min(ends):
                return p, q, within
            if self.cost(between) <= budget:
                within = between
            else:
                over = between

    def _inside(self, p: int, q: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Least p cost + q loss below each bucket: for its clique's choices, its neighbours'."""
        tables, messages = [], []
        for bucket in self.buckets:
            shape = [self.sizes[v] for v in bucket.clique]
            table = np.broadcast_to(p * bucket.cost + q * self.losses[bucket.clique[-1]], shape)
            for child, axes in bucket.children:
                table = table + _spread(messages[child], axes, shape)
            tables.append(table)
            messages.append(table.min(-1))
        return tables, messages

    def _outside(self, tables: list[np.ndarray], messages: list[np.ndarray]) -> list[np.ndarray]:
        """Least p cost + q loss of all that is not below a bucket, for its neighbours' choices."""
        outside = [np.zeros((), np.int64)] * len(tables)
        for k in reversed(range(len(tables))):
            through = tables[k] + outside[k][..., None]
            for child, axes in self.buckets[k].children:
                rest = through - _spread(messages[child], axes, through.shape)
                outside[child] = rest.min(tuple(set(range(rest.ndim)) - set(axes)))
        return outside

    def _least(self, p: int, q: int) -> list[int]:
        """A choice of least p cost + q loss."""
        tables, _ = self._inside(p, q)
        picks = [0] * len(tables)
        for bucket, table in zip(reversed(self.buckets), reversed(tables)):
            *others, own = bucket.clique
            picks[own] = int(table[tuple(picks[v] for v in others)].argmin())
        return picks

    def _fronts(
        self,
        tables: list[np.ndarray],
        messages: list[np.ndarray],
        outside: list[np.ndarray],
        limit: int,
    ) -> list[Front]:
        """Each bucket's frontiers, without what exceeds `limit` even in its best completion."""
        fronts: list[Front] = []
        for k, bucket in enumerate(self.buckets):
            through = tables[k] + outside[k][..., None]
            rows = np.nonzero(through <= limit)
            room = limit - through[rows]
            own = rows[-1]
            cost = np.broadcast_to(bucket.cost, through.shape)[rows]
            number = np.arange(len(own))
            loss = self.losses[bucket.clique[-1]][own]
            front = Front(number, loss, cost, np.zeros_like(number), (own,))
            for child, axes in bucket.children:
                key = _number([rows[a] for a in axes], [through.shape[a] for a in axes], number)
                front = joined(front, fronts[child], key)
                front = pareto(front.at(front.excess <= room[front.state]))
            least = tables[k][rows] - messages[k][rows[:-1]]
            state = _number(rows[:-1], through.shape, number)[front.state]
            excess = front.excess + least[front.state]
            fronts.append(pareto(front._replace(state=state, excess=excess)))
        return fronts

    def _traced(self, fronts: list[Front], entry: int) -> list[int]:
        """The options that led to an entry of the last bucket."""
        picks, todo = [0] * len(fronts), [(len(fronts) - 1, entry)]
        while todo:
            k, entry = todo.pop()
            own, *below = (int(p[entry]) for p in fronts[k].picks)
            picks[self.buckets[k].clique[-1]] = own
            todo += [(child, e) for (child, _), e in zip(self.buckets[k].children, below)]
        return picks


def _spread(message: np.ndarray, axes: tuple[int, ...], shape: Sequence[int]) -> np.ndarray:
    """A child's message over the axes of its parent's clique."""
    return message.reshape([n if axis in axes else 1 for axis, n in enumerate(shape)])


def _number(digits: Sequence[np.ndarray], sizes: Sequence[int], like: np.ndarray) -> np.ndarray:
    """Options of several variables as one number."""
    number = np.zeros_like(like)
    for digit, size in zip(digits, sizes):
        number = number * size + digit
    return number
