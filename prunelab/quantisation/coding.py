"""Whole numbers as few bits: fixed width, distances between entries, and Huffman's code.

All of it is exact: what is decoded equals what was coded.
"""

from __future__ import annotations

import heapq
from itertools import count

import numpy as np

Array = np.ndarray


def packed(codes: Array, bits: int) -> Array:
    """(ceil(n bits / 8),) uint8: each of n numbers below 2^bits in so many bits, 1 to 8."""
    return np.packbits(np.unpackbits(codes.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :])


def unpacked(stream: Array, bits: int, n: int) -> Array:
    """(n,) uint8, the inverse of `packed`."""
    found = np.zeros((n, 8), np.uint8)
    found[:, 8 - bits :] = np.unpackbits(stream, count=n * bits).reshape(n, bits)
    return np.packbits(found, axis=1)[:, 0]


def width(largest: int) -> int:
    """Bits that a number from 0 to `largest` takes, at least 1."""
    return max(1, int(largest).bit_length())


def gaps(places: Array, bits: int) -> tuple[Array, Array]:
    """Distances between entries, in so many bits each; padding zeros bridge longer ones.

    Args:
        places: (k,) rising positions.
        bits: of a distance. One that has no room is bridged by entries of value zero, each
            2^bits - 1 positions after the last and one.

    Returns:
        (m,) how many positions are skipped before each entry, and (m,) bool: whether it is one of
        the k, not a padding zero.

    Source: Han, Mao, Dally 2016, section 2 and figure 2.
    """
    most = 2**bits
    skipped = np.diff(places, prepend=-1) - 1
    pads = skipped // most
    ends = np.cumsum(pads + 1) - 1  # where the entries themselves come
    found = np.full(ends[-1] + 1 if len(ends) else 0, most - 1, np.uint8)
    found[ends] = skipped % most
    real = np.zeros(len(found), bool)
    real[ends] = True
    return found, real


def places(found: Array) -> Array:
    """Positions of all entries, padding zeros included, from the distances of `gaps`."""
    return np.cumsum(found.astype(np.int64) + 1) - 1


def lengths(counts: Array) -> Array:
    """(s,) bits of each symbol in Huffman's code for such counts; 0 for one that does not occur.

    Source: Huffman 1952. A single symbol takes one bit.
    """
    order = count()
    heap = [(int(n), next(order), [s]) for s, n in enumerate(counts) if n]
    found = np.zeros(len(counts), np.uint8)
    if len(heap) == 1:
        found[heap[0][2]] = 1
    heapq.heapify(heap)
    while len(heap) > 1:
        (n, _, one), (m, _, other) = heapq.heappop(heap), heapq.heappop(heap)
        found[one + other] += 1
        heapq.heappush(heap, (n + m, next(order), one + other))
    return found


def codewords(sizes: Array) -> dict[tuple[int, int], int]:
    """(Bits, codeword) -> symbol: the canonical code, which the lengths alone decide."""
    found, word, last = {}, 0, 0
    for size, symbol in sorted((int(n), s) for s, n in enumerate(sizes) if n):
        word <<= size - last
        found[size, word] = symbol
        word, last = word + 1, size
    return found


def huffman(symbols: Array) -> tuple[Array, Array]:
    """Lengths of the codewords, and the symbols in that code one after the other, as uint8."""
    sizes = lengths(np.bincount(symbols))
    words = {symbol: f"{word:0{size}b}" for (size, word), symbol in codewords(sizes).items()}
    bits = "".join(words[s] for s in symbols.tolist())
    return sizes, np.packbits(np.array([bit == "1" for bit in bits], bool))


def symbols(stream: Array, sizes: Array, n: int) -> Array:
    """(n,) uint8, the inverse of `huffman`. Errors: ValueError, the stream ends too early."""
    found: list[int] = []
    words, size, word = codewords(sizes), 0, 0
    for bit in np.unpackbits(stream).tolist():
        if len(found) == n:
            break
        size, word = size + 1, 2 * word + bit
        if (size, word) in words:
            found.append(words[size, word])
            size = word = 0
    if len(found) != n:
        raise ValueError(f"{len(found)} symbols where {n} are announced")
    return np.array(found, np.uint8)
