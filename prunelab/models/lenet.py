"""The two MNIST networks, LeNet-300-100 and Caffe's LeNet-5."""

import math

from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu


class LeNet300100(nn.Module):
    """Three linear layers, 784-300-100-10 on MNIST, with ReLU between: 266,610 parameters.

    Source: Guo et al. 2016 (papers/dns.md section 4); Caffe's Xavier initialisation.
    """

    def __init__(self, num_classes: int, in_channels: int):
        super().__init__()
        self.fc1 = nn.Linear(in_channels * 28 * 28, 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, num_classes)
        self.apply(_xavier)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, 28, 28) -> (N, classes) logits."""
        return self.fc3(relu(self.fc2(relu(self.fc1(x.flatten(1))))))


class LeNet300100Normed(LeNet300100):
    """The same with batch norm before each ReLU: a variant that no paper prints."""

    def __init__(self, num_classes: int, in_channels: int):
        super().__init__(num_classes, in_channels)
        self.bn1 = nn.BatchNorm1d(300)
        self.bn2 = nn.BatchNorm1d(100)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, 28, 28) -> (N, classes) logits."""
        x = relu(self.bn1(self.fc1(x.flatten(1))))
        return self.fc3(relu(self.bn2(self.fc2(x))))


class LeNet5(nn.Module):
    """Caffe's LeNet-5, 20-50-500-10 with 5x5 filters: 431,080 parameters.

    There is no ReLU after the convolutions, only after `fc1`, as in Caffe's MNIST example; with
    `rectified` there is, as in the networks of the Bayesian methods.

    Source: Guo et al. 2016 (papers/dns.md section 4); Caffe's Xavier initialisation.
    """

    def __init__(self, num_classes: int, in_channels: int, rectified: bool = False):
        super().__init__()
        self.rectified = rectified
        self.conv1 = nn.Conv2d(in_channels, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(50 * 4 * 4, 500)
        self.fc2 = nn.Linear(500, num_classes)
        self.apply(_xavier)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, 28, 28) -> (N, classes) logits."""
        for conv in (self.conv1, self.conv2):
            x = relu(conv(x)) if self.rectified else conv(x)
            x = max_pool2d(x, 2)
        return self.fc2(relu(self.fc1(x.flatten(1))))


def _xavier(module: nn.Module) -> None:
    """Caffe's Xavier filler: uniform with variance 1 / fan_in, zero biases."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        bound = math.sqrt(3 / module.weight[0].numel())
        nn.init.uniform_(module.weight, -bound, bound)
        nn.init.zeros_(module.bias)
