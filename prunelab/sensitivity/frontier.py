"""Frontiers: what can be had for less loss or for less cost, for many states at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from prunelab.sensitivity.buckets import MOST, TooWideError


class Front(NamedTuple):
    """Entries of Pareto frontiers; every column is (n,) int64.

    Attributes:
        state: the choice of the neighbours (of the clique, while joining) as one number.
        loss: of the variables eliminated so far.
        cost: the same.
        excess: of p cost + q loss over the least in its state.
        picks: the variable's own option, then the entry of each child.
    """

    state: np.ndarray
    loss: np.ndarray
    cost: np.ndarray
    excess: np.ndarray
    picks: tuple[np.ndarray, ...]

    def at(self, index: np.ndarray) -> Front:
        """The entries at `index`."""
        return Front(*(c[index] for c in self[:4]), tuple(p[index] for p in self.picks))


def joined(front: Front, below: Front, key: np.ndarray) -> Front:
    """Each entry with each entry of a child in the state that the entry's clique has there."""
    wanted = key[front.state]
    first = np.searchsorted(below.state, wanted, "left")
    count = np.searchsorted(below.state, wanted, "right") - first
    total = int(count.sum())
    if total > MOST:
        raise TooWideError
    a = np.repeat(np.arange(len(count)), count)
    b = np.arange(total) - np.repeat(np.cumsum(count) - count - first, count)
    sums = (front[i][a] + below[i][b] for i in (1, 2, 3))
    return Front(front.state[a], *sums, (*(p[a] for p in front.picks), b))


def pareto(front: Front) -> Front:
    """Sorted by state, loss, cost, without entries that another of their state is no worse than."""
    front = front.at(np.lexsort((front.cost, front.loss, front.state)))
    _, rank = np.unique(front.cost, return_inverse=True)
    segment = np.cumsum(np.diff(front.state, prepend=front.state[:1]) != 0)
    key = rank - segment * len(rank)  # below all of the states before
    lowest = np.minimum.accumulate(key)
    return front.at(np.flatnonzero(np.diff(lowest, prepend=len(rank)) < 0))
