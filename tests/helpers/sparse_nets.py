"""What the tests of sparse files share: networks with zeros, and all bits of a network."""

import torch
from torch import nn

from prunelab import surgery


@torch.no_grad()
def thin(net, density, seed=0):
    """Each parameter random, with about this share of entries not zero; buffers random too."""
    g = torch.Generator().manual_seed(seed)
    for p in net.parameters():
        p.normal_(generator=g).mul_(torch.rand(p.shape, generator=g) < density)
        p[p == 0] = 0.0  # multiplying by a mask leaves -0.0 as well
    for b in net.buffers():
        if b.is_floating_point():
            b.uniform_(generator=g)
    return net


def small(sizes=(7, 5, 3), bias=True):
    """A convolution, batch norm and linear layers."""
    channels, hidden, out = sizes
    return nn.Sequential(
        nn.Conv2d(2, channels, (3, 2), bias=bias), nn.BatchNorm2d(channels), nn.Flatten(),
        nn.Linear(channels * 4, hidden, bias=bias), nn.Linear(hidden, out),
    )  # fmt: skip


def bits(net):
    """Name -> type, shape and bytes of all tensors; 0.0 and -0.0 differ here."""
    tensors = surgery.tensors_of(net)
    return {k: (t.dtype, t.shape, t.detach().numpy().tobytes()) for k, t in tensors.items()}


def head_bytes(path):
    """Bytes of a safetensors file before its tensors."""
    with path.open("rb") as file:
        return 8 + int.from_bytes(file.read(8), "little")
