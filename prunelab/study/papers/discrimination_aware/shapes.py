"""DCP: the shapes whose parameters and MACs it prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from prunelab.methods import FilterNorm
from prunelab.ratios import left
from prunelab.study.networks import Network
from prunelab.study.study import Case
from prunelab.study.tasks import Count

_CIFAR, _IMAGENET = ((3, 32, 32), 10), ((3, 224, 224), 1000)


def _blocks(numbers: Iterable[int], widths: Iterable[int], *convs: str) -> dict[str, int]:
    """Group -> channels for convolutions of the blocks `layer1.0`, ... of a residual network."""
    return {
        f"layer{stage}.{block}.{conv}": width
        for stage, (number, width) in enumerate(zip(numbers, widths), 1)
        for block in range(number)
        for conv in convs
    }


_STAGES, _VGG = (64, 128, 256, 512), (64, 64, 128, 128, *[256] * 4, *[512] * 7)
# Printed network -> model, shape and classes, groups that are thinned, printed rates in percent.
# Source: papers/dcp.md section 6.
THINNED: dict[str, tuple[str, tuple, dict[str, int], tuple[int, ...]]] = {
    "ResNet-56": ("preresnet-56", _CIFAR, _blocks([9] * 3, (16, 32, 64), "conv1"), (30, 50, 70)),
    "VGGNet": ("vgg-19", _CIFAR, {f"features.conv{n}": c for n, c in enumerate(_VGG, 1)}, (30, 40)),
    "ResNet-18": ("resnet-18", _IMAGENET, _blocks([2] * 4, _STAGES, "conv1"), (30, 50, 70)),
    "ResNet-50": (
        "resnet-50",
        _IMAGENET,
        _blocks((3, 4, 6, 3), _STAGES, "conv1", "conv2"),
        (30, 50, 70),
    ),
}
# What DCP-Adapt left of VGG-19's convolutions 1 to 15. Source: DCP, Table S6.
ADAPTED = (56, 64, 128, 115, 199, 177, 123, 52, 59, 46, 31, 37, 37, 44, 31)


def thinned(printed: str, rate: float) -> dict[str, float]:
    """Group -> fraction of its channels that goes, rounded as in the authors' code."""
    _, _, sizes, _ = THINNED[printed]
    return {name: 1 - left(size, rate) / size for name, size in sizes.items()}


def counts() -> Iterator[Case]:
    """Each printed network, whole and thinned."""
    for printed, (model, (shape, classes), _, rates) in THINNED.items():
        case = partial(Case, "counts", network=Network(model))
        yield case(printed, task=Count(None, shape, classes), printed=(printed, "0"))
        for rate in rates:
            task = Count(FilterNorm(thinned(printed, rate / 100)), shape, classes)
            yield case(printed, task=task, setting=f"{rate}%", printed=(printed, str(rate)))
    model, (shape, classes), sizes, _ = THINNED["VGGNet"]
    ratios = {n: 1 - kept / size for (n, size), kept in zip(sizes.items(), ADAPTED) if kept < size}
    task = Count(FilterNorm(ratios), shape, classes)
    yield Case("counts", "VGGNet", Network(model), task, "adapt", ("VGGNet", "adapt"))
