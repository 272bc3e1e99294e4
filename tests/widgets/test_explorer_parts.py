"""The explorer's parts that need no widget: presets, words, the thread that answers."""

import threading
import time

import pytest
import torch

from prunelab import models
from prunelab.groups import trace
from prunelab.groups.diagram import diagram
from prunelab.study.papers.filter_norm import SMALL, TABLE_1
from prunelab.widgets import words
from prunelab.widgets.exploring.presets import pfec
from prunelab.widgets.exploring.worker import Newest
from prunelab.widgets.source import Answer


def rows_and_groups(name, channels=3, size=32):
    net, example = models.build(name, 10, channels), torch.zeros(1, channels, size, size)
    groups = trace(net, example)
    return groups, diagram(net, example, groups)


def test_the_rule_gives_the_papers_a_on_vgg_16_and_no_b():
    assert pfec(*rows_and_groups("vgg-16")) == {"PFEC A": TABLE_1["VGG-16-pruned-A"][1].ratios}


def test_the_rule_gives_the_a_and_b_of_the_study_on_resnet_20():
    expected = {"PFEC A": SMALL["resnet-20 A"][1].ratios, "PFEC B": SMALL["resnet-20 B"][1].ratios}
    assert pfec(*rows_and_groups("resnet-20")) == expected


def test_on_resnet_56_the_rule_differs_from_the_paper_in_the_layers_it_names():
    found = pfec(*rows_and_groups("resnet-56"))
    a, b = TABLE_1["ResNet-56-pruned-A"][1].ratios, TABLE_1["ResNet-56-pruned-B"][1].ratios
    assert found["PFEC A"] == a | {"layer1.7.conv1": 0.1}  # layer 16
    assert found["PFEC B"] == b | {
        "layer1.7.conv1": 0.6, "layer1.8.conv1": 0.6, "layer2.7.conv1": 0.3,
    }  # layers 16, 18, 34 # fmt: skip


def test_later_stages_of_b_lose_10_percent_and_linear_networks_have_no_presets():
    found = pfec(*rows_and_groups("resnet-34", size=64))
    assert {found["PFEC B"].get(f"layer{s}.1.conv1") for s in (3, 4)} == {0.1}
    assert "layer4.2.conv1" not in found["PFEC A"]  # the very last block
    assert pfec(*rows_and_groups("lenet-300-100", 1, 28)) == {}


@pytest.mark.parametrize(
    ("number", "text"),
    [(7, "7.00"), (1000, "1.00 k"), (45_678, "45.68 k"), (431_080, "431.08 k"),
     (2_293_000, "2.29 M"), (3.6e9, "3.60 G")],
)  # fmt: skip
def test_counts_are_short_and_have_a_suffix(number, text):
    assert words.short(number) == text


def test_times_and_changes_have_their_units_and_signs():
    assert [words.time(t) for t in (0.0001234, 0.0123, 2.5)] == ["123.40 µs", "12.30 ms", "2.50 s"]
    assert [words.points(c) for c in (-0.0123, 0.0, 0.2)] == ["−1.2", "+0.0", "+20.0"]


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (-0.9, -0.4, "0 to 50%"),
        (-0.3049, -0.2951, "59.5 to 60.5%"),  # narrow, and still no single number
        (-0.3501, -0.2499, "54 to 66%"),  # rounded outwards
        (-0.0004, 0.1, "89 to 100%"),
    ],
)
def test_a_prediction_is_shown_as_a_range_rounded_outwards(low, high, text):
    answer = Answer(0.6, low, high, 0.9, 10, 10, 100, 1000, None, "predicted")
    said = words.answer(answer, (100, 1000), {"params": 200, "macs": 2000})
    assert text in said and "95% interval" not in said
    assert words.brief(answer) == text
    assert "most likely ≈ 60.0%" in said and "how far off" in said


def test_while_images_are_still_coming_it_says_how_many_were_seen():
    answer = Answer(0.8, -0.2, 0.0, 0.9, 500, 2000, 100, 1000, None, "measured", 2)
    said = words.answer(answer, (100, 1000), {"params": 200, "macs": 2000})
    assert "500 of 2,000 images so far" in said
    assert "network after 2 epochs of fine-tuning; 500 of 2,000" in said


def test_of_many_requests_the_newest_wins_and_the_others_stop():
    newest, started, log = Newest(), threading.Event(), []

    def first(stop):
        started.set()
        while not stop():
            time.sleep(0.001)
        log.append("stopped")

    newest.submit(first)
    assert started.wait(5)
    assert not newest.wait(0.01)
    newest.submit(lambda stop: log.append("skipped"))
    newest.submit(lambda stop: log.append(stop()))
    assert newest.wait(5)
    assert log in (["stopped", False], ["stopped", "skipped", False])
    assert log[-1] is False
    gate = threading.Event()
    newest.submit(lambda stop: gate.wait(5))
    newest.submit(lambda stop: log.append("dropped"))
    newest.cancel()
    gate.set()
    assert newest.wait(5) and "dropped" not in log
