"""The images and options that the explorer takes, and those that it refuses."""

import pytest
import torch
from helpers.toy import split
from helpers.widget_text import text_of
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from prunelab import scores, train, widgets
from prunelab.data.tensors import as_split
from prunelab.groups import trace
from prunelab.widgets.exploring.live import Live

IMAGES, LABELS = torch.zeros(4, 1, 8, 8), torch.zeros(4).long()


def never():
    return False


def test_datasets_splits_loaders_and_tensors_of_the_same_images_answer_alike(net, data):
    x, y = data.val.batch(slice(None))
    loader = DataLoader(TensorDataset(x, y), batch_size=7)
    found = set()
    for images in (data, data.val, loader, (x, y), [x.double(), y.int()]):
        *_, answer = Live(net, images).answers({"0": 0.5}, never)
        found.add((answer.accuracy, answer.whole, answer.low, answer.total))
    assert len(found) == 1


def test_bytes_become_pixels_over_255():
    images = split(20)
    own = as_split((images.images, images.labels))
    x, y = own.batch(slice(3, 9))
    torch.testing.assert_close(x, images.images[3:9] / 255)
    assert torch.equal(y, images.labels[3:9])


def test_floats_stay_as_they_are_in_batches_and_when_trained_on(net):
    x, y = torch.randn(30, 1, 8, 8), torch.arange(30) % 3
    own = as_split((x, y))
    assert torch.equal(torch.cat([images for images, _ in own.batches(7)]), x)
    assert torch.equal(own.to("cpu")[5:7].images, x[5:7])
    box = widgets.explorer(net, (x, y), train=(x, y))
    box.wait(60).finetune.button.click()
    assert "Fine-tuned for 1 epoch" in text_of(box.wait(60).finetune.note)
    box.close()


def test_vectors_answer_too():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    x, y = torch.randn(30, 5), torch.arange(30) % 3
    *_, answer = Live(net, (x, y)).answers({"0": 0.5}, never)
    assert answer.params == 4 * 5 + 4 + 3 * 4 + 3


def test_the_split_and_the_number_of_images_can_be_chosen(net, data):
    *_, answer = Live(net, data, split="test").answers({}, never)
    assert (answer.total, answer.accuracy) == (12, train.evaluate(net, data.test).accuracy)
    *_, answer = Live(net, data, images=20).answers({}, never)
    assert (answer.total, answer.accuracy) == (20, train.evaluate(net, data.val[:20]).accuracy)
    read = []
    loader = (read.append(1) or (torch.randn(8, 1, 8, 8), torch.zeros(8).long()) for _ in range(9))
    assert len(as_split(loader, images=12)) == 12
    assert len(read) == 2  # no more than are needed


def test_the_criterion_ranks_and_the_code_says_which(net, data):
    order = {g: torch.arange(v.size).float() for g, v in trace(net, data.example).items()}
    by_scores, by_name = Live(net, data, criterion=order), Live(net, data, criterion="largest")
    assert by_scores.network({"0": 0.5})[1]["0"].tolist() == [False] * 4 + [True] * 4
    assert by_name.network({"0": 0.5})[1]["0"].tolist() == (
        scores.best(-scores.norms(net, by_name.groups)["0"], 4).tolist()
    )
    assert (by_scores.criterion, by_name.criterion) == (None, "largest")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"net": "lenet-5"}, TypeError, "`net` must be a network; got 'lenet-5'"),
        ({"data": 3}, TypeError, "`data` must be a Dataset, a Split, .*; got int"),
        ({"data": "mnist"}, TypeError, "`data` must be a Dataset.*; got str"),
        ({"data": [1, 2, 3]}, TypeError, "it gives batches of kind int"),
        ({"data": []}, ValueError, "`data` has no images"),
        ({"data": split(0)}, ValueError, "`data` has no images"),
        ({"split": "train"}, ValueError, "`split` must be one of val, test; got 'train'"),
        ({"images": 0}, ValueError, "`images` must be an integer >= 1 or None, got 0"),
        ({"images": 2.5}, ValueError, "`images` must be .* got 2.5"),
        ({"data": (IMAGES, torch.zeros(3).long())}, ValueError, "must hold images"),
        ({"data": (IMAGES, torch.zeros(4))}, ValueError, "integer labels"),
        ({"data": (torch.zeros(4, 8).byte(), LABELS)}, ValueError, "floats or uint8"),
        ({"data": (torch.zeros(4, 2, 8, 8), LABELS)}, ValueError, "does not fit"),
        ({"net": nn.Linear(64, 3), "data": (torch.zeros(4, 64), LABELS)},
         ValueError, "`net` has no group to prune"),
        ({"criterion": "l3"}, ValueError, "`criterion` must be one of l1"),
        ({"ratios": {"nine": 0.5}}, ValueError, "no group `nine`; groups are 0, 3, 7"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused_in_one_line(net, data, change, error, message):
    arguments = {"net": net, "data": data} | change
    with pytest.raises(error, match=message) as caught:
        widgets.explorer(**arguments)
    assert "\n" not in str(caught.value)
