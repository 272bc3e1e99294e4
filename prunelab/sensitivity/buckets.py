"""Buckets: an order in which to eliminate the variables of a sum over pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

MOST = 20_000_000  # numbers held at once: 160 MB an array

Pairs = Mapping[tuple[int, int], np.ndarray]


class TooWideError(Exception):
    """The exact answer needs more memory than `MOST` numbers."""


@dataclass(frozen=True)
class Bucket:
    """A variable, and what is known when it is eliminated.

    Attributes:
        clique: the variables it still meets, the last to be eliminated first, and then itself.
        children: the buckets whose message is taken up here, with their variables' axes here.
        cost: its own cost and its pairs' costs, an axis a variable of the clique.
    """

    clique: tuple[int, ...]
    children: tuple[tuple[int, tuple[int, ...]], ...]
    cost: np.ndarray


def buckets(costs: Sequence[np.ndarray], pairs: Pairs) -> list[Bucket]:
    """One bucket a variable, in the order of elimination.

    Args:
        costs: for each variable (options,).
        pairs: (v, w) -> (options of v, options of w), each two variables once.

    Raises:
        TooWideError: tables over all cliques have more than `MOST` entries.
    """
    cliques = _cliques([len(cost) for cost in costs], pairs)
    children: list[list[int]] = [[] for _ in cliques]
    for child, parent in enumerate(_parents(cliques)):
        if parent is not None:
            children[parent].append(child)
    return [
        Bucket(
            clique,
            tuple((c, tuple(clique.index(v) for v in cliques[c][:-1])) for c in below),
            _own_cost(clique, costs, pairs),
        )
        for clique, below in zip(cliques, children)
    ]


def _cliques(sizes: Sequence[int], pairs: Pairs) -> list[tuple[int, ...]]:
    """For each variable, in order of elimination, those it then meets and itself.

    The next to go is always the one with the smallest table: a good order, not the best.
    """
    near = {v: {v} for v in range(len(sizes))}
    for v, w in pairs:
        near[v].add(w)
        near[w].add(v)
    cliques, total = [], 0
    while near:
        weights = {v: math.prod(sizes[w] for w in met) for v, met in near.items()}
        v = min(near, key=weights.get)
        total += weights[v]
        if total > MOST:
            raise TooWideError
        met = near.pop(v) - {v}
        for w in met:
            near[w] = (near[w] | met) - {v}
        cliques.append((*met, v))
    place = {clique[-1]: k for k, clique in enumerate(cliques)}
    return [tuple(sorted(clique, key=place.get, reverse=True)) for clique in cliques]


def _parents(cliques: list[tuple[int, ...]]) -> list[int | None]:
    """The bucket each message goes to: its next neighbour's; without one, the next such bucket."""
    place = {clique[-1]: k for k, clique in enumerate(cliques)}
    ends = [k for k, clique in enumerate(cliques) if len(clique) == 1]
    after = dict(zip(ends, [*ends[1:], None]))
    return [after[k] if k in after else place[clique[-2]] for k, clique in enumerate(cliques)]


def _own_cost(clique: tuple[int, ...], costs: Sequence[np.ndarray], pairs: Pairs) -> np.ndarray:
    """Of the last variable: its costs and those of its pairs, broadcasting over the clique."""
    *others, own = clique
    total = costs[own].reshape([1] * len(others) + [-1])
    for axis, other in enumerate(others):
        pair = pairs.get((other, own))
        if pair is None and (own, other) in pairs:
            pair = pairs[own, other].T
        if pair is not None:
            shape = [1] * len(clique)
            shape[axis], shape[-1] = pair.shape
            total = total + pair.reshape(shape)
    return total
