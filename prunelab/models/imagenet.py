"""torchvision's own VGG-16 and ResNets, with fresh weights and any number of input channels."""

from torch import nn


def vgg16(num_classes: int, in_channels: int) -> nn.Module:
    """The VGG-16 of torchvision without batch norm: 138,357,544 parameters with 1000 classes.

    Source: Simonyan and Zisserman 2015, configuration D.
    """
    from torchvision import models  # here, because its import takes seconds

    net = models.vgg16(weights=None, num_classes=num_classes)
    if in_channels != 3:
        net.features[0] = _stem(net.features[0], in_channels)
    return net


def resnet(constructor: str, num_classes: int, in_channels: int) -> nn.Module:
    """The ResNet of torchvision, e.g. "resnet34": 21,797,672 parameters with 1000 classes.

    Source: He et al. 2016, table 1.
    Differs: in "resnet50" torchvision puts the stride on the 3x3 convolution of a block.
    """
    from torchvision import models

    net = getattr(models, constructor)(weights=None, num_classes=num_classes)
    if in_channels != 3:
        net.conv1 = _stem(net.conv1, in_channels)
    return net


def _stem(conv: nn.Conv2d, in_channels: int) -> nn.Conv2d:
    """Make the same convolution for another number of input channels, freshly initialised."""
    bias = conv.bias is not None
    stem = nn.Conv2d(
        in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, bias=bias
    )
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    if bias:
        nn.init.zeros_(stem.bias)
    return stem
