import json
import pickle

import pytest
import torch
from helpers.pruning import batch, outputs, random_keep, ready
from safetensors.torch import save_file
from torch import nn

from prunelab import surgery
from prunelab.groups import trace
from prunelab.masks import Keep
from prunelab.models import build


def pruned(name="lenet-5", shape=(1, 28, 28)):
    net = ready(build(name))
    groups = trace(net, batch(*shape))
    keep = Keep(random_keep(groups))
    return net, groups, keep, batch(*shape)


def state(net):
    return {k: v.clone() for k, v in net.state_dict().items()}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("lenet-300-100", (1, 28, 28)),
        ("lenet-5", (1, 28, 28)),
        ("vgg-16", (3, 32, 32)),
        ("resnet-56", (3, 32, 32)),
        ("preresnet-56", (3, 32, 32)),
    ],
)
def test_shrunk_equals_masked_on_the_papers_networks(name, shape):
    net, groups, keep, x = pruned(name, shape)
    full, masked, small = outputs(net, groups, keep, x)
    torch.testing.assert_close(small, masked, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(small, full)


def test_shrink_leaves_the_network_as_it_was():
    net, groups, keep, _ = pruned()
    before = state(net)
    small = surgery.shrink(net, groups, keep)
    with torch.no_grad():
        for p in small.parameters():
            p.zero_()
    assert equal(state(net), before)


def test_groups_without_an_entry_stay_whole():
    net, groups, keep, _ = pruned()
    small = surgery.shrink(net, groups, {"conv2": keep["conv2"]})
    assert (small.conv1.out_channels, small.fc1.out_features) == (20, 500)
    assert small.conv2.out_channels == int(keep["conv2"].sum())
    assert equal(state(surgery.shrink(net, groups, {})), state(net))


def test_channels_keep_their_order():
    net, groups, keep, _ = pruned()
    small = surgery.shrink(net, groups, keep)
    assert torch.equal(small.conv1.weight, net.conv1.weight[keep["conv1"]])
    assert torch.equal(small.fc2.weight, net.fc2.weight[:, keep["fc1"]])


def test_shared_tensors_stay_shared():
    net = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2))
    net[2].weight = net[1].weight
    net = ready(net)
    groups = trace(net, batch(4))
    keep = {"0": torch.tensor([1, 0, 1, 1, 0, 1], dtype=torch.bool)}
    small = surgery.shrink(net, groups, keep)
    assert small[2].weight is small[1].weight
    assert small[1].weight.shape == (4, 4)


def test_type_device_gradients_and_mode_are_kept():
    net = build("resnet-20").bfloat16().train()
    net.conv1.weight.requires_grad_(False)
    groups = trace(net, torch.zeros(1, 3, 32, 32, dtype=torch.bfloat16))
    small = surgery.shrink(net, groups, random_keep(groups))
    assert {p.dtype for p in small.parameters()} == {torch.bfloat16}
    assert not small.conv1.weight.requires_grad
    assert small.training


def test_a_shrunk_network_can_be_traced_and_shrunk_again():
    net, groups, keep, x = pruned("resnet-20", (3, 32, 32))
    small = surgery.shrink(net, groups, keep)
    again = trace(small, x)
    assert {n: g.size for n, g in again.items()} == {n: int(k.sum()) for n, k in keep.items()}


def test_masker_zeroes_again_after_each_step():
    net, groups, keep, _ = pruned()
    zero = surgery.masker(net, groups, keep)
    with torch.no_grad():
        net.conv1.weight.fill_(1.0)
    zero(7)
    assert torch.equal(net.conv1.weight.flatten(1).any(1), keep["conv1"])
    assert torch.equal(net.conv2.weight.transpose(0, 1).flatten(1).any(1), keep["conv1"])


@pytest.mark.parametrize("act", [surgery.shrink, surgery.masked, surgery.masker])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"conv1": torch.ones(19, dtype=torch.bool)}, "must have 20 entries"),
        ({"conv1": torch.zeros(20, dtype=torch.bool)}, "all 20 channels of `conv1`"),
        ({"conv7": torch.ones(20, dtype=torch.bool)}, "no group `conv7`"),
        ({"fc2": torch.ones(10, dtype=torch.bool)}, "`fc2` cannot be pruned"),
    ],
)
def test_a_keep_that_does_not_fit_is_refused(act, change, words):
    net, groups, _, _ = pruned()
    before = state(net)
    with pytest.raises(ValueError, match=words):
        act(net, groups, change)
    assert equal(state(net), before)


def test_groups_of_another_network_are_refused():
    net, _, _, _ = pruned()
    _, groups, keep, _ = pruned("resnet-20", (3, 32, 32))
    with pytest.raises(ValueError, match=r"`conv1.weight` of `net`|has no tensor"):
        surgery.shrink(net, groups, {"layer1.0.conv1": keep["layer1.0.conv1"]})


def test_what_is_saved_is_loaded_bit_equal(tmp_path):
    net, groups, keep, x = pruned("resnet-20", (3, 32, 32))
    net.register_buffer("count", torch.arange(3), persistent=False)
    small = surgery.shrink(net, groups, keep)
    surgery.save(small, keep, tmp_path / "small.safetensors")
    again = surgery.load(net, tmp_path / "small.safetensors")
    assert equal(state(again), state(small))
    assert torch.equal(again(x), small(x))
    assert surgery.read(tmp_path / "small.safetensors")[1] == keep
    assert [p.name for p in tmp_path.iterdir()] == ["small.safetensors"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"load: no file `.*nothing\.safetensors`"):
        surgery.load(build("lenet-5"), tmp_path / "nothing.safetensors")


def foreign(tensors, **metadata):
    return lambda path: save_file(tensors, path, metadata or None)


def shrunk(path=None):
    """(net, small, keep), and the file of them."""
    net, groups, keep, _ = pruned()
    small = surgery.shrink(net, groups, keep)
    if path is not None:
        surgery.save(small, keep, path)
    return net, small, keep


def truncated(path):
    shrunk(path)
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    "write",
    [
        truncated,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(bytes(range(256)) * 20),
        lambda path: path.write_bytes(pickle.dumps({"conv1.weight": [1, 2]})),
        lambda path: torch.save({"conv1.weight": torch.ones(2)}, path),
        foreign({"a": torch.ones(2)}),
        foreign({"a": torch.ones(2)}, format="prunelab-1"),
        foreign({"a": torch.ones(2)}, format="prunelab-1", keep="[1, 2]"),
        foreign({"a": torch.ones(2)}, format="prunelab-1", keep='{"a": {"shape": 3}}'),
        foreign(
            {"a": torch.ones(2)}, format="prunelab-1", keep='{"a": {"shape": [2], "kept": [9]}}'
        ),
    ],
)
def test_a_file_that_save_did_not_write_is_refused_in_one_line(write, tmp_path):
    path = tmp_path / "bad.safetensors"
    write(path)
    with pytest.raises(ValueError, match="is not a safetensors file written by prunelab") as caught:
        surgery.load(build("lenet-5").double(), path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("other", ["lenet-300-100", "resnet-20"])
def test_a_file_of_another_architecture_is_refused(other, tmp_path):
    shrunk(tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="does not hold a pruned"):
        surgery.load(build(other), tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda net: net.float(), r"`conv1\.weight` differs"),
        (lambda net: narrower(net), r"`conv1` keeps 12 of 20 channels, but .* and 19 in `net`"),
    ],
)
def test_a_file_with_other_types_or_more_channels_is_refused(change, words, tmp_path):
    shrunk(tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=words):
        surgery.load(change(build("lenet-5").double()), tmp_path / "x.safetensors")


def narrower(net):
    net.conv1 = nn.Conv2d(1, 19, 5, dtype=torch.float64)
    return net


@pytest.mark.parametrize("place", ["file/x.safetensors", "folder"])
def test_a_place_that_cannot_be_written_leaves_nothing_behind(place, tmp_path):
    (tmp_path / "file").write_text("here")
    (tmp_path / "folder").mkdir()
    _, small, keep = shrunk()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OSError, match=r"save: cannot write `") as caught:
        surgery.save(small, keep, tmp_path / place)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    _, small, keep = shrunk()
    path = tmp_path / "x.safetensors"
    path.write_text("old")

    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space left"):
        surgery.save(small, keep, path)
    assert path.read_text() == "old"


def test_the_keep_in_the_file_is_plain_json(tmp_path):
    path = tmp_path / "x.safetensors"
    shrunk(path)
    header = path.read_bytes()
    size = int.from_bytes(header[:8], "little")
    stored = json.loads(json.loads(header[8 : 8 + size])["__metadata__"]["keep"])
    assert stored["conv1"]["shape"] == [20]


def test_a_flipped_byte_is_found(tmp_path):
    path = tmp_path / "x.safetensors"
    net, _, _ = shrunk(path)
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="damaged: its checksum is wrong"):
        surgery.load(net, path)


def test_an_unpruned_file_must_have_every_width(tmp_path):
    path = tmp_path / "x.safetensors"
    surgery.save(build("lenet-5", 5), {}, path)
    with pytest.raises(ValueError, match=r"`fc2\.weight` differs"):
        surgery.load(build("lenet-5", 10), path)
