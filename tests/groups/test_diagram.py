"""Diagrams against facts known by hand, the modules of the network and its real forward pass."""

import json

import pytest
import torch
from helpers.diagrams import ALL, drawn, kinds, of, rows_of, traced
from torch import nn

from prunelab.groups.diagram import diagram, stages
from prunelab.models import build

LAYERS = (nn.Conv2d, nn.Linear)


@pytest.mark.parametrize("name", ALL)
def test_every_row_reads_rows_that_stand_before_it_and_names_are_unique(name):
    before = set()
    for row in rows_of(name):
        assert set(row["inputs"]) <= before
        assert len(set(row["inputs"])) == len(row["inputs"])
        assert row["name"] not in before
        assert bool(row["inputs"]) == (row["kind"] != "input")
        before.add(row["name"])


@pytest.mark.parametrize("name", ALL)
def test_every_convolution_and_linear_layer_has_a_row_with_the_shape_of_a_real_forward(name):
    net, x, _ = traced(name)
    seen = {}
    handles = [
        m.register_forward_hook(lambda m, i, out, n=n: seen.update({n: list(out.shape[1:])}))
        for n, m in net.named_modules()
        if isinstance(m, LAYERS)
    ]
    net.train(name == "googlenet")  # with its auxiliary classifiers
    with torch.no_grad():
        net(x.repeat(2, 1, 1, 1))
    for handle in handles:
        handle.remove()
    found = {r["name"]: r["out"] for r in rows_of(name) if r["kind"] in ("conv", "linear")}
    assert found == seen


@pytest.mark.parametrize("name", ALL)
def test_writers_and_readers_are_those_of_the_groups(name):
    net, _, groups = traced(name)
    layers = [row for row in rows_of(name) if row["kind"] in ("conv", "linear")]
    assert {g for row in layers for g in row["channels"]} == set(groups)
    for group in groups.values():
        carries = {row["name"] for row in layers if group.name in row["channels"]}
        depthwise = {n for n in carries if getattr(net.get_submodule(n), "groups", 1) > 1}
        assert carries - depthwise == set(group.producers)
        assert {r["name"] for r in layers if group.name in r["reads"]} == set(group.consumers)


@pytest.mark.parametrize("name", ALL)
def test_a_layer_writes_a_group_or_has_the_reason_why_not(name):
    net, _, groups = traced(name)
    for row in rows_of(name):
        if row["kind"] not in ("conv", "linear"):
            continue
        if row["writes"]:
            assert row["fixed"] is None
            assert row["writes"] in row["channels"]
            assert 0 < sum(row["channels"].values()) <= row["out"][0]
        elif getattr(net.get_submodule(row["name"]), "groups", 1) == 1:
            assert row["fixed"] == groups.fixed[row["name"]]


@pytest.mark.parametrize("name", ["lenet-5", "resnet-20", "googlenet"])
def test_rows_are_plain_data(name):
    assert json.loads(json.dumps(rows_of(name))) == rows_of(name)


def test_lenet_5_row_by_row():
    rows = rows_of("lenet-5")
    columns = ("name", "kind", "inputs", "writes", "reads", "out")
    assert [tuple(row[c] for c in columns) for row in rows] == [
        ("input", "input", [], None, [], [1, 28, 28]),
        ("conv1", "conv", ["input"], "conv1", [], [20, 24, 24]),
        ("conv2", "conv", ["conv1"], "conv2", ["conv1"], [50, 8, 8]),
        ("fc1", "linear", ["conv2"], "fc1", ["conv2"], [500]),
        ("fc2", "linear", ["fc1"], None, ["fc1"], [10]),
        ("output", "output", ["fc2"], None, [], [10]),
    ]
    assert rows[4]["fixed"] == "it is the network's output"
    assert rows[2]["channels"] == {"conv2": 50}


def test_resnet_20_adds_nine_times_to_one_stream():
    rows = rows_of("resnet-20")
    additions = [row for row in rows if row["kind"] == "add"]
    blocks = [f"layer{i}.{j}.conv2" for i in (1, 2, 3) for j in (0, 1, 2)]
    before = ["conv1", *(row["name"] for row in additions)]
    assert [set(row["inputs"]) for row in additions] == [
        {block, earlier} for block, earlier in zip(blocks, before)
    ]
    assert {row["writes"] for row in additions} == {"conv1"}
    assert kinds(rows).count("conv") == 19
    # the second stage is padded: half of its 32 channels belong to the stream, half are zeros
    assert of(rows, "layer2.0.conv2")["channels"] == {"conv1": 16}
    assert of(rows, "layer2.0.conv2")["out"] == [32, 16, 16]


def test_vgg_16_is_a_chain_of_13_convolutions_and_2_linear_layers():
    rows = rows_of("vgg-16")
    assert kinds(rows) == ["input", *["conv"] * 13, "linear", "linear", "output"]
    assert [row["inputs"] for row in rows[1:]] == [[row["name"]] for row in rows[:-1]]


def test_densenet_121_concatenates_each_layer_with_all_before_it():
    rows = rows_of("densenet121")
    joins = [row for row in rows if row["kind"] == "cat"]
    assert [len(row["inputs"]) for row in joins] == [
        n for layers in (6, 12, 24, 16) for n in range(2, layers + 2)
    ]
    first = "features.denseblock1.denselayer1.conv2"
    assert joins[0]["inputs"] == ["features.conv0", first]
    assert joins[0]["out"] == [64 + 32, 56, 56]
    assert of(rows, "features.denseblock1.denselayer1.conv1")["inputs"] == ["features.conv0"]
    assert {"features.conv0", first} <= set(of(rows, "features.transition1.conv")["reads"])
    assert {row["writes"] for row in joins} == {None}


def test_a_depthwise_convolution_carries_the_group_that_enters():
    rows = rows_of("mobilenet_v2")
    expand, depthwise = (of(rows, f"features.2.conv.{i}.0") for i in (0, 1))
    assert expand["writes"] == depthwise["writes"] == "features.2.conv.0.0"
    assert depthwise["channels"] == {"features.2.conv.0.0": 96}
    assert depthwise["reads"] == []


def test_squeeze_and_excitation_multiplies_two_rows_that_carry_one_group():
    rows = rows_of("efficientnet_b0")
    products = [row for row in rows if row["kind"] == "multiply"]
    assert len(products) == 16
    assert set(products[0]["inputs"]) == {"features.1.0.block.0.0", "features.1.0.block.1.fc2"}
    assert products[0]["writes"] == "features.0.0"


def test_googlenet_has_its_auxiliary_classifiers_with_outputs_of_their_own():
    rows = rows_of("googlenet")
    ends = [row["inputs"] for row in rows if row["kind"] == "output"]
    assert sorted(ends) == [["aux1.fc2"], ["aux2.fc2"], ["fc"]]
    assert len([row for row in rows if row["kind"] == "cat"]) == 9
    branches = ["branch1.conv", "branch2.1.conv", "branch3.1.conv", "branch4.1.conv"]
    assert [f"inception3a.{b}" for b in branches] in [row["inputs"] for row in rows]


def test_a_chunk_of_channels_and_a_shuffle_are_passed_through():
    rows = rows_of("shufflenet_v2_x1_0")
    first, second = [row for row in rows if row["kind"] == "cat"][:2]
    assert first["inputs"] == ["stage2.0.branch1.2", "stage2.0.branch2.5"]
    assert second["inputs"] == [first["name"], "stage2.1.branch2.5"]


def test_only_the_groups_given_are_shown():
    net, x, groups = traced("resnet-20")
    rows = diagram(net, x, groups.select(["layer1.0.conv1"]))
    assert {row["writes"] for row in rows} == {None, "layer1.0.conv1"}
    assert {name for row in rows for name in row["reads"]} == {"layer1.0.conv1"}


def test_the_network_is_untouched():
    net = build("resnet-20", 3, 1).train()
    net.bn1.eval()
    state = {k: v.clone() for k, v in net.state_dict().items()}
    drawn(net, 1, 8, 8)
    assert net.training
    assert not net.bn1.training
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())


def test_groups_of_another_network_are_refused():
    net, x, _ = traced("vgg-16")
    with pytest.raises(ValueError, match=r"diagram: `groups` .* \(VGG\) has no tensor `conv1.we"):
        diagram(net, x, traced("lenet-5")[2])


def test_an_example_that_does_not_fit_is_refused_in_one_line():
    net, _, groups = traced("lenet-5")
    with pytest.raises(ValueError, match=r"diagram: `example` of shape \(N, 1, 20, 20\)") as caught:
        diagram(net, torch.zeros(1, 1, 20, 20), groups)
    assert "`fc1`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_stages_are_the_map_sizes_of_the_first_writers():
    assert stages(rows_of("lenet-5")) == {"24x24": ["conv1"], "8x8": ["conv2"], "vector": ["fc1"]}
    found = stages(rows_of("resnet-20"))
    assert list(found) == ["32x32", "16x16", "8x8"]
    assert found["32x32"] == ["conv1", *(f"layer1.{i}.conv1" for i in range(3))]
    assert found["8x8"] == [f"layer3.{i}.conv1" for i in range(3)]
    sizes = {label: len(names) for label, names in stages(rows_of("vgg-16")).items()}
    assert sizes == {"32x32": 2, "16x16": 2, "8x8": 3, "4x4": 3, "2x2": 3, "vector": 1}


@pytest.mark.parametrize("name", ALL)
def test_every_group_is_in_one_stage(name):
    names = [name for names in stages(rows_of(name)).values() for name in names]
    assert sorted(names) == sorted(traced(name)[2])
