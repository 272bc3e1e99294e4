"""Small maps: convolutions with fewer products, for maps of a few pixels.

On a map as small as its kernel most of a convolution's products are with padding: written out as a
dense layer it has fewer. On maps of up to four tiles a 3x3 convolution takes 16 products for 2x2
outputs instead of 36 (minimal filtering, F(2x2, 3x3)), and is no less accurate: its sums are
shorter. Both give the convolution's own numbers up to rounding.

Source: Lavin & Gray 2016, Fast algorithms for convolutional neural networks, section 4.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

TILES = 4  # with more of them, the transforms cost more than the products saved
INPUT = torch.tensor([[1.0, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])  # B^T
KERNEL = torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])  # G
OUTPUT = torch.tensor([[1.0, 1, 1, 0], [0, 1, -1, -1]])  # A^T


def quick(conv: nn.Module, x: object) -> Dense | Winograd | None:
    """A convolution for inputs of the shape of `x` with fewer products; None where there is none.

    Args:
        conv: a layer; a convolution over two axes with zero padding has such forms.
        x: (n, channels, height, width) what it reads.
    """
    if type(conv) is not nn.Conv2d or not isinstance(x, Tensor) or x.ndim != 4:
        return None
    if x.device.type != "cpu":  # there, the libraries have their own
        return None
    if conv.groups > 1 or conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        return None
    height, width = x.shape[2:]
    if height * width < math.prod(conv.kernel_size):
        return Dense.of(conv, height, width)
    plain = (conv.kernel_size, conv.stride, conv.padding, conv.dilation)
    tiles = _tiles(height) * _tiles(width)
    wide = min(conv.in_channels, conv.out_channels) >= 16 * tiles
    if plain == ((3, 3), (1, 1), (1, 1), (1, 1)) and tiles <= TILES and wide:
        return Winograd.of(conv, height, width)
    return None


@dataclass(frozen=True)
class Dense:
    """A convolution of one map size as a matrix.

    Attributes:
        weight: (out height x out width x out channels, height x width x channels, 1, 1).
        bias: (out height x out width x out channels,), or None.
        size: (out height, out width).
    """

    weight: Tensor
    bias: Tensor | None
    size: tuple[int, int]

    @classmethod
    def of(cls, conv: nn.Conv2d, height: int, width: int) -> Dense:
        """What the kernel gives on each pixel alone is a column of the matrix."""
        out, channels = conv.weight.shape[:2]
        pixels = torch.eye(height * width).to(conv.weight).view(-1, 1, height, width)
        kernels = conv.weight.reshape(out * channels, 1, *conv.kernel_size)
        columns = conv2d(pixels, kernels, None, conv.stride, conv.padding, conv.dilation)
        size = tuple(columns.shape[2:])
        columns = columns.view(height * width, out, channels, -1).permute(3, 1, 0, 2)
        weight = columns.reshape(-1, height * width * channels)
        bias = None if conv.bias is None else conv.bias.repeat(size[0] * size[1])
        return cls(_kernel(weight), bias, size)

    def __call__(self, x: Tensor) -> Tensor:
        """(n, channels, height, width) -> (n, out channels, out height, out width)."""
        n = len(x)
        y = _product(x.permute(0, 2, 3, 1).reshape(n, -1), self.weight, self.bias)
        return y.view(n, *self.size, -1).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Winograd:
    """A 3x3 convolution of stride 1 and padding 1 for one map size.

    Attributes:
        inward: (tiles x 16, height x width) B^T d B of every tile.
        weight: (16 x out channels, channels, 1, 1) G g G^T, component by component.
        outward: (height x width, tiles x 16) A^T m A of every tile.
        bias: (out channels,), or None.
    """

    inward: Tensor
    weight: Tensor
    outward: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, conv: nn.Conv2d, height: int, width: int) -> Winograd:
        """The transforms of a map's tiles, padding and overhang left out."""
        ins, outs = zip(_along(height), _along(width))
        inward = torch.einsum("yah,xbw->yxabhw", *ins).reshape(-1, height * width)
        outward = torch.einsum("hya,wxb->hwyxab", *outs).reshape(height * width, -1)
        kernel = KERNEL.double()
        weight = torch.einsum("ai,ocij,bj->aboc", kernel, conv.weight.double(), kernel)
        weight = weight.reshape(-1, conv.in_channels).to(conv.weight)
        return cls(inward.to(weight), _kernel(weight), outward.to(weight), conv.bias)

    def __call__(self, x: Tensor) -> Tensor:
        """(n, channels, height, width) -> (n, out channels, height, width)."""
        n, channels, height, width = x.shape
        tiles = self.inward @ x.permute(0, 2, 3, 1).reshape(n, height * width, channels)
        y = _product(tiles.view(-1, 16 * channels), self.weight, None, 16)
        y = self.outward @ y.view(n, self.inward.shape[0], -1)
        y = y if self.bias is None else y.add_(self.bias)
        return y.view(n, height, width, -1).permute(0, 3, 1, 2)


def _tiles(size: int) -> int:
    return -(-size // 2)


def _along(size: int) -> tuple[Tensor, Tensor]:
    """Transforms along one axis: (tiles, 4, size) inward and (size, tiles, 4) outward."""
    tiles = _tiles(size)
    inward, outward = torch.zeros(tiles, 4, 2 * tiles + 2), torch.zeros(2 * tiles, tiles, 4)
    for tile in range(tiles):
        inward[tile, :, 2 * tile : 2 * tile + 4] = INPUT
        outward[2 * tile : 2 * tile + 2, tile] = OUTPUT
    return inward[:, :, 1 : size + 1], outward[:size]


def _kernel(matrix: Tensor) -> Tensor:
    return matrix[:, :, None, None].contiguous(memory_format=torch.channels_last)


def _product(rows: Tensor, weight: Tensor, bias: Tensor | None, groups: int = 1) -> Tensor:
    """`rows @ weight.T`, as a 1x1 convolution over the rows: quicker here than `linear` is."""
    image = rows.view(1, len(rows), 1, -1).permute(0, 3, 1, 2)
    return conv2d(image, weight, bias, groups=groups).permute(0, 2, 3, 1).reshape(len(rows), -1)
