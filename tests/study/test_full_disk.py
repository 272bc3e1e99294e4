"""A disk that is full or read-only: one line, no half file, and an older file as it was."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.mirror import Mirror
from helpers.stand_ins import stand_in_idx
from helpers.toy import PLAIN, dataset, linear, quiet
from torch import nn

from prunelab import paths, surgery
from prunelab.data import load, sources

X = torch.rand(2, 64)
WRITERS = {
    "save": lambda path: surgery.save(linear(), {}, path),
    "save_sparse": lambda path: surgery.save_sparse(linear(), path, "csr"),
    "fit": lambda path: quiet(linear(), dataset(), PLAIN, checkpoint=path),
    "export_onnx": lambda path: surgery.export_onnx(linear(), X, path),
}


class Program:
    """In the place of what torch exports, which takes seconds."""

    def save(self, path):
        Path(path).write_bytes(bytes(5000))


@pytest.fixture(params=WRITERS)
def writer(request, monkeypatch):
    monkeypatch.setattr("torch.onnx.export", lambda *_, **__: Program())
    return request.param


def fails(call, *words):
    with pytest.raises(OSError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and not [word for word in words if word not in message]


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("at", ["os.fsync", "os.replace"])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(writer, at, tmp_path, monkeypatch):
    path = tmp_path / "file"
    if writer != "fit":  # which would read it
        path.write_text("old")
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(at, full)
    fails(
        lambda: WRITERS[writer](path),
        f"{writer}: cannot write `{path}` (No space",
        "free some space",
    )
    assert sorted(tmp_path.iterdir()) == before
    assert not before or path.read_text() == "old"


@pytest.fixture
def tiny(tmp_path):
    """A file system of 4 kB."""
    place = tmp_path / "tiny"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", place]
    if (
        not hasattr(os, "geteuid")
        or os.geteuid()
        or subprocess.run(command, check=False).returncode
    ):
        pytest.skip("only root can mount a small file system")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_disk_that_is_really_full_is_one_line_and_holds_nothing(writer, tiny):
    (tiny / "file").write_bytes(bytes(4096))
    fails(
        lambda: WRITERS[writer](tiny / "new"), f"{writer}: cannot write `{tiny / 'new'}` (No space"
    )
    assert [p.name for p in tiny.iterdir()] == ["file"]
    (tiny / "file").unlink()


def test_a_folder_that_is_missing_is_made_and_one_that_is_a_file_is_named(writer, tmp_path):
    WRITERS[writer](tmp_path / "new" / "deep" / "file")
    assert (tmp_path / "new/deep/file").stat().st_size > 0
    (tmp_path / "text").write_text("here")
    fails(lambda: WRITERS[writer](tmp_path / "text" / "file"), f"{writer}: cannot write `")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "text"]


KILLED = """
import os, sys
from prunelab import paths
with paths.whole(sys.argv[1], "test") as partial:
    partial.write_text("half")
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_beside_a_file_is_cleared_by_the_next(writer, tmp_path):
    path, other = tmp_path / "file", tmp_path / f".file.{os.getpid()}-1.part"
    subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    folder = tmp_path / f".file.data.{2**22 + 1}-7.part"  # beyond the largest process id
    folder.mkdir()
    other.write_text("of a process that lives")
    assert len(list(tmp_path.glob(".file.*.part"))) == 3 and not path.exists()
    WRITERS[writer](path)
    assert sorted(tmp_path.iterdir()) == [other, path]


def test_no_file_but_the_partial_one_is_written_meanwhile(tmp_path, monkeypatch):
    seen, replace = [], os.replace

    def look(*names):
        seen.append([p.name for p in tmp_path.iterdir()])
        replace(*names)

    monkeypatch.setattr("os.replace", look)
    surgery.save(linear(), {}, tmp_path / "file")
    assert [len(names) for names in seen] == [1] and seen[0][0].endswith(".part")


# Downloads


@pytest.fixture
def served(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("PRUNELAB_DATA", "PRUNELAB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(paths, "cache_folder", lambda: tmp_path / "cache")
    files, mirror = stand_in_idx(monkeypatch, "mnist"), Mirror()
    mirror.files = {path.rsplit("/", 1)[-1]: content for path, (content, _) in files.items()}
    monkeypatch.setitem(sources.MIRRORS, "mnist", [mirror.url, mirror.url])
    yield mirror
    mirror.close()


@pytest.mark.parametrize("at", ["prunelab.data.download.md5_of", "prunelab.data.sources.unpack"])
def test_a_disk_that_fills_up_in_a_download_is_no_fault_of_the_mirror(
    served, at, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(at, full)
        fails(lambda: load("mnist"), f"load: cannot write `{tmp_path / 'cache'}` (No space left")
    assert len(served.log) == 1  # the other address was not tried
    assert len(load("mnist").test) == 20


# Networks that torch cannot export


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(5, 4)

    def forward(self, p, q):
        return self.a(p) + self.b(q)


@pytest.mark.parametrize("named", [False, True])
def test_a_network_of_several_inputs_is_exported(named, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    net, p, q = Two().eval(), torch.rand(2, 3), torch.rand(2, 5)
    path = tmp_path / "x.onnx"
    surgery.export_onnx(net, {"p": p, "q": q} if named else (p, q), path)
    assert [f.name for f in tmp_path.iterdir()] == ["x.onnx"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    p, q = torch.rand(7, 3), torch.rand(7, 5)
    given = {i.name: t.numpy() for i, t in zip(session.get_inputs(), (p, q))}
    found = torch.from_numpy(session.run(None, given)[0])
    torch.testing.assert_close(found, net(p, q), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"net": None}, TypeError, "`net` must be a network; got None"),
        ({"example": None}, TypeError, "`example` must be a tensor, .*, got NoneType"),
        ({"example": ()}, TypeError, r"`example` must hold tensors, .*, got \(\)"),
        ({"example": torch.tensor(1.0)}, ValueError, r"`example` must be a batch .*, got shape \("),
        ({"example": torch.ones(2, 7)}, ValueError, r"`1` \(Linear\): .*2x7 and 64x3"),
        ({"path": 5}, TypeError, "`path` must be a path; got 5"),
    ],
)
def test_what_cannot_be_exported_is_one_line(arguments, error, words, tmp_path):
    usual = {"net": linear(), "example": X, "path": tmp_path / "x"}
    with pytest.raises(error, match=rf"^export_onnx: [^\n]*{words}[^\n]*$"):
        surgery.export_onnx(**(usual | arguments))
    assert not list(tmp_path.iterdir()) and usual["net"].training
