"""The batches of one epoch: shuffled, augmented and normalised on the data's device."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

from prunelab.data import Split
from prunelab.train.budget import Budget

MARGIN = 4  # pixels around an image before the random crop
# Values made at once. Several small batches share one gather and one normalisation, which is
# cheaper than one of each a batch; 2^20 floats (4 MB) still sit in a cache.
CHUNK = 2**20


def shuffled(split: Split, budget: Budget, generator: torch.Generator) -> Iterator:
    """One epoch of `budget.steps` batches (x, y); each image at most once, in random order.

    Yields:
        x (n, C, H, W) float32 and y (n,) int64, n = `budget.batch` or, at the end, 2 or more.
    """
    order = torch.randperm(len(split), generator=generator, device=split.device)
    usable = len(order) - (len(order) % budget.batch == 1)
    together = max(1, CHUNK // (split.images[0].numel() * budget.batch)) * budget.batch
    for index in order[:usable].split(together):
        x, y = _chunk(split, index, budget, generator)
        yield from zip(x.split(budget.batch), y.split(budget.batch))


def crop_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Pad with 4 black pixels, crop at random to the old size, mirror half of the images.

    Args:
        images: (n, C, H, W) uint8.
        generator: on the images' device.

    Returns:
        (n, C, H, W) uint8.

    Source: He et al. 2016, section 4.2.
    """
    n, _, height, width = images.shape
    draw = {"generator": generator, "device": images.device}
    down, right = torch.randint(0, 2 * MARGIN + 1, (2, n), **draw)
    mirror = torch.randint(0, 2, (n,), **draw).bool()
    windows = pad(images, (MARGIN,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    crops = windows[torch.arange(n, device=images.device), :, down, right]
    return torch.where(mirror[:, None, None, None], crops.flip(3), crops)


def _chunk(split: Split, index: Tensor, budget: Budget, generator: torch.Generator):
    if budget.augment == "crop-flip":
        y = split.labels.index_select(0, index)
        x = split.normalise(crop_flip(split.images.index_select(0, index), generator))
    else:
        x, y = split.batch(index)
    return (x.contiguous(memory_format=torch.channels_last) if budget.channels_last else x), y
