"""The CIFAR VGGs: PFEC's VGG-16, one with another hidden layer, and DCP's VGG-19."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

# Filters of each stage's convolutions; a 2x2 pooling ends each stage.
VGG16 = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)
VGG19 = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4)


class VGG(nn.Module):
    """`features` (convolutions `conv1`, `conv2`, ... and poolings), then `classifier`.

    Poolings round up, which changes nothing at 32x32 and lets smaller images through.
    """

    def __init__(self, features: nn.Module, classifier: nn.Module):
        super().__init__()
        self.features = features
        self.classifier = classifier
        self.features.apply(_he)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), H and W at most 32, -> (N, classes) logits."""
        return self.classifier(self.features(x).flatten(1))


def vgg16(num_classes: int, in_channels: int, *, hidden: int = 1) -> VGG:
    """VGG-16 with batch norm and `hidden` linear layers of 512 before the last one, no dropout.

    One hidden layer: 14,991,946 parameters, two: 15,255,626.

    Source: Li et al. 2017 and cifar.torch (papers/pfec.md section 4.1), batch-norm eps 1e-3; two
        hidden layers: Dai et al. 2018 (papers/vibnet.md section 4, D4).
    Differs: the authors' D4 has no batch norm behind its hidden linear layers.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number in range(1, hidden + 1):
        layers[f"fc{number}"] = nn.Linear(512, 512)
        layers[f"bn{number}"] = nn.BatchNorm1d(512, eps=1e-3)
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
    layers[f"fc{hidden + 1}"] = nn.Linear(512, num_classes)
    last = nn.MaxPool2d(2, ceil_mode=True)
    return VGG(_features(VGG16, in_channels, last, eps=1e-3), nn.Sequential(layers))


def vgg19(num_classes: int, in_channels: int) -> VGG:
    """VGG-19 with batch norm, last pooling an average, one linear layer: 20,040,522 parameters.

    Source: Zhuang et al. 2018 (papers/dcp.md section 6).
    """
    head = nn.Linear(512, num_classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    last = nn.AvgPool2d(2, ceil_mode=True)
    return VGG(_features(VGG19, in_channels, last, eps=1e-5), nn.Sequential(OrderedDict(fc=head)))


def _features(
    stages: Sequence[Sequence[int]], in_channels: int, last: nn.Module, eps: float
) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    number = 0
    for stage, widths in enumerate(stages, start=1):
        for width in widths:
            number += 1
            layers[f"conv{number}"] = nn.Conv2d(in_channels, width, 3, padding=1)
            layers[f"bn{number}"] = nn.BatchNorm2d(width, eps=eps)
            layers[f"relu{number}"] = nn.ReLU(inplace=True)
            in_channels = width
        pool = last if stage == len(stages) else nn.MaxPool2d(2, ceil_mode=True)
        layers[f"pool{stage}"] = pool
    return nn.Sequential(layers)


def _he(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(module.bias)
