"""What a layer reads, entry by entry, as a view of the groups."""

import pytest
from helpers.input_views import traced
from helpers.networks import Net, conv, pooled
from helpers.pruning import batch, ready
from torch import nn
from torch.nn import functional as F

from prunelab.groups import Group, Groups, Slice, trace
from prunelab.methods import FilterNorm


def test_what_a_layer_reads_is_a_group_of_one_slice():
    _, _, groups = traced("lenet-5")
    assert groups.reads == {"conv1": 1, "conv2": 20, "fc1": 800, "fc2": 500}
    for name, size in groups.reads.items():
        view = groups[f"{name}.inputs"]
        assert view == Group(f"{name}.inputs", size, (Slice(f"{name}.weight", 1, role="select"),))
        assert (view.producers, view.consumers) == ((), ())
        assert view.slices[0].layer == name


def test_a_flattened_map_is_read_position_by_position_whoever_wrote_it():
    _, _, groups = traced("poolings")
    (read,) = [s for s in groups["b"].slices if s.tensor == "last.weight"]
    assert (read.repeat, groups["b"].size) == (9, 4)
    assert groups["last.inputs"].size == 36


def test_the_views_are_not_among_the_groups():
    _, _, groups = traced("lenet-5")
    assert list(groups) == ["conv1", "conv2", "fc1"] and len(groups) == 3
    assert "fc1.inputs" not in groups and ".inputs" not in str(groups)


@pytest.mark.parametrize("name", ["fc9.inputs", "fc1.outputs", ".inputs", "fc1.inputs.inputs"])
def test_a_view_of_no_layer_is_refused_with_the_groups(name):
    _, _, groups = traced("lenet-5")
    with pytest.raises(ValueError, match=rf"^groups: no group `{name}`; groups are conv1, conv2"):
        groups[name]


def test_the_views_survive_json():
    _, _, groups = traced("resnet-20")
    again = Groups.from_json(groups.to_json())
    assert again.to_json() == groups.to_json()
    assert again.reads == groups.reads and len(groups.reads) == 20
    assert again["layer2.0.conv1.inputs"] == groups["layer2.0.conv1.inputs"]


def test_a_part_of_the_groups_has_all_the_views():
    _, _, groups = traced("resnet-20")
    for part in (groups.first_convolutions(), groups.select(["layer3.0.conv1"])):
        assert 0 < len(part) < len(groups) and part.reads == groups.reads
        assert part["fc.inputs"].size == 64


def test_a_view_is_no_group_that_a_method_could_select_by_name():
    net, x, groups = traced("lenet-5")
    with pytest.raises(ValueError, match=r"no group `fc1\.inputs`; groups are conv1, conv2, fc1"):
        groups.select(["conv1", "fc1.inputs"])
    with pytest.raises(ValueError, match=r"no group `fc1\.inputs`; groups are conv1, conv2, fc1"):
        FilterNorm({"fc1.inputs": 0.5}).prune(net, x)


def test_layers_of_which_no_single_entry_can_be_picked_are_not_offered():
    net = ready(
        Net(
            lambda s, x: s.last(F.relu(s.tied(s.own(pooled(s.grouped(s.depth(s.a(x)))))))),
            a=conv(3, 4),
            depth=conv(4, 4, groups=4),
            grouped=conv(4, 6, groups=2),
            own=nn.Linear(6, 6),
            tied=nn.Linear(6, 6),
            last=nn.Linear(6, 2),
            unused=nn.Linear(6, 6),
            line=nn.Conv1d(3, 3, 3),
        )
    )
    net.tied.weight = net.own.weight
    groups = trace(net, batch(3, 8, 8))
    assert groups.reads == {"a": 3, "last": 6}
    with pytest.raises(ValueError, match=r"no group `depth\.inputs`"):
        groups["depth.inputs"]


@pytest.mark.parametrize("layer", ["weight norm", "its weight in `forward`", "one dimension"])
def test_a_layer_that_does_not_read_by_itself_is_not_offered(layer):
    first, shape = nn.Linear(5, 6), (5,)
    net = Net(lambda s, x: s.last(F.relu(s.a(x))), a=first, last=nn.Linear(6, 2))
    if layer == "weight norm":
        nn.utils.parametrizations.weight_norm(first)
    elif layer == "one dimension":
        net.a, shape = nn.Conv1d(5, 6, 1), (5, 6)
    else:
        net._forward_function = lambda s, x: s.last(F.relu(F.linear(x, s.a.weight, s.a.bias)))
    assert trace(ready(net), batch(*shape)).reads == {"last": 6}
