"""The CIFAR ResNets: basic blocks with parameter-free shortcuts, and DCP's pre-activation net."""

from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, pad, relu

WIDTHS = (16, 32, 64)


class PadShortcut(nn.Module):
    """Halve the map by taking every second pixel and add `low` + `high` channels of zeros.

    Source: He et al. 2016, section 3.3, option A.
    """

    def __init__(self, low: int, high: int):
        super().__init__()
        self.low = low
        self.high = high

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, low + C + high, ceil(H / 2), ceil(W / 2))."""
        return pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.low, self.high))


class BasicBlock(nn.Module):
    """Basic block: two 3x3 convolutions with batch norm, ReLU after the addition."""

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        self.conv1 = _conv3x3(inputs, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        extra = width - inputs
        self.shortcut = PadShortcut(extra // 2, extra - extra // 2) if extra else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, width, H / stride, W / stride)."""
        out = relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return relu(out + self.shortcut(x))


class ResNet(nn.Module):
    """CIFAR ResNet with 6 x `blocks` + 2 layers: 3, 9 and 18 blocks a stage give 20, 56, 110.

    Parameters: 269,722, 853,018 and 1,727,962 with ten classes. Shortcuts have none.

    Source: He et al. 2016, section 4.2, as in Li et al. 2017 (papers/pfec.md section 4.2).
    """

    def __init__(self, blocks: int, num_classes: int, in_channels: int):
        super().__init__()
        self.conv1 = _conv3x3(in_channels, WIDTHS[0])
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.layer1 = _stage(blocks, WIDTHS[0], WIDTHS[0])
        self.layer2 = _stage(blocks, WIDTHS[0], WIDTHS[1])
        self.layer3 = _stage(blocks, WIDTHS[1], WIDTHS[2])
        self.fc = nn.Linear(WIDTHS[2], num_classes)
        self.apply(_he)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) of any size -> (N, classes) logits."""
        x = relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(adaptive_avg_pool2d(x, 1).flatten(1))


class PreBlock(nn.Module):
    """Pre-activation basic block; the first of a stage takes its shortcut after bn1 and ReLU."""

    def __init__(self, inputs: int, width: int, stride: int, first: bool):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = _conv3x3(inputs, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = _conv3x3(width, width)
        projection = inputs != width
        self.shortcut = (
            nn.Conv2d(inputs, width, 1, stride, bias=False) if projection else nn.Identity()
        )
        self.first = first

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, width, H / stride, W / stride)."""
        active = relu(self.bn1(x))
        out = self.conv2(relu(self.bn2(self.conv1(active))))
        return out + self.shortcut(active if self.first else x)


class PreResNet(nn.Module):
    """Pre-activation CIFAR ResNet; 9 blocks a stage give ResNet-56 with 855,578 parameters.

    Shortcuts that change size are 1x1 convolutions of stride 2 without batch norm.

    Source: Zhuang et al. 2018 and its code (papers/dcp.md section 6).
    """

    def __init__(self, blocks: int, num_classes: int, in_channels: int):
        super().__init__()
        self.conv1 = _conv3x3(in_channels, WIDTHS[0])
        self.layer1 = _pre_stage(blocks, WIDTHS[0], WIDTHS[0])
        self.layer2 = _pre_stage(blocks, WIDTHS[0], WIDTHS[1])
        self.layer3 = _pre_stage(blocks, WIDTHS[1], WIDTHS[2])
        self.bn = nn.BatchNorm2d(WIDTHS[2])
        self.fc = nn.Linear(WIDTHS[2], num_classes)
        self.apply(_he)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) of any size -> (N, classes) logits."""
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(adaptive_avg_pool2d(relu(self.bn(x)), 1).flatten(1))


def _conv3x3(inputs: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)


def _stage(blocks: int, inputs: int, width: int) -> nn.Sequential:
    first = BasicBlock(inputs, width, stride=1 if inputs == width else 2)
    return nn.Sequential(first, *(BasicBlock(width, width, stride=1) for _ in range(blocks - 1)))


def _pre_stage(blocks: int, inputs: int, width: int) -> nn.Sequential:
    first = PreBlock(inputs, width, stride=1 if inputs == width else 2, first=True)
    rest = (PreBlock(width, width, stride=1, first=False) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


def _he(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
