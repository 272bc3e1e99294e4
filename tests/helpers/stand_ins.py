"""Small stand-ins for the public data files, under the same names and in the same formats."""

import gzip
import hashlib
import io
import pickle
import tarfile

import numpy as np
from torchvision import datasets

from prunelab.data import public
from prunelab.data.public import Archive

RNG = np.random.default_rng(0)
COUNTS = {"train": 60, "t10k": 20}


def md5(content):
    return hashlib.md5(content).hexdigest()


def idx(array):
    """The IDX format: two zero bytes, 8 (= uint8), the number of dimensions, each as big-endian."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.tobytes()


def idx_files():
    files = {}
    for part, count in COUNTS.items():
        images = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        files[f"{part}-images-idx3-ubyte"] = idx(images)
        files[f"{part}-labels-idx1-ubyte"] = idx((np.arange(count) % 10).astype(np.uint8))
    return files


def stand_in_idx(monkeypatch, name):
    """Small files in the place of `name`; returns archive path -> (archive, {path: unpacked})."""
    reader = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST}[name]
    plain = idx_files()
    packed = {f"{file}.gz": gzip.compress(content, mtime=0) for file, content in plain.items()}
    monkeypatch.setattr(reader, "resources", [(gz, md5(c)) for gz, c in packed.items()])
    folder = f"{reader.__name__}/raw"
    files = {
        f"{folder}/{gz}": (c, {f"{folder}/{gz[:-3]}": plain[gz[:-3]]}) for gz, c in packed.items()
    }
    listed(monkeypatch, name, files, own=name == "mnist")
    return files


def listed(monkeypatch, name, files, own):
    """Stand-ins in the place of the published list, by the MD5 of each file or by its size."""
    archives = tuple(
        Archive(path, md5(packed), {f: md5(c) if own else len(c) for f, c in unpacked.items()})
        for path, (packed, unpacked) in files.items()
    )
    monkeypatch.setitem(public.ARCHIVES, name, archives)


def stand_in_cifar100(monkeypatch):
    def batch(count):
        images = RNG.integers(0, 256, (count, 3072), dtype=np.uint8)
        return pickle.dumps({"data": images, "fine_labels": [i % 100 for i in range(count)]})

    files = {
        "train": batch(60),
        "test": batch(20),
        "meta": pickle.dumps({"fine_label_names": [f"class {i}" for i in range(100)]}),
    }
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for file, content in files.items():
            member = tarfile.TarInfo(f"cifar-100-python/{file}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    for part in ("train", "test"):
        monkeypatch.setattr(datasets.CIFAR100, f"{part}_list", [[part, md5(files[part])]])
    meta = datasets.CIFAR100.meta | {"md5": md5(files["meta"])}
    monkeypatch.setattr(datasets.CIFAR100, "meta", meta)
    monkeypatch.setattr(datasets.CIFAR100, "tgz_md5", md5(stream.getvalue()))
    unpacked = {f"cifar-100-python/{file}": content for file, content in files.items()}
    archives = {"cifar-100-python.tar.gz": (stream.getvalue(), unpacked)}
    listed(monkeypatch, "cifar100", archives, own=True)
    return archives


def place_unpacked(archives, root):
    for _, files in archives.values():
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)


def place_packed(archives, root):
    for path, (content, _) in archives.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
