"""Exercises of notebook 07: what a training of ImageNet's size costs, and how processes share it."""

from __future__ import annotations

from collections.abc import Sequence

from prunelab.lab.exercise import Exercise


def operations(macs: int, images: int, epochs: int) -> int:
    """Operations of a training: forward and backward, a multiply-accumulate as two."""
    return 6 * macs * images * epochs


def hours(flops: float, gpus: int, peak: float, used: float) -> float:
    """Hours on GPUs of this peak (operations a second), of which this share is used."""
    return flops / (gpus * peak * used) / 3600


def averaged(gradients: Sequence[float], images: Sequence[int]) -> float:
    """The gradient of the mean loss over a batch, from the means over its parts."""
    return sum(g * n for g, n in zip(gradients, images)) / sum(images)


EXERCISES = (
    Exercise(
        "07-1",
        "the operations of a training",
        operations,
        (
            (
                lambda m, n, e: m * n * e,
                "this counts each multiply-accumulate of the forward pass once",
            ),
            (
                lambda m, n, e: 2 * m * n * e,
                "this is the forward pass alone; the backward pass is missing",
            ),
            (
                lambda m, n, e: 4 * m * n * e,
                "the backward pass makes two products for each of the forward pass: one for the inputs, one for the weights",
            ),
            (lambda m, n, e: 3 * m * n * e, "a multiply-accumulate is two operations"),
        ),
        "three passes' worth of products, two operations each",
        ((3_663_761_408, 1_276_167, 80), (10**6, 1000, 3), (7, 11, 2)),
        importance=4,
    ),
    Exercise(
        "07-2",
        "from operations to hours",
        hours,
        (
            (
                lambda f, g, p, u: f / (g * p) / 3600,
                "no training reaches the peak: divide by the share that is used",
            ),
            (
                lambda f, g, p, u: f * u / (g * p) / 3600,
                "the less of the peak is used, the longer it takes",
            ),
            (lambda f, g, p, u: f / (g * p * u), "these are seconds"),
            (lambda f, g, p, u: f / (p * u) / 3600, "this is one GPU"),
        ),
        "operations, divided by operations a second, are seconds",
        ((2.2e18, 8, 1e15, 0.3), (1e18, 1, 1e14, 0.5), (5e18, 64, 3e14, 0.25)),
    ),
    Exercise(
        "07-3",
        "a batch that cannot be halved",
        averaged,
        (
            (
                lambda g, n: sum(g) / len(g),
                "an image in the smaller part would count for more: weigh each mean by its images",
            ),
            (lambda g, n: sum(g), "a sum of means is no mean"),
            (
                lambda g, n: sum(a * b for a, b in zip(g, n)),
                "divide by the number of images of the whole batch",
            ),
        ),
        "the sum over all images, divided by their number",
        (((1.0, 4.0), (2, 3)), ((0.5, -1.0, 2.0), (4, 4, 1)), ((3.0, 1.0), (8, 2))),
        difficulty=3,
        importance=5,
        minutes=10,
    ),
)
