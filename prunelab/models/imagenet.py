"""torchvision's own VGG-16 and ResNets, with fresh weights and any number of input channels."""

from torch import nn


def network(name: str, num_classes: int, in_channels: int) -> nn.Module:
    """A network of torchvision; its first convolution is made anew unless it has 3 inputs.

    With 1000 classes "vgg16" (without batch norm) has 138,357,544 parameters and "resnet34"
    21,797,672.

    Source: Simonyan and Zisserman 2015, configuration D; He et al. 2016, table 1.
    Differs: in "resnet50" torchvision puts the stride on the 3x3 convolution of a block.
    """
    from torchvision import models  # here, because its import takes seconds

    net = models.get_model(name, weights=None, num_classes=num_classes)
    if in_channels != 3:
        place = next(n for n, module in net.named_modules() if isinstance(module, nn.Conv2d))
        net.set_submodule(place, _stem(net.get_submodule(place), in_channels))
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
