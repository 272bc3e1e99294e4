"""Photos: images that stay on disk and are decoded, in worker processes, as they are asked for.

For folders of ImageNet's size. It offers what a `Split` needs of a (N, 3, 224, 224) uint8 tensor:
length, shape, device, slices and index tensors; `read` decodes the pixels.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import DataLoader

from prunelab import processes, pulse

SIZE = 224
SHORTER_SIDE = 256

# An image (PIL's, or a (C, H, W) uint8 tensor) and its position in the order read -> another.
Change = Callable[[Image.Image | Tensor, int], Image.Image | Tensor]
# How many images a batch has -> (n,) int64, the positions of those that this process needs.
Own = Callable[[int], Tensor]


@dataclass(frozen=True, eq=False)
class Photos:
    """Photographs on disk, in the place of a (N, 3, 224, 224) uint8 tensor.

    Args:
        paths: (N,) of bytes. An array, not a list, so that worker processes share its memory.
        device: where the pixels are sent.
    """

    paths: np.ndarray
    device: torch.device

    @classmethod
    def of(cls, paths: Sequence[str]) -> Photos:
        """The photographs of these files."""
        return cls(np.array([os.fsencode(path) for path in paths]), torch.device("cpu"))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: slice | Tensor) -> Photos:
        index = index if isinstance(index, slice) else index.cpu().numpy()
        return dataclasses.replace(self, paths=self.paths[index])

    @property
    def shape(self) -> torch.Size:
        """The shape of the tensor that they stand in for."""
        return torch.Size((len(self), 3, SIZE, SIZE))

    def to(self, device: str | torch.device) -> Photos:
        """The same photographs, sent to `device` when they are read."""
        return dataclasses.replace(self, device=torch.empty(0, device=device).device)

    def read(
        self, order: Tensor, size: int, change: Change | None = None, own: Own | None = None
    ) -> Iterator[Tensor]:
        """Decode in batches; the next ones are decoded while one is used.

        Args:
            order: (n,) int64, which photographs.
            size: photographs a batch; the last batch may be smaller.
            change: applied to each whole photograph; must give 224 x 224 pixels. Without it, the
                shorter side is resized to 256 and the middle 224 x 224 are kept.
            own: number of photographs in a batch -> the positions of those that are decoded and
                yielded; None = all.

        Yields:
            (size, 3, 224, 224) uint8 on `device`.

        Raises:
            ValueError: a file that is no image, or a damaged one.
        """
        wanted = list(enumerate(order.tolist()))
        batches = [wanted[first : first + size] for first in range(0, len(wanted), size)]
        if own is not None:
            batches = [[batch[at] for at in own(len(batch)).tolist()] for batch in batches]
        loader = DataLoader(
            _Decoded(self.paths, change),
            batch_sampler=batches,
            collate_fn=_together,
            num_workers=_cores() if len(order) > size else 0,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else it draws from the caller's
        )
        for images in loader:
            if isinstance(images, str):
                raise ValueError(images)
            pulse.beat()
            yield images.to(self.device, non_blocking=True)


def _cores() -> int:
    """The number of cores that this process may use, beside others that work with it."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    return max(1, cores // processes.here())


@dataclass(frozen=True)
class _Decoded:
    """What each worker process holds."""

    paths: np.ndarray
    change: Change | None

    def __getitem__(self, item: tuple[int, int]) -> Tensor | str:
        """(3, 224, 224) uint8; or what is wrong, since an exception would come as a traceback."""
        position, index = item
        try:
            image = decode(os.fsdecode(self.paths[index]))
        except ValueError as error:
            return str(error)
        return pixels(middle(image) if self.change is None else self.change(image, position))

    def __len__(self) -> int:
        return len(self.paths)


def _together(images: list[Tensor | str]) -> Tensor | str:
    """A batch, or the first error message in it."""
    return next((image for image in images if isinstance(image, str)), None) or torch.stack(images)


def decode(path: str) -> Image.Image:
    """The image in a file, as RGB.

    Raises:
        ValueError: not an image, or a damaged one.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    # On damaged bytes a decoder may raise anything: a SyntaxError for PNG, a ValueError for PPM ...
    except Exception as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else reason
        raise ValueError(f"load: cannot read the image '{path}' ({reason})") from error


def middle(image: Image.Image) -> Image.Image:
    """Shorter side to 256, the middle 224 x 224: as torchvision's ImageNet weights are tested."""
    from torchvision.transforms import functional

    return functional.center_crop(functional.resize(image, SHORTER_SIDE), SIZE)


def pixels(image: Image.Image) -> Tensor:
    """(3, H, W) uint8."""
    from torchvision.transforms import functional

    return functional.pil_to_tensor(image)
