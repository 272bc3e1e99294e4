"""Files that load_sparse refuses, and places that save_sparse cannot write to."""

import json
import pickle
import tempfile
from pathlib import Path

import pytest
import torch
from helpers.sparse_nets import bits, head_bytes, small, thin
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from prunelab import sealed, surgery
from prunelab.surgery.sparse import FORMS


def saved(form="bitmask", net=None):
    return lambda path: surgery.save_sparse(net or thin(small(), 0.3), path, form)


def cut(path):
    saved()(path)
    path.write_bytes(path.read_bytes()[:-10])


def forged(path):
    """A right checksum over columns that lie outside."""
    saved("csr")(path)
    stored = load_file(path)
    header = path.read_bytes()[8 : head_bytes(path)]
    head = json.loads(header)["__metadata__"]
    head.pop("crc32")
    stored["3.weight:columns"] += 100
    save_file(stored, path, head | {"crc32": sealed.checksum(head, stored)})


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (cut, ""),
        (forged, "index|range|bounds"),
        (lambda path: path.write_bytes(b""), ""),
        (lambda path: path.write_bytes(pickle.dumps({"0.weight": [1, 2]})), ""),
        (lambda path: torch.save(small().state_dict(), path), ""),
        (lambda path: save_file({"a": torch.ones(2)}, path), "format None"),
        (lambda path: surgery.save(small(), {}, path), "'prunelab-2', not 'prunelab-sparse-1'"),
        (
            lambda path: save_file({"a": torch.ones(2)}, path, {"format": "prunelab-sparse-1"}),
            "checksum",
        ),
    ],
)
def test_a_file_that_save_sparse_did_not_write_is_refused_in_one_line(write, words, tmp_path):
    write(tmp_path / "x")
    with pytest.raises(ValueError, match="is not a file written by save_sparse") as caught:
        surgery.load_sparse(small(), tmp_path / "x")
    assert "\n" not in str(caught.value)
    assert any(word in str(caught.value) for word in words.split("|"))


@settings(deadline=None, max_examples=150)
@given(form=st.sampled_from(FORMS), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_wherever_it_is(form, place, bit):
    net = thin(small((2, 2, 2)), 0.5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x")
        raw = bytearray(path.read_bytes() if surgery.save_sparse(net, path, form) else b"")
        raw[int(place * len(raw))] ^= 1 << bit
        path.write_bytes(raw)
        try:
            again = surgery.load_sparse(net, path)
        except ValueError as error:
            assert str(error).startswith("load_sparse: ") and "\n" not in str(error)
        else:  # the flip changed nothing that counts, such as a space of the header
            assert bits(again) == bits(net)


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (small((7, 5, 4)), r"`4\.weight` is float32 \[3, 5\] there, float32 \[4, 5\] in `net`"),
        (small(bias=False), r"`0\.bias` is float32 \[7\] there, absent in `net`"),
        (small().double(), r"`0\.weight` is float32 .* there, float64 .* in `net`"),
        (nn.Sequential(*small(), nn.Linear(1, 1)), r"`5\.weight` is absent there"),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_a_file_of_another_network_is_refused(form, net, words, tmp_path):
    saved(form)(tmp_path / "x")
    with pytest.raises(ValueError, match="does not hold a Sequential: " + words):
        surgery.load_sparse(net, tmp_path / "x")


def test_a_missing_file_and_an_unknown_form_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"load_sparse: no file `.*nothing`"):
        surgery.load_sparse(small(), tmp_path / "nothing")
    with pytest.raises(ValueError, match="must be one of dense, bitmask, csr; got 'coo'"):
        surgery.save_sparse(small(), tmp_path / "x", "coo")
    with pytest.raises(OSError, match="save_sparse: cannot write `"):
        surgery.save_sparse(small(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("no space left on device")

    path = tmp_path / "x"
    path.write_text("old")
    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space left"):
        surgery.save_sparse(small(), path)
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
