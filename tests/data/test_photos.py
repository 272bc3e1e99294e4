"""A folder too large for memory is read from disk, and nobody above can tell."""

import dataclasses

import pytest
import torch
from helpers.pictures import folder, picture
from helpers.real_data import need, some_photos
from helpers.toy import same
from torch import nn
from torchvision import transforms

from prunelab import data
from prunelab.data import Photos, load
from prunelab.study import ledger
from prunelab.study.papers.filter_norm import STUDY
from prunelab.train import Budget, evaluate, fit
from prunelab.train.batches import ResizedCropFlip

# Python 3.12 warns wherever DataLoader forks its workers beside threads.
pytestmark = pytest.mark.filterwarnings("default:.*multi-threaded.*fork:DeprecationWarning")

BUDGET = Budget(epochs=2, lr=0.01, batch=4, augment="resized-crop-flip")


@pytest.fixture
def photos(tmp_path):
    return folder(tmp_path)


@pytest.fixture
def both(photos, monkeypatch):
    """The same folder as tensors and from disk."""
    small = load(f"imagefolder:{photos}")
    monkeypatch.setattr("prunelab.data.imagefolder.IN_MEMORY", 13)
    large = load(f"imagefolder:{photos}")
    assert isinstance(large.train.images, Photos) and isinstance(small.train.images, torch.Tensor)
    return small, large


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.AvgPool2d(56), nn.Flatten(), nn.Linear(48, 2))


def pixels(split, size=5):
    return [torch.cat(part) for part in zip(*split.batches(size))]


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_photos_on_disk_give_the_batches_of_the_same_folder_in_memory(both, part):
    small, large = (getattr(dataset, part) for dataset in both)
    assert large.images.shape == small.images.shape
    for a, b in zip(pixels(small), pixels(large), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("index", [slice(2, 7), torch.tensor([9, 0, 3])], ids=["slice", "tensor"])
def test_part_of_the_photos_is_the_same_part(both, index):
    small, large = (dataset.train for dataset in both)
    assert torch.equal(large.batch(index)[0], small.batch(index)[0])
    assert torch.equal(pixels(large[index])[0], small[index].batch(slice(None))[0])
    assert torch.equal(large[index].labels, small[index].labels)


def test_photos_are_drawn_in_the_order_asked_for(both):
    order = torch.tensor([7, 1, 10, 1, 0])
    small, large = (list(dataset.train.draw(order, 2)) for dataset in both)
    assert [len(labels) for _, labels in large] == [2, 2, 1]
    for (x, y), (u, v) in zip(small, large, strict=True):
        assert torch.equal(x, u) and torch.equal(y, v)


def test_evaluation_of_photos_is_that_of_the_tensors(both):
    net = network()
    small, large = (evaluate(net, dataset.train) for dataset in both)
    assert torch.equal(small.correct, large.correct) and small.loss == large.loss


def test_reading_photos_leaves_the_callers_random_numbers_alone(both):
    before = torch.get_rng_state()
    pixels(both[1].train)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("seed", range(8))
def test_resized_crop_flip_is_torchvisions(photos, seed):
    image = transforms.functional.to_pil_image(torch.randint(0, 256, (3, 90, 150)).byte())
    usual = transforms.Compose(
        [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()]
    )
    torch.manual_seed(seed + 5)
    expected = usual(image)
    assert ResizedCropFlip(seed)(image, 5) == expected


def test_resized_crop_flip_of_a_tensor_keeps_its_size():
    image = torch.randint(0, 256, (3, 20, 24)).byte()
    found = [ResizedCropFlip(0)(image, i) for i in range(6)]
    assert {tuple(x.shape) for x in found} == {(3, 20, 24)}
    assert len({x.numpy().tobytes() for x in found}) == 6


def test_training_does_not_depend_on_the_number_of_worker_processes(both, monkeypatch):
    nets = [network(), network()]
    for net, workers in zip(nets, (1, 2)):
        monkeypatch.setattr("prunelab.data.photos._cores", lambda n=workers: n)
        fit(net, both[1], BUDGET, progress=False)
    assert same(*nets) and not same(nets[0], network())


def test_training_on_photos_stopped_and_resumed_ends_with_the_same_bits(both, tmp_path):
    whole, broken = network(), network()
    fit(whole, both[1], BUDGET, progress=False)

    class Stop(Exception):  # noqa: N818
        pass

    def stop(step):
        if step == 4:
            raise Stop

    path = tmp_path / "run.fit"
    with pytest.raises(Stop):
        fit(broken, both[1], BUDGET, progress=False, checkpoint=path, after_step=stop)
    fit(broken, both[1], BUDGET, progress=False, checkpoint=path)
    assert same(whole, broken)


@pytest.mark.parametrize("content", [b"text", None], ids=["no image", "truncated"])
def test_a_bad_photo_is_named_in_one_line_also_from_a_worker(both, photos, content):
    bad = photos / "train/dog/3.png"
    bad.write_bytes(bad.read_bytes()[:200] if content is None else content)
    with pytest.raises(ValueError, match=r"^load: cannot read the image '.*dog/3.png' \(.+\)$"):
        pixels(both[1].train)


def test_the_checksum_of_photos_follows_names_and_sizes(both, photos):
    before = both[1].checksum
    assert load(f"imagefolder:{photos}").checksum == before
    picture(photos / "val/dog/b.png", (225, 224))
    assert load(f"imagefolder:{photos}").checksum != before


def test_available_says_whether_load_would_find_it(photos, monkeypatch):
    monkeypatch.delenv("PRUNELAB_DATA", raising=False)
    monkeypatch.chdir(photos)
    assert data.available("digits")
    assert data.available(f"imagefolder:{photos}") and data.available("imagefolder:.")
    assert data.available(f"imagefolder:{photos.name}", root=photos.parent)
    assert not data.available("imagefolder:imagenet") and not data.available("cifar10")
    with pytest.raises(ValueError, match=r"^load: `name` must be one of digits, .*; got 'mnits'$"):
        data.available("mnits")


def test_real_photographs_are_the_same_from_disk_and_in_memory(monkeypatch):
    name = f"imagefolder:{need('imagenette2-224-subset') / 'imagenette2-224-subset'}"
    small = load(name)
    monkeypatch.setattr("prunelab.data.imagefolder.IN_MEMORY", 1000)
    large = load(name)
    for a, b in zip(pixels(small.test, 111), pixels(large.test, 111), strict=True):
        assert torch.equal(a, b)


PLAIN_NET = pytest.param("resnet-34", marks=pytest.mark.slow)  # the others train it first


@pytest.mark.parametrize("label", [PLAIN_NET, "ResNet-34-pruned-B", "ResNet-34-pruned-C"])
def test_the_recipes_of_imagenet_run_on_a_folder_of_real_photographs(label, tmp_path, monkeypatch):
    some_photos(tmp_path / "imagenet", kinds=4, train=2)
    monkeypatch.setattr("prunelab.data.imagefolder.IN_MEMORY", 5)
    monkeypatch.setenv("PRUNELAB_DATA", str(tmp_path))
    monkeypatch.setenv("PRUNELAB_RUNS", str(tmp_path / "runs"))
    (recipe,) = (r for r in STUDY.recipes("paper", (0,))["imagenet"] if r.label == label)
    task = recipe.task
    if label != "resnet-34":
        task = dataclasses.replace(task, retrain=task.retrain.scaled(1 / 20))
    budget = dataclasses.replace(recipe.budget, epochs=1, batch=4)
    row = ledger.measure(dataclasses.replace(recipe, task=task, budget=budget), progress=False)
    printed = {"resnet-34": 3.64e9, "ResNet-34-pruned-B": 2.76e9, "ResNet-34-pruned-C": 3.37e9}
    assert row["values"]["macs_without_shortcuts"] == pytest.approx(printed[label], rel=0.002)
    assert row["values"]["accuracy"] in {0, 0.25, 0.5, 0.75, 1}
    assert row["values"]["history"][-1]["epoch"] == 1
