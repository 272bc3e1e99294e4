r"""Greedy: Algorithm 2 of DCP chooses the input channels of a layer, one after another.

A = {}, W = 0
while |A| < kappa:
    G = dL/dW over all images
    A = A + {argmax_{k not in A} score(G_k)};  W_k = its value before
    SGD on L over W_A
    DCP-Adapt: stop if |L before - L| <= epsilon L(W = 0)                      (10)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prunelab.methods.discrimination.problem import BATCH, Problem

if TYPE_CHECKING:
    from prunelab.methods.discrimination_aware import DiscriminationAware

SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": lambda squares: squares.sqrt().sum(0),
    "frobenius": lambda squares: squares.sum(0).sqrt(),
    "squares": lambda squares: squares.sum(0),
}


def choose(
    method: DiscriminationAware,
    problem: Problem,
    count: int,
    rng: torch.Generator,
    tell: Callable[[int], object],
) -> dict[str, Tensor]:
    """Algorithm 2: up to `count` channels, one after another.

    Args:
        method: says how.
        problem: whose channels; its weights are 0 at the start, and those of the result at the end.
        count: kappa.
        rng: draws the order of the images, and the channels of Random DCP.
        tell: called with the number of channels that came in.

    Returns:
        `order`, `losses` and `scores`, as in `DiscriminationAware`. No channel is chosen if none
        has a gradient.
    """
    size, images, device = problem.weights[0].shape[1], len(problem.labels), problem.labels.device
    kept, order, losses, scores = torch.zeros(size, dtype=torch.bool), [], [], []
    drawn = torch.randperm(size, generator=rng)
    while True:
        *found, gradients = problem.measure()
        losses.append(found)
        if len(order) >= count or _still(method, losses):
            break
        score = drawn.argsort(descending=True).double()  # the first drawn is the largest
        if method.select == "gradient":
            squares = torch.cat([gradient.square().sum(2) for gradient in gradients])
            score = SCORES[method.score](squares).double().cpu()
            scores.append(score)
            if not order and not score.any():
                break
        ranked = score.masked_fill(kept, -1).argsort(descending=True, stable=True)
        new = ranked[: min(method.step, count - len(order))]
        kept[new] = True
        order += new.tolist()
        problem.add(new.to(device))
        batches = (b.to(device) for b in _batches(images, method.passes, rng))
        problem.descend(kept.to(device), batches)
        tell(len(new))
    return {
        "order": torch.tensor(order, dtype=torch.int64),
        "losses": torch.tensor(losses),
        "scores": torch.stack(scores).float() if scores else torch.empty(0, size),
    }


def _still(method: DiscriminationAware, losses: list[list[float]]) -> bool:
    """Equation (10): the last step has changed L by no more than epsilon of L with no channel."""
    if method.epsilon is None or len(losses) < 2:
        return False
    joint = [method.reconstruction * error + method.lam * side for error, side in losses]
    return abs(joint[-2] - joint[-1]) <= method.epsilon * joint[0]


def _batches(images: int, passes: float, rng: torch.Generator) -> Iterator[Tensor]:
    """Shuffled indices in batches, for so many passes over the images."""
    todo = max(1, round(passes * images))
    while todo > 0:
        order = torch.randperm(images, generator=rng)[:todo]
        yield from order.split(BATCH)
        todo -= len(order)
