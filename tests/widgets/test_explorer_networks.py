"""The explorer on networks as people have them: wrapped, in other types, with other outputs."""

import pytest
import torch
from helpers.toy import split
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, TensorDataset

from prunelab import widgets

DATA = split(60, seed=7)
RATIOS = {"a": 0.5}


class Net(nn.Module):
    """A convolution, the commonest flattening, a linear layer; `end` makes the output."""

    def __init__(self, end=lambda logits: logits):
        super().__init__()
        torch.manual_seed(3)
        self.a, self.b, self.end = nn.Conv2d(1, 6, 3), nn.Linear(216, 3), end

    def forward(self, x):
        x = self.a(x).relu()
        return self.end(self.b(x.view(x.size(0), -1)))


def in_a_dict(logits):
    return {"logits": logits, "other": logits.sum()}


def in_a_tuple(logits):
    return logits.sum(), logits


def answered(net, data=DATA, scan=False, **options):
    """What the explorer says of the pruned network, after a scan if one is wanted."""
    box = widgets.explorer(net, data, ratios=RATIOS, train=data, **options).wait(120)
    try:
        if scan:
            box.scan.button.click()
            box.wait(120)
            assert list(box.source.curves["group"].unique()) == ["a"]
        box.finetune.button.click()
        box.wait(120)
        assert box.answer and box.answer.epochs == 1, box.text.value
        return box.source.known({}) or box.answer.whole
    finally:
        box.close()


@pytest.fixture(scope="module")
def expected():
    return answered(Net())


@pytest.mark.parametrize("wrap", [nn.DataParallel, AveragedModel], ids=lambda w: w.__name__)
def test_a_wrapped_network_is_the_network_in_it(wrap, expected):
    assert answered(wrap(Net())) == expected


def test_a_loader_and_a_pair_are_images_too(expected):
    pair = DATA.batch(slice(0, len(DATA)))
    assert answered(Net(), pair) == expected
    assert answered(Net(), DataLoader(TensorDataset(*pair), 16)) == expected


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_a_network_in_another_type_answers(dtype, expected):
    assert answered(Net().to(dtype), scan=True) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(("end", "entry"), [(in_a_dict, "logits"), (in_a_tuple, 1)])
def test_logits_inside_another_output_are_found_by_their_entry(end, entry, expected):
    assert answered(Net(end), logits=entry, scan=True) == expected
    with pytest.raises((TypeError, ValueError), match="logits"):
        answered(Net(end))


def test_the_commonest_flattening_is_scanned(expected):
    assert answered(Net(), scan=True) == expected


@pytest.mark.parametrize("entry", [True, 2.5, [], ("a",)])
def test_an_entry_that_is_none_is_refused(entry):
    with pytest.raises(ValueError, match=r"^explorer: `logits` must be a key, a position"):
        widgets.explorer(Net(), DATA, logits=entry)
