"""Narrowing: training under gates without the units that are far from being kept.

Parameters stay whole. What runs is what is left of them without those units, picked anew in each
step, so that gradients reach the whole ones. The whole ones decide after each epoch which units go.
A unit that went gets no gradient any more; only an optimizer's momentum could bring it back.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from prunelab.groups import INPUTS
from prunelab.methods.gating.gates import Gated, some
from prunelab.surgery import cuts, tensors_of
from prunelab.surgery.selection import indices


class Narrowed(nn.Module):
    """A gated network that runs without the units whose margin is below `-cut`."""

    def __init__(self, gated: Gated, net: nn.Module, cut: float):
        super().__init__()
        self.gated, self.cut = gated, cut
        self._net = (net,)  # a tuple: its layers are those of `gated`
        self._left: dict[str, Tensor] | None = None
        self._drawn: dict[str, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """What the gated network gives without those units."""
        narrow = self._narrow()
        out = functional_call(self.gated, narrow, (x,), tie_weights=False)
        if self.training:
            self._write(narrow)
            self._drawn = narrow  # one picking for the step's loss and penalty
        return out

    def penalty(self) -> Tensor:
        """Of the units that run."""
        narrow, self._drawn = self._drawn or self._narrow(), None
        return functional_call(self.gated, narrow, (None,), tie_weights=False)

    def look(self) -> None:
        """Let the whole parameters decide anew, before the next run."""
        self._left = self._drawn = None

    def _narrow(self) -> dict[str, Tensor]:
        """Name in the gated network -> what is left of the tensor."""
        if self._left is None:
            self._left, self._picks, self._tensors = self._decide()
        picked = {
            name: self._tensors[name].flatten().index_select(0, left.flatten()).view(left.shape)
            for name, left in self._left.items()
        }
        return picked | self._picks

    @torch.no_grad()
    def _write(self, narrow: dict[str, Tensor]) -> None:
        """Keep what a batch norm noted of the batch."""
        for name, left in self._left.items():
            if not isinstance(self._tensors[name], nn.Parameter):
                self._tensors[name].view(-1)[left.flatten()] = narrow[name].flatten()

    @torch.inference_mode(False)  # evaluation may be what asks, training goes on with the answer
    @torch.no_grad()
    def _decide(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """Name in the gated network -> which entries are left; what inputs pick; the whole."""
        (net,), groups, keep = self._net, self.gated.groups, self._running()
        found = cuts(net, groups, keep)
        written = {name: k for name, k in keep.items() if not name.endswith(INPUTS)}
        arriving = indices(groups, keep, cuts(net, groups, written), found)
        whole = tensors_of(self.gated)
        own = {id(tensor): name for name, tensor in whole.items()}
        left, picks, alike = {}, {}, self.gated.alike(net)
        for name, axes in found.items():
            for tensor in alike[name]:
                if id(tensor) in own:
                    left[own[id(tensor)]] = _entries(tensor, axes)
        for name, gate in self.gated.gates.items():
            for tensor in tensors_of(gate).values():
                if tensor.shape[-1:] == (gate.place.size,):
                    left[own[id(tensor)]] = _entries(tensor, {tensor.ndim - 1: keep[name]})
            if (layer := name.removesuffix(INPUTS)) in arriving and layer != name:
                picks[own[id(gate.pick)]] = arriving[layer].to(gate.pick.device)
        left = {name: part for name, part in left.items() if part.numel() < whole[name].numel()}
        return left, picks, {name: whole[name] for name in left}

    def _running(self) -> dict[str, Tensor]:
        """Place name -> (size,) bool; at least one of each place."""
        keep = {}
        for name, gate in self.gated.gates.items():
            margin = gate.margin()
            keep[name] = some(margin >= -self.cut, self.gated.written(name, keep), margin)
        return keep


def _entries(tensor: Tensor, axes: Mapping[int, Tensor]) -> Tensor:
    """Where in the flat tensor what is kept along each axis stands, in the shape of that."""
    out = torch.arange(tensor.numel(), device=tensor.device).view(tensor.shape)
    for axis, kept in axes.items():
        out = out.index_select(axis, kept.nonzero()[:, 0].to(tensor.device))
    return out
