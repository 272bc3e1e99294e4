"""Scikit-learn's embedded digits, real 8x8 scans, brought to the LeNets' 28x28."""

import hashlib

import numpy as np
import torch
from torch import Tensor

SEED = 0  # of the three-way cut; never changes, or old rows no longer compare


def read() -> tuple[list[tuple[Tensor, Tensor]], str]:
    """The 1,797 scans, cut into 1,257 train, 180 val and 360 test, each stratified by class.

    Returns:
        Train, val and test, each (N, 1, 28, 28) uint8 and (N,) int64; 16 hex digits over them.

    Source: scikit-learn's `load_digits`, the test part of the UCI optical digits (16 grey levels).
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images, labels = upscale(bunch.images), torch.from_numpy(bunch.target).long()
    parts = [(images[i], labels[i]) for i in _cut(labels)]
    arrays = b"".join(array.numpy().tobytes() for part in parts for array in part)
    return parts, hashlib.sha256(arrays).hexdigest()[:16]


def _cut(labels: Tensor) -> list[Tensor]:
    """Indices of train, val and test: every fifth is test, every eighth of the rest is val."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SEED))
    order = order[
        labels[order].argsort(stable=True)
    ]  # in a row by class: every fifth is stratified
    test, rest = order[::5], order[torch.arange(len(order)) % 5 != 0]
    val, train = rest[::8], rest[torch.arange(len(rest)) % 8 != 0]
    return [index.sort().values for index in (train, val, test)]


def upscale(images: np.ndarray, size: int = 28) -> Tensor:
    """Bilinear, half-pixel centres. In whole numbers, so the bytes are the same on every machine.

    Args:
        images: (N, S, S), whole grey levels 0 to 16.
        size: height and width of the new images.

    Returns:
        (N, 1, size, size) uint8, 0 to 255, rounded half up.
    """
    old = images.shape[-1]
    # Pixel i lies at (i + 1/2) old/size - 1/2 in the old image; here times 2 size.
    at = (2 * np.arange(size) + 1) * old - size
    left, share = at // (2 * size), at % (2 * size)
    weights = np.zeros((size, old), dtype=np.int64)
    for near, weight in ((left, 2 * size - share), (left + 1, share)):
        np.add.at(weights, (np.arange(size), near.clip(0, old - 1)), weight)
    white = 16 * (2 * size) ** 2
    grey = weights @ images.astype(np.int64) @ weights.T
    return torch.from_numpy((grey * 255 * 2 + white) // (2 * white)).to(torch.uint8)[:, None]
