"""Places: where auxiliary losses sit in a network."""

from __future__ import annotations

from torch import Tensor, nn

from prunelab.groups.wiring import Wiring


def positions(blocks: int, losses: int) -> list[int]:
    r"""After which blocks (from 1) auxiliary losses sit: q, 2q, ..., at most `blocks` - 1.

    .. math:: q = \lfloor blocks / (losses + 1) \rfloor + 1

    Source: the authors' code (papers/dcp.md section 5).
    """
    q = blocks // (losses + 1) + 1
    return [min(q * number, blocks - 1) for number in range(1, losses + 1)]


def places(net: nn.Module, example: Tensor, losses: int | None = None) -> list[str]:
    """The modules after which auxiliary losses sit in a network. Errors as `after`, `Wiring.of`."""
    blocks = Wiring.of(net, example, "DiscriminationAware").blocks()
    return [blocks[number - 1] for number in after(len(blocks), losses)]


def after(blocks: int, losses: int | None) -> list[int]:
    """The same; None = one loss for three blocks, 3 at most.

    Raises:
        ValueError: two losses would sit at one place.
    """
    wanted = min(3, blocks // 3) if losses is None else losses
    fitting = [n for n in range(max(1, blocks)) if len({*positions(blocks, n)}) == n]
    if wanted not in fitting:
        raise ValueError(
            f"DiscriminationAware: `losses` must be one of {fitting}, as the network has"
            f" {blocks} blocks or layers; got {wanted}"
        )
    return positions(blocks, wanted)
