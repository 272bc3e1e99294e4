"""twin: a network's shapes without its numbers."""

from __future__ import annotations

import copy

import torch
from torch import nn


def twin(net: nn.Module) -> nn.Module:
    """A copy of `net` on the meta device: every tensor has its shape, none has memory."""
    memo: dict[int, object] = {}
    for t in [*net.parameters(), *net.buffers()]:
        empty = torch.empty_like(t, device="meta")
        memo[id(t)] = nn.Parameter(empty, t.requires_grad) if isinstance(t, nn.Parameter) else empty
    return copy.deepcopy(net, memo)
