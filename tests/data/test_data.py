import pickle
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.real_data import fails, need, real
from torchvision import datasets

from prunelab.data import STATISTICS, Split, digits, load


@pytest.fixture
def split():
    images = torch.randint(0, 256, (10, 3, 4, 5), dtype=torch.uint8)
    return Split(images, torch.arange(10), (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))


def normalised(split):
    mean, std = (
        torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (split.mean, split.std)
    )
    return (split.images.double() / 255 - mean) / std


@pytest.mark.parametrize("index", [slice(2, 7), torch.tensor([9, 0, 3])], ids=["slice", "tensor"])
def test_a_batch_is_pixel_over_255_minus_mean_over_std(split, index):
    x, y = split.batch(index)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x.double(), normalised(split)[index], atol=1e-6, rtol=0)
    assert torch.equal(y, split.labels[index])


def test_a_batch_leaves_the_images_alone(split):
    before = split.images.clone()
    split.batch(slice(0, 5))
    assert torch.equal(split.images, before)


def test_a_slice_of_a_split_is_a_split_on_the_same_memory(split):
    part = split[2:6]
    assert isinstance(part, Split) and len(part) == 4
    assert part.images.data_ptr() == split.images[2].data_ptr()
    assert torch.equal(part.batch(slice(0, 4))[0], split.batch(slice(2, 6))[0])


def test_a_tensor_of_indices_or_a_mask_picks_a_split(split):
    assert split[torch.tensor([4, 1])].labels.tolist() == [4, 1]
    assert split[split.labels > 7].labels.tolist() == [8, 9]


def test_batches_go_once_through_the_split_in_order(split):
    batches = list(split.batches(4))
    assert [len(y) for _, y in batches] == [4, 4, 2]
    assert torch.equal(torch.cat([y for _, y in batches]), split.labels)
    assert torch.equal(torch.cat([x for x, _ in batches]), split.batch(slice(None))[0])


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "x", None])
def test_batches_of_no_images_are_refused_at_once(split, size):
    with pytest.raises(ValueError, match="`size` must be an integer >= 1, got "):
        split.batches(size)


@pytest.mark.parametrize(
    ("index", "error"),
    [
        (3, TypeError),
        ("x", TypeError),
        (slice("x"), TypeError),
        (slice(None, None, 0), ValueError),
        (slice(None, None, -1), ValueError),
        (torch.tensor([0, 10]), ValueError),
        (torch.tensor([-11]), ValueError),
        (torch.tensor([0.5]), TypeError),
        (torch.ones(9, dtype=torch.bool), ValueError),
        (torch.ones(2, 2, dtype=torch.int64), TypeError),
    ],
)
def test_an_index_that_picks_nothing_of_the_split_is_refused_in_one_line(split, index, error):
    with pytest.raises(error, match=r"^Split: [^\n]+$"):
        split[index]


def test_a_slice_beyond_the_end_stops_there(split):
    assert len(split[5:99]) == 5 and len(split[:0]) == 0 and len(split[99:]) == 0


def test_as_many_images_as_labels_make_a_split(split):
    with pytest.raises(ValueError, match=r"must be equally many; got 10 and 4$"):
        Split(split.images, split.labels[:4], split.mean, split.std)


def test_to_moves_images_and_labels(split):
    moved = split.to("meta")
    assert (moved.device.type, moved.labels.device.type) == ("meta", "meta")
    assert split.device.type == "cpu"


def test_digits_are_the_same_on_every_call_and_machine():
    one, two = load("digits"), load("digits")
    assert torch.equal(one.train.images, two.train.images)
    # The bytes behind every committed digits row. If this changes, those rows do not compare.
    assert one.checksum == two.checksum == "b6f5bd72684585e4"


def test_digits_splits_are_scikit_learns_scans_each_once():
    bunch = pytest.importorskip("sklearn.datasets").load_digits()
    data = load("digits")
    parts = (data.train, data.val, data.test)
    assert [len(part) for part in parts] == [1257, 180, 360]

    def rows(images, labels):
        return sorted(zip(map(bytes, images.reshape(len(labels), -1).numpy()), labels.tolist()))

    together = rows(torch.cat([p.images for p in parts]), torch.cat([p.labels for p in parts]))
    assert together == rows(digits.upscale(bunch.images), torch.as_tensor(bunch.target))


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_digits_splits_are_stratified(part):
    data = load("digits")
    whole = sum(torch.bincount(s.labels) for s in (data.train, data.val, data.test))
    labels = getattr(data, part).labels
    share = whole * len(labels) / whole.sum()
    assert ((torch.bincount(labels) - share).abs() < 1.5).all()  # train is what two cuts leave


def test_upscaling_is_bilinear_to_the_nearest_grey_level():
    scans = torch.randint(0, 17, (20, 8, 8)).double()
    expected = F.interpolate(scans[:, None] * 255 / 16, size=28, mode="bilinear")
    found = digits.upscale(scans.numpy())
    assert found.dtype == torch.uint8
    assert (found.double() - expected).abs().max() <= 0.5 + 1e-9


def test_the_example_is_the_first_training_image():
    data = load("digits")
    assert data.example.shape == (1, 1, 28, 28)
    assert torch.equal(data.example, data.train.batch(torch.tensor([0]))[0])
    assert data.to("meta").example.device.type == "meta"


@pytest.mark.parametrize("name", ["digits", "mnist", "cifar10"])
def test_the_normalising_constants_follow_from_the_training_images(name):
    data = load("digits") if name == "digits" else real(name)
    images = data.train.images
    if name != "digits":
        images = torch.cat([images, data.val.images])
    # From counts of the 256 grey levels: exact, and no float copy of the images.
    levels = torch.arange(256, dtype=torch.float64) / 255
    for channel, (mean, std) in enumerate(zip(*STATISTICS[name])):
        share = torch.bincount(images[:, channel].flatten(), minlength=256).double()
        share /= share.sum()
        found = (share * levels).sum()
        assert abs(found - mean) < 5.1e-5
        assert abs((share * (levels - found) ** 2).sum().sqrt() - std) < 5.1e-5


def test_mnist_is_what_torchvision_reads():
    root, data = need("mnist"), real("mnist")
    assert (len(data.train), len(data.val), len(data.test)) == (55_000, 5_000, 10_000)
    official = datasets.MNIST(root, train=False)
    assert torch.equal(data.test.images[:, 0], official.data)
    assert torch.equal(data.test.labels, official.targets)


def test_without_a_validation_cut_mnist_trains_on_the_official_images_in_their_order():
    root, cut = need("mnist"), real("mnist")
    whole, official = load("mnist+val", root=root), datasets.MNIST(root, train=True)
    assert torch.equal(whole.train.images[:, 0], official.data)
    assert torch.equal(whole.train.labels, official.targets)
    assert len(whole.val) == 0 and torch.equal(whole.test.images, cut.test.images)
    for field in ("num_classes", "mean", "std", "checksum"):
        assert getattr(whole, field) == getattr(cut, field)


def test_with_unit_pixels_only_the_normalisation_differs():
    root, cut = need("mnist"), real("mnist")
    plain = load("mnist+unit", root=root)
    x, y = plain.test.batch(slice(0, 9))
    torch.testing.assert_close(x, cut.test.images[:9] / 255)
    assert torch.equal(y, cut.test.labels[:9])
    assert plain.train.images.equal(cut.train.images) and len(plain.val) == 5_000
    whole = load("mnist+val+unit", root=root)
    assert (len(whole.train), len(whole.val)) == (60_000, 0)
    identities = [one.identity for one in (cut, plain, whole, load("mnist+val", root=root))]
    assert all(one not in identities[:k] for k, one in enumerate(identities))


def test_mnist_loads_within_a_second_of_processor_time():
    root = need("mnist")

    def seconds():
        start = time.process_time()
        load("mnist", root=root)
        return time.process_time() - start

    assert min(seconds() for _ in range(3)) < 1


def test_cifar_is_what_torchvision_reads():
    root, data = need("cifar10"), real("cifar10")
    assert (len(data.train), len(data.val), len(data.test)) == (45_000, 5_000, 10_000)
    with (root / "cifar-10-batches-py/test_batch").open("rb") as file:
        raw = pickle.load(file, encoding="latin1")
    assert np.array_equal(data.test.images.flatten(1).numpy(), raw["data"])
    assert data.test.labels.tolist() == raw["labels"]


def test_an_unknown_name_lists_the_known_ones():
    known = ("digits", "fashion_mnist", "cifar10", "imagefolder:<path>", "+val+unit")
    fails(ValueError, "'mnits'", *known, name="mnits")
    fails(ValueError, "'digits+val'", *known, name="digits+val")
    fails(ValueError, "'mnist+unit+val'", *known, name="mnist+unit+val")


@pytest.mark.parametrize("device", ["cuda:99", "tpu"])
def test_a_device_that_is_not_here_lists_those_that_are(device):
    fails(ValueError, f"'{device}'", "cpu", name="digits", device=device)
