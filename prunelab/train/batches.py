"""The batches of one epoch: shuffled, augmented and normalised on the data's device.

What is drawn is drawn on the CPU, so that a seed gives the same batches on every device.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from PIL.Image import Image
from torch import Tensor
from torch.nn.functional import pad

from prunelab import processes
from prunelab.data import Split
from prunelab.data.photos import SIZE
from prunelab.train.budget import Budget

MARGIN = 4  # pixels around an image before the random crop
# Values made at once. Several small batches share one gather and one normalisation, which is
# cheaper than one of each per batch; 2^20 floats (4 MB) still fit in a cache.
CHUNK = 2**20


def shuffled(
    split: Split,
    budget: Budget,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Iterator:
    """One epoch of `budget.steps` batches (x, y); each image at most once, in random order.

    Yields:
        x (n, C, H, W) of type `dtype` and y (n,) int64, n = `budget.batch`, at the end 2 or more.
        Where several processes train, the part of each batch that falls to this one; order and
        augmentation are those of a single process.
    """
    order = torch.randperm(len(split), generator=generator).to(split.device)
    usable = len(order) - (len(order) % budget.batch == 1)
    values = math.prod(split.images.shape[1:]) * budget.batch
    together = max(1, CHUNK // values) * budget.batch
    change, alone = {"flip": flip, "crop-flip": crop_flip}.get(budget.augment), None
    if budget.augment == "resized-crop-flip":
        seed = torch.randint(2**62, (), generator=generator)
        alone = ResizedCropFlip(seed.item())
    own = _Own(budget.batch)
    drawn = split.draw(order[:usable], together, alone, None if processes.size() == 1 else own)
    for index, (images, y) in zip(order[:usable].split(together), drawn):
        if change is not None:
            images = _changed(change, images, generator, own(len(index)), len(index))
        x = split.normalise(images, dtype)
        if budget.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        counts = [len(rows) for rows in own.batches(len(index))]
        yield from zip(x.split(counts), y.split(counts))


@dataclass(frozen=True)
class _Own:
    """Which of several images, in batches of `size`, fall to this process."""

    size: int

    def batches(self, images: int) -> list[range]:
        """Their positions, batch by batch."""
        firsts = range(0, images, self.size)
        return [range(f, images)[processes.part(min(self.size, images - f))] for f in firsts]

    def __call__(self, images: int) -> Tensor:
        return torch.tensor([at for rows in self.batches(images) for at in rows])


def _changed(
    change: Callable[[Tensor, torch.Generator], Tensor],
    images: Tensor,
    generator: torch.Generator,
    own: Tensor,
    of: int,
) -> Tensor:
    """Own images changed as they would be among all `of` images: a process alone draws for all."""
    if len(images) == of:
        return change(images, generator)
    whole = images.new_zeros(of, *images.shape[1:])
    whole[own] = images
    return change(whole, generator)[own]


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the images, (n, C, H, W) uint8; the generator is the CPU's."""
    drawn = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)
    return torch.where(drawn.bool()[:, None, None, None], images.flip(3), images)


def crop_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """As `flip`, after 4 black pixels around each image and a random crop to the old size.

    Source: He et al. 2016, section 4.2.
    """
    n, _, height, width = images.shape
    drawn = torch.randint(0, 2 * MARGIN + 1, (2, n), generator=generator)
    down, right = drawn.to(images.device)
    windows = pad(images, (MARGIN,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    crops = windows[torch.arange(n, device=images.device), :, down, right]
    return flip(crops, generator)


@dataclass(frozen=True)
class ResizedCropFlip:
    """A random part of 8 to 100% of the area, resized; half of the images are mirrored.

    Args:
        seed: of the epoch; with an image's position it decides its part, in whatever process.

    Source: Szegedy et al. 2015, section 6, as in torchvision's references for ImageNet.
    """

    seed: int

    def __call__(self, image: Image | Tensor, position: int) -> Image | Tensor:
        """A photograph gives 224 x 224 pixels, a (C, H, W) tensor keeps its size."""
        from torchvision.transforms import RandomResizedCrop, functional

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed + position)
            part = RandomResizedCrop.get_params(image, (0.08, 1.0), (3 / 4, 4 / 3))
            mirrored = torch.rand(()) < 0.5
        size = list(image.shape[1:]) if isinstance(image, Tensor) else [SIZE, SIZE]
        image = functional.resized_crop(image, *part, size)
        return functional.hflip(image) if mirrored else image
