"""Real data where $PRUNELAB_DATA holds it, and what every error of `load` must look like."""

import functools
import os
from pathlib import Path

import pytest

from prunelab.data import load

REAL = {
    "mnist": "MNIST/raw/train-images-idx3-ubyte",
    "cifar10": "cifar-10-batches-py/data_batch_1",
    "imagenette2-224-subset": "imagenette2-224-subset/train",
}


def need(name):
    """Skip where $PRUNELAB_DATA does not hold `name`."""
    root = os.environ.get("PRUNELAB_DATA", "")
    if not root or not Path(root, REAL[name]).exists():
        pytest.skip(f"PRUNELAB_DATA has no {name}")
    return Path(root)


@functools.cache
def real(name):
    """The whole data set, or a skip; loaded once."""
    return load(name, root=need(name))


def fails(error, *words, **arguments):
    """`load` raises `error` in one line that holds every word."""
    with pytest.raises(error) as caught:
        load(**arguments)
    message = str(caught.value)
    assert message.startswith("load: ") and "\n" not in message
    assert [word for word in words if word not in message] == []


def some_photos(folder, kinds, train):
    """Links to real photographs of some kinds: so many each to train on, and one for the test."""
    source = need("imagenette2-224-subset") / "imagenette2-224-subset"
    for part, few in (("train", train), ("val", 1)):
        for kind in sorted((source / part).iterdir())[:kinds]:
            (folder / part / kind.name).mkdir(parents=True)
            for photo in sorted(kind.iterdir())[:few]:
                (folder / part / kind.name / photo.name).symlink_to(photo.resolve())
