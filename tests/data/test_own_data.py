"""Own images: what makes a split, and the one line for what does not."""

import itertools
import re

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from prunelab.data import load
from prunelab.data.tensors import as_split

X, Y = torch.rand(11, 3, 4, 4), torch.arange(11) % 3


class Samples(Dataset):
    """Samples as people's data sets give them."""

    def __init__(self, give, count=6):
        self.give, self.count = give, count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        if i >= self.count:
            raise IndexError
        return self.give(i)


def loader(give, size=4, **options):
    return DataLoader(Samples(give), batch_size=size, **options)


SOURCES = {
    "pair": lambda: (X, Y),
    "list": lambda: [X, Y],
    "loader": lambda: DataLoader(TensorDataset(X, Y), batch_size=4),
    "with paths": lambda: [(X[:4], Y[:4], ["a.png"] * 4), (X[4:], Y[4:], ["b.png"] * 7)],
    "with weights": lambda: DataLoader(TensorDataset(X, Y, torch.ones(11)), batch_size=4),
    "generator": lambda: ((X[i : i + 3], Y[i : i + 3]) for i in range(0, 11, 3)),
    "batches in the data set": lambda: DataLoader(
        Samples(lambda i: (X[i * 6 : i * 6 + 6], Y[i * 6 : i * 6 + 6]), 2), batch_size=None
    ),
    "with gradients": lambda: (X.clone().requires_grad_(), Y),
    "labels of another type": lambda: (X, Y.to(torch.uint8)),
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_of_the_same_images_gives_the_same_split(source):
    split = as_split(SOURCES[source]())
    assert torch.equal(split.images, X) and torch.equal(split.labels, Y)
    assert split.labels.dtype == torch.int64 and not split.images.requires_grad
    assert torch.equal(as_split(SOURCES[source](), images=5).images, X[:5])


def test_a_source_without_an_end_is_read_as_far_as_asked():
    assert len(as_split(((X, Y) for _ in itertools.count()), images=25)) == 25


def grey(i):
    return torch.rand(1, 4, 4 + i % 2), i


REFUSED = {
    "single samples": (
        loader(lambda i: (X[i], int(Y[i])), None),
        "it gives single samples: wrap it",
    ),
    "a data set": (TensorDataset(X, Y), "got TensorDataset: wrap it in a DataLoader"),
    "dicts": (loader(lambda i: {"image": X[i], "label": i}), "batches of kind dict with 'image', "),
    "a dict": ({"images": X, "labels": Y}, "got dict with 'images', 'labels'"),
    "no labels": (DataLoader(TensorDataset(X), batch_size=4), "batches of kind list of Tensor"),
    "images alone": (X, "got Tensor"),
    "images in a list": ([X], "it gives batches of kind Tensor"),
    "arrays": ((X.numpy(), Y.numpy()), "it gives batches of kind ndarray"),
    "words": (["cat.png", "dog.png"], "it gives batches of kind str"),
    "a path": ("photos", "got str"),
    "nothing": (None, "got NoneType"),
    "differing size": (
        loader(grey, 1),
        "of one shape; Sizes of tensors must match",
    ),
    "one-hot": ((X, torch.eye(3)[Y].long()), "(11, 3) torch."),
    "one-hot floats": ((X, torch.eye(3)[Y]), "(11, 3) torch."),
    "a column": ((X, Y[:, None]), "(11, 1) torch.int64"),
    "float labels": ((X, Y.float()), "(11,) torch.float32"),
    "fewer labels": ((X, Y[:5]), "got (11, 3, 4, 4) torch.float32 and (5,)"),
    "no axis": ((torch.tensor(1.0), torch.tensor(1)), "got () torch.float32 and ()"),
    "empty": ([], "has no images"),
    "no images": ((X[:0], Y[:0]), "has no images"),
    "an empty generator": ((b for b in ()), "has no images"),
    "whole numbers": ((X.long(), Y), "images must be floats or uint8 (N, C, H, W)"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_gives_no_images_with_labels_is_refused_in_one_line(kind):
    source, words = REFUSED[kind]
    words = re.escape(words).replace(r"\.\*", ".*").replace(r"\ ", " ")
    with pytest.raises((TypeError, ValueError), match=rf"^scan: [^\n]*{words}[^\n]*$"):
        as_split(source, caller="scan")


def test_an_error_of_the_data_sets_own_code_stays_what_it_is():
    def broken(i):
        raise RuntimeError("my own words")

    with pytest.raises(RuntimeError, match=r"^my own words"):
        as_split(loader(broken))


@pytest.mark.parametrize("images", [0, -1, 2.5, True, "x"])
def test_a_number_of_images_is_a_number(images):
    with pytest.raises(
        ValueError, match=r"^as_split: `images` must be an integer >= 1 or None, got"
    ):
        as_split((X, Y), images=images)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"name": None}, TypeError, "`name` must be a string; got None"),
        ({"name": 5}, TypeError, "`name` must be a string; got 5"),
        ({"name": "digits", "device": 5}, ValueError, "`device` must be one of cpu"),
        ({"name": "digits", "device": None}, ValueError, "`device` must be one of cpu"),
        ({"name": "mnist", "root": 5}, TypeError, "`root` must be a folder's path or None; got 5"),
        ({"name": "imagefolder:x", "root": 5}, TypeError, "`root` must be a folder's path"),
    ],
)
def test_load_refuses_what_names_no_data_set(arguments, error, words):
    with pytest.raises(error, match=rf"^load: {words}[^\n]*$"):
        load(**arguments)
