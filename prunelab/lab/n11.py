"""Exercises of notebook 11: quantisation."""

import heapq
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from prunelab.lab.exercise import Exercise


def binary(weight: Tensor) -> Tensor:
    """Each filter as the signs of its weights times their mean magnitude."""
    scale = weight.abs().mean(dim=(1, 2, 3), keepdim=True)
    return scale * weight.sign()


def entries(places: Sequence[int], bits: int) -> int:
    """Entries of a layer in the file, padding zeros included."""
    before = [-1, *places[:-1]]
    return sum(1 + (place - last - 1) // 2**bits for last, place in zip(before, places))


def mean_bits(shares: Sequence[float]) -> float:
    """Bits per symbol of Huffman's code: every merge of two adds one bit to all below it."""
    heap, total = [*shares], 0.0
    heapq.heapify(heap)
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        total += both
        heapq.heappush(heap, both)
    return total


_DRAWN = torch.randn(3, 2, 2, 2, generator=torch.Generator().manual_seed(2))
_DRAWN *= torch.tensor([0.1, 1.0, 3.0]).view(3, 1, 1, 1)


def _unsorted(shares: Sequence[float]) -> float:
    """Huffman's merges, where what was merged is always merged next."""
    left, total = sorted(shares), 0.0
    while len(left) > 1:
        left = [left[0] + left[1], *left[2:]]
        total += left[0]
    return total


def _farther(places: Sequence[int], bits: int) -> int:
    before = [-1, *places[:-1]]
    return sum(1 + (place - last) // 2**bits for last, place in zip(before, places))


EXERCISES = (
    Exercise(
        "11-1",
        "binary weights",
        binary,
        (
            (lambda w: w.abs().mean() * w.sign(), "each filter has a scale of its own"),
            (lambda w: w.sign(), "the scale is missing: it is the mean of |w| over a filter"),
            (
                lambda w: w.abs().amax(dim=(1, 2, 3), keepdim=True) * w.sign(),
                "the largest |w| is too large a scale: least squares gives the mean",
            ),
        ),
        "for each filter, the mean of |w| times the sign of w",
        ((_DRAWN,), (_DRAWN.flip(0) - 0.2,)),
        importance=4,
        minutes=8,
    ),
    Exercise(
        "11-2",
        "padding zeros",
        entries,
        (
            (lambda p, b: len(p), "a distance that has no room needs padding zeros, which count"),
            (
                _farther,
                "a distance counts the zeros skipped, from 0 to 2^bits - 1: neighbours skip none",
            ),
            (lambda p, b: 1 + p[-1] // 2**b, "each entry takes at least a place of its own"),
        ),
        "an entry that skips s zeros needs s // 2^bits padding zeros before it",
        (([0, 3, 4, 12, 29], 3), ([8, 16, 40], 3), ([1, 2, 40, 100], 4)),
        difficulty=3,
        importance=3,
        minutes=10,
    ),
    Exercise(
        "11-3",
        "bits per symbol in Huffman's code",
        mean_bits,
        (
            (
                lambda p: -sum(v * math.log2(v) for v in p),
                "this is the entropy: no code is below it, and codewords have whole bits",
            ),
            (
                lambda p: sum(v * math.ceil(-math.log2(v)) for v in p),
                "rounding each -log2 p up is Shannon's code: Huffman's is never longer",
            ),
            (
                lambda p: float(math.ceil(math.log2(len(p)))),
                "this is a code of fixed length: frequent symbols can have shorter codewords",
            ),
            (_unsorted, "what was merged goes back among the others: find the two smallest again"),
        ),
        "merge the two smallest shares again and again, and add up what is merged",
        (
            ([0.6, 0.2, 0.15, 0.05],),
            ([0.4, 0.3, 0.2, 0.06, 0.04],),
            ([0.9, 0.05, 0.05],),
            ([0.3, 0.25, 0.2, 0.15, 0.1],),
        ),
        difficulty=4,
        importance=3,
        minutes=12,
    ),
)
