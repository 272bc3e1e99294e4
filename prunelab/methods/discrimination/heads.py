"""Heads: auxiliary classifiers on the features of a block, and how they are trained with a network.

F = AvgPool(ReLU(BN(O))), logits = theta F, L_S = cross-entropy: DCP, eqs. (4) and (5).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from prunelab import meta
from prunelab.data import Dataset
from prunelab.methods.discrimination.places import places
from prunelab.train.features import gathered


class Head(nn.Module):
    """BatchNorm, ReLU, mean over all positions, linear layer.

    Args:
        channels: of the features.
        classes: number of classes.
        positions: whether the features have positions, (N, C, H, W); else they are (N, C).
    """

    def __init__(self, channels: int, classes: int, positions: bool = True):
        super().__init__()
        self.norm = (nn.BatchNorm2d if positions else nn.BatchNorm1d)(channels)
        self.fc = nn.Linear(channels, classes)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) or (N, C) -> (N, classes) logits."""
        x = torch.relu(self.norm(x))
        return self.fc(x.mean((2, 3)) if x.ndim == 4 else x)


def heads_for(
    net: nn.Module, example: Tensor, places: list[str], classes: int, seed: int
) -> dict[str, Head]:
    """A new head for each place, on the network's device and of its dtype.

    Args:
        net: the network, which stays as it is.
        example: (n, C, H, W) images.
        places: names of modules of `net` that give (n, C, H, W) or (n, C).
        classes: number of classes.
        seed: of the weights.

    Raises:
        ValueError: a module gives something of another shape.
    """
    x = example.to(meta.dtype_of(net))
    with meta.in_mode(net, False), torch.no_grad(), gathered(net, places) as taken:
        net(x)
        features = taken()
    heads = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for place, found in features.items():
            if found.ndim not in (2, 4):
                raise ValueError(
                    f"DiscriminationAware: a loss at `{place}` needs features (N, C, H, W) or"
                    f" (N, C), got {tuple(found.shape)}"
                )
            heads[place] = Head(found.shape[1], classes, found.ndim == 4).to(found)
    return heads


def supervised(net: nn.Module, data: Dataset, losses: int, seed: int) -> dict:
    """Arguments of `train.fit` that train a network with so many auxiliary classifiers.

    Errors: ValueError, there are not so many places.
    """
    found = places(net, data.example, losses)
    return doors(heads_for(net, data.example[:1], found, data.num_classes, seed))


def doors(heads: Mapping[str, Head], weights: Mapping[str, float] | None = None) -> dict:
    """Arguments of `train.fit` that train a network and heads under the sum of their losses.

    Args:
        heads: place -> head.
        weights: place -> factor of its loss; none = 1 each.
    """

    def loss(logits: Tensor, labels: Tensor, *features: Mapping[str, Tensor]) -> Tensor:
        total = cross_entropy(logits, labels)
        for place, head in heads.items():
            side = cross_entropy(head(features[0][place]).float(), labels)
            total = total + (1 if not weights else weights[place]) * side
        return total

    return {"loss": loss, "features": tuple(heads), "modules": tuple(heads.values())}
