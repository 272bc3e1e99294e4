"""The smallest networks of the series: two coordinates, a few hidden units, one answer."""

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
        _check("mlp-2-5-1", num_classes, in_channels)
        self.fc1 = nn.Linear(2, 5)
        self.fc2 = nn.Linear(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 2) -> (N, 2) logits."""
        z = self.fc2(torch.sigmoid(self.fc1(x)))
        return torch.cat([torch.zeros_like(z), z], dim=1)


class Duplicated(nn.Module):
    """2-3-2-1 with ReLUs, made by hand: it computes XOR, and a unit of each layer is not needed.

    With s = x + y:   fc1 writes  s,  s - 1,  s - 1 again
                      fc2 writes  s - 2 (s - 1), which is XOR;  and the duplicate, which says AND
                      fc3         8 XOR - 4 AND - 4

    Without the duplicate the second unit of fc2 reads nothing: that it can go depends on what was
    pruned in the layer before. Two logits as in `Xor`.

    Source: papers/rbp.md section 3.1, test 7.
    """

    def __init__(self, num_classes: int, in_channels: int):
        super().__init__()
        _check("mlp-2-3-2-1", num_classes, in_channels)
        self.fc1, self.fc2, self.fc3 = nn.Linear(2, 3), nn.Linear(3, 2), nn.Linear(2, 1)
        made = {
            "fc1": ([[1, 1], [1, 1], [1, 1]], [0, -1, -1]),
            "fc2": ([[1, -2, 0], [0, 0, 1]], [0, 0]),
            "fc3": ([[8, -4]], [-4]),
        }
        for name, (weight, bias) in made.items():
            layer = self.get_submodule(name)
            layer.weight.data, layer.bias.data = (
                torch.tensor(weight).float(),
                torch.tensor(bias).float(),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 2) -> (N, 2) logits."""
        z = self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))
        return torch.cat([torch.zeros_like(z), z], dim=1)


def _check(name: str, num_classes: int, in_channels: int) -> None:
    if (num_classes, in_channels) != (2, 2):
        raise ValueError(
            f"build: {name} has 2 classes and 2 inputs; got"
            f" num_classes={num_classes}, in_channels={in_channels}"
        )
