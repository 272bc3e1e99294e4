"""save and load: what was saved comes back; any other file is refused in one line."""

import json
import pickle
from copy import deepcopy

import pytest
import torch
from helpers.pruning import equal, state
from helpers.shrunk import pruned
from safetensors.torch import save_file
from torch import nn

from prunelab import surgery
from prunelab.models import build


def test_what_is_saved_is_loaded_bit_equal(tmp_path):
    net, groups, keep, x = pruned("resnet-20", (3, 32, 32))
    net = deepcopy(net)
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
