"""What a layer reads, pruned entry by entry: the view of the groups, the index, its files."""

import pickle
from functools import cache

import onnxruntime
import pytest
import torch
from helpers.networks import Net, conv, pooled
from helpers.pruning import batch, difference, ready
from helpers.toy import dataset
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from prunelab import cost, surgery
from prunelab.groups import Group, Groups, Slice, trace
from prunelab.masks import Keep
from prunelab.methods import FilterNorm
from prunelab.models import build
from prunelab.surgery.selection import SelectingConv2d, SelectingLinear
from prunelab.train import Budget, fit


def poolings():
    """Max and average pooling, then 3 x 3 pixels a channel in a row."""
    return Net(
        lambda s, x: s.last(F.avg_pool2d(s.b(F.max_pool2d(F.relu(s.a(x)), 2)), 2).flatten(1)),
        a=conv(2, 5), b=conv(5, 4, bias=False), last=nn.Linear(36, 3),
    )  # fmt: skip


NETS = {
    "lenet-300-100": (lambda: build("lenet-300-100"), (1, 28, 28)),
    "lenet-5": (lambda: build("lenet-5"), (1, 28, 28)),
    "poolings": (poolings, (2, 12, 12)),
    "resnet-20": (lambda: build("resnet-20"), (3, 8, 8)),
    "preresnet-56": (lambda: build("preresnet-56"), (3, 8, 8)),
}


@cache
def traced(name):
    """A network, an input and its groups; nobody changes them."""
    maker, shape = NETS[name]
    net, x = ready(maker()), batch(*shape)
    return net, x, trace(net, x)


def bools(*values):
    return torch.tensor(values, dtype=torch.bool)


def drawn(size, share, generator):
    """A random set of about `share`, with at least one kept."""
    kept = torch.rand(size, generator=generator) < share
    kept[torch.randint(size, (1,), generator=generator)] = True
    return kept


def state(net):
    return {k: v.clone() for k, v in net.state_dict().items()}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# The view


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
            a=conv(3, 4), depth=conv(4, 4, groups=4), grouped=conv(4, 6, groups=2),
            own=nn.Linear(6, 6), tied=nn.Linear(6, 6), last=nn.Linear(6, 2),
            unused=nn.Linear(6, 6), line=nn.Conv1d(3, 3, 3),
        )
    )  # fmt: skip
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


# Shrinking


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(["lenet-300-100", "lenet-5", "poolings", "resnet-20"]),
    share=st.sampled_from([0.1, 0.5, 0.9]), part=st.sampled_from([0.3, 1.0]),
    seed=st.integers(0, 10_000),
)  # fmt: skip
def test_masked_equals_shrunk_where_groups_and_inputs_are_pruned_together(name, share, part, seed):
    net, x, groups = traced(name)
    g = torch.Generator().manual_seed(seed)
    names = [*groups, *(f"{layer}.inputs" for layer in groups.reads)]
    chosen = [n for n in names if torch.rand((), generator=g) < part]
    keep = {n: drawn(groups[n].size, share, g) for n in chosen}
    try:
        small = surgery.shrink(net, groups, keep)
    except ValueError as error:  # a group and a view may have nothing in common
        assert "nothing would be left of axis 1 of `" in str(error)
        assume(False)
    with torch.no_grad():
        expected = surgery.masked(net, groups, keep)(x)
        torch.testing.assert_close(small(x), expected, rtol=1e-9, atol=1e-11)
    left = {n: int(kept.sum()) for n, kept in keep.items()}
    for layer in groups.reads:
        read = small.get_submodule(layer).weight.shape[1]
        assert read <= left.get(f"{layer}.inputs", groups.reads[layer])


@pytest.mark.parametrize("name", ["resnet-20", "preresnet-56"])
def test_one_convolution_does_without_channels_of_a_stream_that_stays(name):
    net, x, groups = traced(name)
    g = torch.Generator().manual_seed(1)
    inner = [n for n in groups.reads if n.endswith(".conv1") and n.startswith("layer")]
    keep = {f"{n}.inputs": drawn(groups.reads[n], 0.5, g) for n in inner}
    small = surgery.shrink(net, groups, keep)
    for layer in inner:
        kept = keep[f"{layer}.inputs"]
        found, full = small.get_submodule(layer), net.get_submodule(layer)
        assert type(found) is SelectingConv2d
        assert torch.equal(found.index, kept.nonzero()[:, 0])
        assert torch.equal(found.weight, full.weight[:, kept])
        assert (found.in_channels, found.out_channels) == (int(kept.sum()), full.out_channels)
        assert small.get_submodule(layer.replace("conv1", "conv2")).weight.shape == (
            net.get_submodule(layer.replace("conv1", "conv2")).weight.shape
        )
    with torch.no_grad():
        assert difference(small(x), surgery.masked(net, groups, keep)(x)) < 1e-9
        assert difference(small(x), net(x)) > 1e-3


def test_an_index_counts_in_what_its_writers_still_write():
    net, _, groups = traced("poolings")
    picked = torch.ones(36, dtype=torch.bool)
    picked[[0, 1, 2, 10, 20, 27, 28]] = False  # channel 0: 0 to 8, 1: 9 to 17, 2: 18 to 26
    small = surgery.shrink(net, groups, {"b": bools(1, 0, 1, 1), "last.inputs": picked})
    arriving = [*range(9), *range(18, 36)]
    stay = [n for n in arriving if n not in (0, 1, 2, 20, 27, 28)]
    assert type(small.last) is SelectingLinear
    assert small.last.index.tolist() == [arriving.index(n) for n in stay]
    assert torch.equal(small.last.weight, net.last.weight[:, stay])
    assert small.b.out_channels == 3


@pytest.mark.parametrize(
    "picked", [bools(1, 1, 1, 1, 1), bools(1, 0, 1, 1, 0)], ids=["all", "what arrives"]
)
def test_a_layer_that_picks_all_that_arrives_gets_no_index(picked):
    net, _, groups = traced("poolings")
    keep = {"a": bools(1, 0, 1, 1, 0), "b.inputs": picked}
    small = surgery.shrink(net, groups, keep)
    assert type(small.b) is nn.Conv2d
    assert equal(state(small), state(surgery.shrink(net, groups, {"a": keep["a"]})))


def test_the_masked_network_has_zeros_where_nothing_is_picked():
    net, _, groups = traced("poolings")
    zero = surgery.masked(net, groups, {"b.inputs": bools(1, 0, 1, 1, 0)})
    assert torch.equal(zero.b.weight[:, [0, 2, 3]], net.b.weight[:, [0, 2, 3]])
    assert not zero.b.weight[:, [1, 4]].any()
    assert type(zero.b) is nn.Conv2d and torch.equal(zero.a.weight, net.a.weight)


def test_shrinking_inputs_leaves_the_network_as_it_was():
    net, _, groups = traced("lenet-5")
    before, kinds = state(net), [type(m) for m in net.modules()]
    keep = {"fc1.inputs": torch.arange(800) % 3 == 0, "conv2.inputs": torch.arange(20) < 7}
    small = surgery.shrink(net, groups, keep)
    with torch.no_grad():
        for p in small.parameters():
            p.zero_()
    assert equal(state(net), before)
    assert [type(m) for m in net.modules()] == kinds
    assert sorted(set(state(small)) - set(before)) == ["conv2.index", "fc1.index"]


def test_a_keep_that_together_would_empty_an_axis_is_refused_before_anything_is_done():
    net, _, groups = traced("poolings")
    only = {"b": bools(0, 1, 1, 1), "last.inputs": torch.arange(36) < 9}
    for act in (surgery.shrink, surgery.masked, surgery.masker):
        with pytest.raises(ValueError) as caught:
            act(net, groups, only)
        assert str(caught.value) == "shrink: nothing would be left of axis 1 of `last.weight`"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"last.inputs": torch.ones(35, dtype=torch.bool)}, "`last.inputs` must have 36 entries"),
        ({"last.inputs": torch.zeros(36, dtype=torch.bool)}, "all 36 channels of `last.inputs`"),
        ({"end.inputs": torch.ones(36, dtype=torch.bool)}, "no group `end.inputs`"),
    ],
)
def test_a_keep_of_inputs_that_does_not_fit_is_refused(change, words):
    net, _, groups = traced("poolings")
    with pytest.raises(ValueError, match=words):
        surgery.shrink(net, groups, change)


def test_a_layer_that_cannot_pick_is_refused_by_name():
    class Own(nn.Linear):
        pass

    net = ready(nn.Sequential(nn.Linear(4, 5), Own(5, 2)))
    with pytest.raises(ValueError, match=r"inputs of `1` cannot be picked: .* got Own$"):
        surgery.shrink(net, trace(net, batch(4)), {"1.inputs": bools(1, 0, 1, 1, 1)})


def test_shrinking_twice_composes_the_indices():
    net, x, groups = traced("lenet-5")
    first = {"fc1.inputs": torch.arange(800) % 3 != 0, "conv2.inputs": torch.arange(20) % 4 != 1}
    small = surgery.shrink(net, groups, first)
    again = trace(small, x)
    assert again.reads == {"conv1": 1, "conv2": 15, "fc1": 533, "fc2": 500}
    second = {"fc1.inputs": torch.arange(533) % 5 != 0, "conv2.inputs": torch.arange(15) < 8}
    twice = surgery.shrink(small, again, second)
    both = {}
    for name, kept in first.items():
        both[name] = kept.clone()
        both[name][kept] = second[name]
    once = surgery.shrink(net, groups, both)
    assert equal(state(twice), state(once))
    assert torch.equal(twice.fc1.index, both["fc1.inputs"].nonzero()[:, 0])
    with torch.no_grad():
        assert difference(twice(x), once(x)) < 1e-12
        assert difference(twice(x), surgery.masked(small, again, second)(x)) < 1e-9


def test_what_is_written_for_a_layer_that_picks_can_not_be_pruned_any_more():
    net, x, groups = traced("poolings")
    small = surgery.shrink(net, groups, {"b.inputs": bools(1, 0, 1, 1, 0)})
    again = trace(small, x)
    assert list(again) == ["b"] and "index_select" in again.fixed["a"]
    keep = {"b": bools(1, 0, 0, 1), "last.inputs": torch.arange(36) % 2 == 0}
    with torch.no_grad():
        smaller = surgery.shrink(small, again, keep)(x)
        assert difference(smaller, surgery.masked(small, again, keep)(x)) < 1e-9


@pytest.mark.parametrize("padding", ["zeros", "reflect", "circular"])
def test_a_convolution_that_picks_pads_and_strides_as_before(padding):
    layer = nn.Conv2d(5, 4, 3, stride=2, padding=1, dilation=2, padding_mode=padding)
    net = ready(
        Net(lambda s, x: s.last(pooled(s.b(s.a(x)))), a=conv(3, 5), b=layer, last=nn.Linear(4, 2))
    )
    x = batch(3, 9, 9)
    groups, keep = trace(net, x), {"b.inputs": bools(1, 0, 0, 1, 1)}
    with torch.no_grad():
        small = surgery.shrink(net, groups, keep)(x)
        assert difference(small, surgery.masked(net, groups, keep)(x)) < 1e-12


# What a network with an index is for the rest


def test_the_cost_counts_the_weights_that_are_left():
    net, x, groups = traced("lenet-5")
    a, b, c, d = 7, 11, 68, 35
    keep = {
        n: torch.arange(groups[n].size) < k for n, k in {"conv1": a, "conv2": b, "fc1": d}.items()
    }
    keep["fc1.inputs"] = torch.arange(800) < c
    found = cost.measure(surgery.shrink(net, groups, keep), x)
    assert found.weights == 25 * a + 25 * a * b + c * d + 10 * d
    assert found.params == found.weights + a + b + d + 10
    assert found.macs == 14_400 * a + 1600 * a * b + c * d + 10 * d
    assert found.activations == 576 * a + 64 * b + d + 10


def test_types_gradients_and_mode_are_kept_and_the_index_stays_whole_numbers():
    net = build("lenet-5").bfloat16().train()
    net.fc1.weight.requires_grad_(False)
    groups = trace(net, torch.zeros(1, 1, 28, 28, dtype=torch.bfloat16))
    small = surgery.shrink(net, groups, {"fc1.inputs": torch.arange(800) < 9}).double()
    assert small.fc1.index.dtype == torch.int64 and small.fc1.weight.dtype == torch.float64
    assert not small.fc1.weight.requires_grad and small.training
    again = pickle.loads(pickle.dumps(small))
    assert equal(state(again), state(small)) and type(again.fc1) is SelectingLinear


def test_a_network_with_an_index_trains_as_the_masked_one_under_its_mask():
    torch.manual_seed(2)
    net, data = poolings(), dataset(channels=2, size=12)
    groups = trace(net, data.example)
    keep = {"b.inputs": bools(1, 0, 1, 1, 0), "last.inputs": torch.arange(36) % 3 != 0}
    small, masked = surgery.shrink(net, groups, keep), surgery.masked(net, groups, keep)
    index = small.last.index.clone()
    options = {"budget": Budget(1, 0.05, 8), "seed": 1, "progress": False}
    fit(small, data, **options)
    fit(masked, data, after_step=surgery.masker(masked, groups, keep), **options)
    assert torch.equal(small.last.index, index)
    assert not torch.equal(small.last.weight, surgery.shrink(net, groups, keep).last.weight)
    left = surgery.shrink(masked, groups, keep)
    torch.testing.assert_close(small.state_dict(), left.state_dict(), rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", ["lenet-300-100", "poolings"])
def test_onnx_gives_the_outputs_of_a_network_with_an_index(name, tmp_path):
    net, x, groups = traced(name)
    g = torch.Generator().manual_seed(4)
    keep = {f"{n}.inputs": drawn(size, 0.6, g) for n, size in groups.reads.items()}
    small, x = surgery.shrink(net, groups, keep).float(), x.float()
    assert any(isinstance(m, SelectingLinear) for m in small.modules())
    surgery.export_onnx(small, x, tmp_path / "small.onnx")
    session = onnxruntime.InferenceSession(
        tmp_path / "small.onnx", providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        assert difference(torch.from_numpy(found), small(x)) < 1e-5


# Files


def with_indices():
    net, x, groups = traced("poolings")
    keep = Keep({"a": bools(1, 1, 1, 0, 1), "b.inputs": bools(1, 0, 1, 1, 0),
                 "last.inputs": torch.arange(36) % 5 != 0})  # fmt: skip
    return net, x, surgery.shrink(net, groups, keep), keep


def test_an_index_is_saved_and_loaded_bit_equal(tmp_path):
    net, x, small, keep = with_indices()
    before = state(net)
    surgery.save(small, keep, tmp_path / "small.safetensors")
    found = surgery.load(net, tmp_path / "small.safetensors")
    assert equal(state(found), state(small))
    assert {"b.index", "last.index"} <= set(load_file(tmp_path / "small.safetensors"))
    assert [type(m) for m in found.modules()] == [type(m) for m in small.modules()]
    assert torch.equal(found(x), small(x)) and equal(state(net), before)
    assert surgery.read(tmp_path / "small.safetensors")[1] == keep
    again = trace(found, x)
    second = {"last.inputs": torch.arange(again.reads["last"]) > 3}
    surgery.save(surgery.shrink(found, again, second), second, tmp_path / "twice.safetensors")
    assert torch.equal(
        surgery.load(net, tmp_path / "twice.safetensors").last.index, small.last.index[4:]
    )


def changed(small, keep, path, change):
    """A file as `save` writes it, with other tensors: name -> tensor, None = none."""
    tensors = {k: v for k, v in (surgery.tensors_of(small) | change).items() if v is not None}
    module = nn.Module()
    for name, tensor in tensors.items():
        *owners, last = name.split(".")
        here = module
        for owner in owners:
            if owner not in dict(here.named_children()):
                here.add_module(owner, nn.Module())
            here = here.get_submodule(owner)
        here.register_buffer(last, tensor.detach())
    surgery.save(module, keep, path)


ROW = torch.arange(3)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"nose.index": ROW}, "nose.index"),
        ({"nose.mouth.index": ROW}, "nose.mouth.index"),
        ({"index": ROW}, "index"),
        ({"index.index": ROW}, "index.index"),
        ({"a.index.index": ROW}, "a.index.index"),
        ({"last.index": ROW}, "last.index"),
        ({"last.index": torch.arange(28).double()}, "last.index"),
        ({"last.index": torch.arange(28)[None]}, "last.index"),
        ({"last.index": torch.arange(28) - 1}, "last.index"),
        ({"last.index": torch.arange(28) + 9}, "last.index"),
        ({"last.index": torch.arange(28) // 2}, "last.index"),
    ],
    ids="nose mouth alone nobody index length kind axes below above twice".split(),
)  # fmt: skip
def test_an_index_that_fits_no_layer_is_refused_in_one_line(change, named, tmp_path):
    net, _, small, keep = with_indices()
    path = tmp_path / "foreign.safetensors"
    changed(small, keep, path, change)
    with pytest.raises(ValueError) as caught:
        surgery.load(net, path)
    message = f"load: `{path}` does not hold a pruned Net: `{named}` differs"
    assert str(caught.value) == message


def test_an_index_of_a_layer_that_cannot_pick_is_refused_in_one_line(tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))
    changed(net, {}, tmp_path / "x.safetensors", {"1.index": ROW})
    with pytest.raises(ValueError, match=r"^load: .* a pruned Sequential: `1.index` differs$"):
        surgery.load(net, tmp_path / "x.safetensors")


def test_a_flipped_bit_of_an_index_is_found(tmp_path):
    net, _, small, keep = with_indices()
    path = tmp_path / "x.safetensors"
    surgery.save(small, keep, path)
    raw = path.read_bytes()
    where = raw.index(small.last.index.numpy().tobytes())
    path.write_bytes(raw[:where] + bytes([raw[where] ^ 1]) + raw[where + 1 :])
    with pytest.raises(ValueError, match="damaged: its checksum is wrong"):
        surgery.load(net, path)
