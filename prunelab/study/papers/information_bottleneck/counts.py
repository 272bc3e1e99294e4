"""Counts from widths alone, as VIBNet's tables count: weights, activations, multiply-accumulates.

* weights: of convolutions and linear layers, without biases;
* activations ("rN", the memory footprint): an image's inputs where they are pruned, each map before
  and after pooling, what a linear layer reads where single inputs are pruned, and hidden units; not
  the outputs;
* MACs ("FLOP"): of convolutions and linear layers, one multiply-accumulate counts as one.

Source: papers/vibnet.md section 5, recomputed from every printed row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STEM = "information_bottleneck"


@dataclass(frozen=True)
class Counts:
    """Weights, activations and multiply-accumulates of one image."""

    weights: int
    activations: int
    macs: int

    def percent(self, whole: Counts) -> tuple[float, float]:
        """Weights and activations as percent of another network's."""
        return (100 * self.weights / whole.weights, 100 * self.activations / whole.activations)


def lenet_300_100(inputs: int, fc1: int, fc2: int) -> Counts:
    """784-300-100-10 with these many pixels and units left."""
    weights = inputs * fc1 + fc1 * fc2 + 10 * fc2
    return Counts(weights, inputs + fc1 + fc2, weights)


def lenet_5(conv1: int, conv2: int, inputs: int, fc1: int) -> Counts:
    """20-50-800-500-10: maps of 24, pooled to 12, of 8, pooled to 4; `inputs` of fc1."""
    weights = 25 * conv1 + 25 * conv1 * conv2 + inputs * fc1 + 10 * fc1
    activations = (24**2 + 12**2) * conv1 + (8**2 + 4**2) * conv2 + inputs + fc1
    macs = 25 * 24**2 * conv1 + 25 * 8**2 * conv1 * conv2 + inputs * fc1 + 10 * fc1
    return Counts(weights, activations, macs)


def vgg(widths: Sequence[int], stages: Sequence[int], classes: int, colours: int = 3) -> Counts:
    """A VGG on 32 x 32 images: convolutions 3 x 3, a 2 x 2 pooling after each stage, linear layers.

    Args:
        widths: of all convolutions, then of the hidden linear layers.
        stages: convolutions in each stage.
        classes: outputs.
        colours: channels of the image.
    """
    side, before, weights, activations, macs = 32, colours, 0, 0, 0
    convolutions, hidden = widths[: sum(stages)], widths[sum(stages) :]
    ends = {sum(stages[: k + 1]) for k in range(len(stages))}
    for number, width in enumerate(convolutions, start=1):
        weights += 9 * before * width
        macs += 9 * before * width * side**2
        activations += width * side**2
        if number in ends:
            side //= 2
            activations += width * side**2
        before = width
    for width in (*hidden, classes):
        weights += before * width
        macs += before * width
        before = width
    return Counts(weights, activations + sum(hidden), macs)


def resnet(widths: Sequence[int], classes: int, colours: int = 3) -> Counts:
    """A CIFAR ResNet of three stages on 32 x 32 images, whose shortcuts have no weights.

    Args:
        widths: of the first convolution of each block: what can be cut without its neighbours.
        classes: outputs.
        colours: channels of the image.
    """
    blocks, before = len(widths) // 3, 16
    weights = 9 * colours * before
    macs, activations = weights * 32**2, before * 32**2
    for number, inner in enumerate(widths):
        side, width = 32 >> number // blocks, 16 << number // blocks
        own = 9 * inner * (before + width)
        weights, macs = weights + own, macs + own * side**2
        activations += (inner + width) * side**2
        before = width
    last = before * classes
    return Counts(weights + last, activations, macs + last)


MNIST = {"lenet-300-100": lenet_300_100, "lenet-5-relu": lenet_5}
WHOLE = {"lenet-300-100": (784, 300, 100), "lenet-5-relu": (20, 50, 800, 500)}
PLACES = {
    "lenet-300-100": ("fc1.inputs", "fc1", "fc2"),
    "lenet-5-relu": ("conv1", "conv2", "fc1.inputs", "fc1"),
}
