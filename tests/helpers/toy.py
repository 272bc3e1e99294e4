"""A problem and networks small enough to train in milliseconds, for the tests of `train`."""

import torch
from torch import nn

from prunelab.data import Dataset, Split
from prunelab.train import Budget, fit

PLAIN = Budget(epochs=2, lr=0.1, batch=8, momentum=0, weight_decay=0)


def split(n, channels=1, size=8, classes=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (n,), generator=g)
    images = torch.randint(0, 60, (n, channels, size, size), generator=g, dtype=torch.uint8)
    images += (labels * 60).to(torch.uint8).view(-1, 1, 1, 1)  # brighter classes can be learned
    return Split(images, labels, (0.3,) * channels, (0.25,) * channels)


def dataset(n=45, **shape):
    parts = {"train": split(n, **shape), "val": split(10, seed=1, **shape)}
    first = parts["train"]
    test = split(12, seed=2, **shape)
    return Dataset(
        "toy", **parts, test=test, num_classes=3, mean=first.mean, std=first.std, checksum="toy-1"
    )


def network(channels=1, size=8, classes=3):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(4 * (size - 2) ** 2, classes),
    )


def linear():
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def quiet(net, data, budget, **options):
    return fit(net, data, budget, progress=False, **options)
