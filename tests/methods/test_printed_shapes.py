"""Shapes that DCP and ThiNet print: networks really shrunk to them have the printed counts."""

import pytest
import torch
import torchvision
from torch import nn

from prunelab import cost, ratios, surgery
from prunelab.groups import trace

# Output channels and stride of each depthwise separable block. Source: Howard et al. 2017.
EARLY = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2))
BLOCKS = (*EARLY, *[(512, 1)] * 5, (1024, 2), (1024, 1))


class Separable(nn.Sequential):
    def __init__(self, inputs, width, stride):
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )


def mobilenet(classes):
    stem = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()]
    widths = [32, *(width for width, _ in BLOCKS)]
    blocks = [Separable(a, b, stride) for a, (b, stride) in zip(widths, BLOCKS)]
    tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, classes)]
    return nn.Sequential(*stem, *blocks, *tail)


def shrunk(net, x, left, names=None):
    """`net` with the first `left(size)` channels of each group off the residual streams."""
    groups = trace(net, x)
    chosen = {n: g for n, g in groups.inner().items() if names is None or names(n)}
    keep = {n: torch.arange(g.size) < left(g.size) for n, g in chosen.items()}
    return cost.measure(surgery.shrink(net, groups, keep), x), len(keep)


def test_mobilenet_v1_on_cifar_10():
    """30% of the inputs of the pointwise convolutions 1 to 12: papers/dcp.md section 6."""
    net, x = mobilenet(10), torch.zeros(1, 3, 32, 32)
    assert cost.measure(net, x).params == 3_217_226
    last = {"15.3", "14.3"}  # what the 13th pointwise convolution reads, and what it writes
    found, groups = shrunk(net, x, lambda n: ratios.left(n, 0.3), lambda name: name not in last)
    assert (found.params, groups) == (2_249_139, 12)


def test_mobilenet_v1_on_imagenet():
    """50% of the inputs of all 13 pointwise convolutions."""
    net, x = mobilenet(1000), torch.zeros(1, 3, 224, 224)
    whole = cost.measure(net, x)
    found, groups = shrunk(net, x, lambda n: ratios.left(n, 0.5), lambda name: name != "15.3")
    assert (found.params, found.macs, groups) == (2_106_760, 162_854_144, 13)
    assert f"{whole.params / found.params:.3f} {whole.macs / found.macs:.3f}" == "2.009 3.492"


@pytest.mark.parametrize(
    ("keep", "params", "gflops"),
    [(0.7, 16_945_246, 4.880), (0.5, 12_381_864, 3.413), (0.3, 8_665_318, 2.195)],
)
def test_thinets_resnet_50(keep, params, gflops):
    """int(keep * c) inner channels; the stride on the first 1x1: papers/baselines.md section 1."""
    net = torchvision.models.resnet50()
    for block in net.modules():
        if isinstance(block, torchvision.models.resnet.Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)
    x = torch.zeros(1, 3, 224, 224)
    found, groups = shrunk(net, x, lambda n: ratios.kept(n, 1 - keep))
    assert (found.params, groups) == (params, 32)
    assert round(2 * found.macs / 1e9, 3) == gflops
