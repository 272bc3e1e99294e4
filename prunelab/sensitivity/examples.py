"""Criteria that `scan` knows by name, as examples of how to write one's own."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelab.sensitivity.criterion import OwnCriterion, criterion


@criterion
def taylor(activations: Tensor, gradients: Tensor) -> Tensor:
    """How much the loss changes if the channel becomes zero, to first order.

    Source: Molchanov, Tyree, Karras, Aila, Kautz. Pruning Convolutional Neural Networks for
    Resource Efficient Inference. ICLR 2017, equation 7.
    """
    return (activations * gradients).mean(2).abs().mean(0)


@criterion
def batch_norm(scales: Tensor) -> Tensor:
    """The absolute scale factor of batch norm. Source: Liu et al. 2017 (slimming), section 3."""
    return scales


@criterion
def geometric_median(weights: Tensor) -> Tensor:
    """The sum of a filter's distances to all others: near the median it can be replaced by them.

    Source: He, Liu, Wang, Hu, Yang. Filter Pruning via Geometric Median. CVPR 2019, equation 5.
    """
    return torch.cdist(weights, weights).sum(1)


@criterion
def mean_activation(activations: Tensor) -> Tensor:
    """How strongly a channel answers, on average over images and pixels.

    Source: Molchanov et al. 2017, section 2.2; PFEC, section 4.5.
    """
    return activations.abs().mean((0, 2))


_ALL = (taylor, batch_norm, geometric_median, mean_activation)
EXAMPLES: dict[str, OwnCriterion] = {own.name.replace("_", " "): own for own in _ALL}
