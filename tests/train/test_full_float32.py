"""float32 is float32: no product of a GPU is taken in TensorFloat-32, told by torch's settings."""

import pytest
import torch
from helpers.toy import PLAIN, dataset, network
from torch import nn

from prunelab import methods, sensitivity, train
from prunelab.study import ledger
from prunelab.study.recipes import Recipe
from prunelab.study.tasks import Baseline
from prunelab.train.as_found import full_float32

PARTS = torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn


def settings():
    return [part.fp32_precision for part in PARTS]


@pytest.fixture(params=["as torch starts", "tf32"])
def seen(request, monkeypatch):
    """The settings under which a convolution or a linear layer ran; what was set stands after."""
    started = settings()
    if request.param == "tf32":
        for part in PARTS:
            part.fp32_precision = "tf32"
    before, found = settings(), []
    for kind in (nn.Conv2d, nn.Linear):
        forward = kind.forward

        def watched(layer, x, forward=forward):
            found.append(settings())
            return forward(layer, x)

        monkeypatch.setattr(kind, "forward", watched)
    yield found
    after = settings()
    for part, value in zip(PARTS, started):
        part.fp32_precision = value
    assert found and all(one == ["ieee"] * 3 for one in found)
    assert after == before


def test_in_training_and_in_the_evaluations_of_a_training(seen):
    train.fit(network(), dataset(), PLAIN, progress=False)


def test_in_an_evaluation(seen):
    train.evaluate(network(), dataset().test)


def test_in_a_scan(seen):
    sensitivity.scan(network().eval(), dataset().val, ratios=[0.5], progress=False, cache=False)


@pytest.mark.parametrize("method", [methods.ThiNet(0.5, images=8), methods.Slimming(0.5, PLAIN)])
def test_in_what_a_method_computes(seen, method):
    method.prune(network(), dataset(), progress=False)


def test_in_all_that_a_recipe_measures(seen, tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNELAB_RUNS", str(tmp_path))
    budget = train.Budget(epochs=0.01, batch=32, precision="bfloat16")
    ledger.measure(Recipe("toy", "quick", "one", Baseline(), "lenet-5", "digits", budget), False)


def test_an_error_leaves_the_settings_as_they_were():
    before = settings()
    with pytest.raises(KeyError), full_float32():
        raise KeyError
    assert settings() == before
    assert isinstance(torch.backends.cudnn.allow_tf32, bool), "the older names can still be read"


def test_threads_that_overlap_leave_the_settings_as_they_were():
    before, first, second = settings(), full_float32(), full_float32()
    first.__enter__()
    second.__enter__()  # as a thread that begins while another one measures
    first.__exit__(None, None, None)
    assert settings() == ["ieee"] * 3, "the second still measures"
    second.__exit__(None, None, None)
    assert settings() == before
    assert isinstance(torch.backends.cudnn.allow_tf32, bool)
