"""Sound: networks and sums that a layer cannot be rebuilt from are refused, few rows warned of."""

from __future__ import annotations

import warnings

from torch import nn

from prunelab.methods.reconstruction.moments import Moments


def check_weights(caller: str, net: nn.Module) -> None:
    """ValueError, with its name, if a tensor of the network has a number that is not finite."""
    for name, tensor in net.state_dict().items():
        if strange := int((~tensor.isfinite()).sum()):
            raise ValueError(
                f"{caller}: `net` must have finite weights; {strange} of {tensor.numel()} numbers"
                f" of `{name}` are not"
            )


def check_sums(caller: str, layer: str, sums: Moments) -> None:
    """ValueError if what a layer reads or shall write is not finite for some image."""
    for what, total in (("reads", sums.xx), ("has to write", sums.yy)):
        if not total.isfinite().all():
            raise ValueError(
                f"{caller}: `{layer}` must read and write finite numbers; what it {what} is not,"
                " for some image of `data.train`"
            )


def warn_of_few(caller: str, layer: str, rows: int, unknowns: int) -> None:
    """Warn if a layer is rebuilt from fewer rows than it has numbers to find."""
    if rows < unknowns:
        warnings.warn(
            f"{caller}: `{layer}` is rebuilt from {rows} rows (images x positions), fewer than the"
            f" {unknowns} columns or channels that are fitted: many weights fit them equally"
            " well, and the network may be ruined; allow more `images` or `positions`",
            stacklevel=2,
        )
