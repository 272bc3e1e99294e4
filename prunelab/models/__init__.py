"""The papers' networks as plain modules: `build` makes one by name, freshly initialised."""

from collections.abc import Callable
from functools import partial

from torch import nn

from prunelab import checks
from prunelab.models import alexnet, imagenet, lenet, resnet, vgg, xor

_MAKERS: dict[str, Callable[[int, int], nn.Module]] = {
    "lenet-300-100": lenet.LeNet300100,
    "lenet-300-100-bn": lenet.LeNet300100Normed,
    "lenet-5": lenet.LeNet5,
    "lenet-5-relu": partial(lenet.LeNet5, rectified=True),
    "mlp-2-5-1": xor.Xor,
    "mlp-2-3-2-1": xor.Duplicated,
    "vgg-16": vgg.vgg16,
    "vgg-16-fc2": partial(vgg.vgg16, hidden=2),
    "vgg-19": vgg.vgg19,
    "resnet-20": partial(resnet.ResNet, 3),
    "resnet-56": partial(resnet.ResNet, 9),
    "resnet-110": partial(resnet.ResNet, 18),
    "preresnet-8": partial(resnet.PreResNet, 1),
    "preresnet-20": partial(resnet.PreResNet, 3),
    "preresnet-56": partial(resnet.PreResNet, 9),
    "alexnet": alexnet.AlexNet,
    "vgg-16-imagenet": partial(imagenet.network, "vgg16"),
    "resnet-18": partial(imagenet.network, "resnet18"),
    "resnet-34": partial(imagenet.network, "resnet34"),
    "resnet-50": partial(imagenet.network, "resnet50"),
}

NAMES = tuple(_MAKERS)
MOST = 1_000_000  # classes, or channels of an image: more would only fill the memory


def build(name: str, num_classes: int = 10, in_channels: int | None = None) -> nn.Module:
    """Make a network of the papers with fresh weights, drawn from torch's global generator.

    Args:
        name: one of `NAMES`.
        num_classes: outputs of the last layer, >= 1.
        in_channels: channels of the input image; by default 1 for the LeNets, 2 (coordinates) for
            the mlps, and 3 for the others.

    Returns:
        A float32 module in training mode on the CPU. Inputs are (N, in_channels, H, W): the LeNets
        take 28x28, the other CIFAR networks up to 32x32, the last five 224x224 (AlexNet also 227).

    Raises:
        ValueError: unknown `name`, `num_classes` or `in_channels` not a positive integer.
    """
    checks.word("build", "name", name, NAMES)
    if in_channels is None:
        in_channels = {"lenet": 1, "mlp": 2}.get(name.partition("-")[0], 3)
    _positive("num_classes", num_classes)
    _positive("in_channels", in_channels)
    return _MAKERS[name](num_classes, in_channels)


def _positive(argument: str, value: int) -> None:
    checks.count("build", argument, value)
    checks.need(value <= MOST, "build", argument, f"at most {MOST:,}", value)
