"""The smallest network of the series: two coordinates, five hidden units, one answer."""

import torch
from torch import Tensor, nn


class Xor(nn.Module):
    """2-5-1 with sigmoids and biases: 21 connections.

    The last sigmoid is part of the loss: its two classes have the logits 0 and z, so that
    cross-entropy of the two is the logistic loss of z.

    Source: Guo et al. 2016, section 4.1 (papers/dns.md section 7).
    """

    def __init__(self, num_classes: int, in_channels: int):
        super().__init__()
        if (num_classes, in_channels) != (2, 2):
            raise ValueError(
                "build: mlp-2-5-1 has 2 classes and 2 inputs; got"
                f" num_classes={num_classes}, in_channels={in_channels}"
            )
        self.fc1 = nn.Linear(2, 5)
        self.fc2 = nn.Linear(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 2) -> (N, 2) logits."""
        z = self.fc2(torch.sigmoid(self.fc1(x)))
        return torch.cat([torch.zeros_like(z), z], dim=1)
