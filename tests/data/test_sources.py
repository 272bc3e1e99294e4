"""Finding, checking and unpacking, with small stand-ins for the public files."""

import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers.stand_ins import md5, place_packed, place_unpacked, stand_in_cifar100, stand_in_idx

from prunelab import paths
from prunelab.data import available, load, public, sources


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No data, no network: an empty current folder, and mirrors that do not exist."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("PRUNELAB_DATA", raising=False)
    monkeypatch.delenv("PRUNELAB_OFFLINE", raising=False)
    monkeypatch.setattr(sources, "MIRRORS", dict.fromkeys(sources.MIRRORS, ()))


@pytest.fixture
def mnist(monkeypatch):
    return stand_in_idx(monkeypatch, "mnist")


@pytest.fixture
def served(mnist, mirrors, monkeypatch):
    """MNIST on two mirrors; returns the first."""
    for mirror in mirrors:
        mirror.files = {path.rsplit("/", 1)[-1]: content for path, (content, _) in mnist.items()}
    monkeypatch.setitem(sources.MIRRORS, "mnist", [mirror.url for mirror in mirrors])
    return mirrors[0]


def fails(error, *words, call=lambda: load("mnist", root="root")):
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert message.startswith("load: ") and "\n" not in message
    assert [word for word in words if word not in message] == []


# Finding


def test_folders_are_searched_in_order_root_environment_cache(mnist, monkeypatch, tmp_path):
    monkeypatch.setenv("PRUNELAB_DATA", str(tmp_path / "environment"))
    for folder in ("cache", "environment", "root"):
        place_unpacked(mnist, tmp_path / folder)
        place, _ = sources.locate("mnist", root=tmp_path / "root")
        assert tmp_path / place == tmp_path / folder


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("put", [place_packed, place_unpacked])
def test_idx_files_placed_by_hand_packed_or_not_are_read(name, put, monkeypatch):
    files = stand_in_idx(monkeypatch, name)
    put(files, Path("root"))
    data = load(name, root="root")
    assert (len(data.train), len(data.val), len(data.test)) == (54, 6, 20)
    raw = next(f for _, fs in files.values() for p, f in fs.items() if "t10k-images" in p)
    assert data.test.images.numpy().tobytes() == raw[16:]
    assert data.test.labels.tolist() == [i % 10 for i in range(20)]
    whole = load(f"{name}+val", root="root")
    assert (len(whole.train), len(whole.val), len(whole.test)) == (60, 0, 20)
    assert available(f"{name}+val", root="root")


@pytest.mark.parametrize("put", [place_packed, place_unpacked])
def test_cifar100_is_read_with_its_fine_labels(put, monkeypatch):
    files = stand_in_cifar100(monkeypatch)
    put(files, Path("root"))
    data = load("cifar100", root="root")
    assert data.num_classes == 100 and data.train.images.shape == (54, 3, 32, 32)
    raw = pickle.loads(files["cifar-100-python.tar.gz"][1]["cifar-100-python/test"])
    assert np.array_equal(data.test.images.flatten(1).numpy(), raw["data"])
    assert data.test.labels.tolist() == raw["fine_labels"]


def test_the_validation_cut_is_the_same_every_time_and_takes_nothing_away(mnist):
    place_unpacked(mnist, Path("root"))
    one, two = load("mnist", root="root"), load("mnist", root="root")
    assert one.val.images.equal(two.val.images) and one.checksum == two.checksum
    rows = [bytes(image) for s in (one.train, one.val) for image in s.images.flatten(1).numpy()]
    raw = mnist["MNIST/raw/train-images-idx3-ubyte.gz"][1]["MNIST/raw/train-images-idx3-ubyte"]
    assert sorted(rows) == sorted(raw[i : i + 784] for i in range(16, len(raw), 784))


def test_a_folder_that_is_complete_is_not_written_to(mnist, tmp_path):
    place_unpacked(mnist, tmp_path / "root")
    before = sorted(tmp_path.rglob("*"))
    load("mnist", root="root")
    assert sorted(tmp_path.rglob("*")) == before


def test_what_a_killed_run_left_of_unpacking_is_cleared(mnist):
    place_packed(mnist, Path("root"))
    rest = Path("root/.prunelab.unpacking/MNIST/raw/t10k-images-idx3-ubyte")
    rest.parent.mkdir(parents=True)
    rest.write_bytes(b"half")
    assert len(load("mnist", root="root").test) == 20
    assert not Path("root/.prunelab.unpacking").exists()


def test_where_a_data_set_is_found_without_reading_it(mnist, tmp_path):
    assert public.find("mnist") is None and not available("mnist+val")
    place_packed(mnist, tmp_path / "cache")
    assert public.find("mnist") == public.find("mnist+val") == tmp_path / "cache"
    with pytest.raises(ValueError, match=r"^find: `name` must be a public .*; got 'digits'$"):
        public.find("digits")


# Damage


def test_a_truncated_file_is_named_with_its_size(mnist):
    place_unpacked(mnist, Path("root"))
    path = Path("root/MNIST/raw/t10k-images-idx3-ubyte")
    path.write_bytes(path.read_bytes()[:1000])
    fails(ValueError, str(path), "damaged", "1,000 bytes")


def test_a_wrong_byte_is_named_with_expected_and_found_checksum(mnist):
    place_unpacked(mnist, Path("root"))
    path = Path("root/MNIST/raw/t10k-images-idx3-ubyte")
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    fails(ValueError, str(path), f"expected MD5 {md5(good)}", f"found MD5 {md5(path.read_bytes())}")


def test_a_damaged_archive_is_named_and_nothing_is_unpacked(mnist):
    place_packed(mnist, Path("root"))
    path = Path("root/MNIST/raw/train-images-idx3-ubyte.gz")
    path.write_bytes(path.read_bytes()[:-9])
    fails(ValueError, str(path), "damaged", "expected MD5")
    assert [p.name for p in Path("root/MNIST/raw").iterdir() if p.suffix != ".gz"] == []


def test_fashion_mnist_is_held_against_its_size(monkeypatch):
    place_unpacked(stand_in_idx(monkeypatch, "fashion_mnist"), Path("root"))
    path = Path("root/FashionMNIST/raw/train-images-idx3-ubyte")
    path.write_bytes(path.read_bytes()[:-1])
    fails(ValueError, str(path), "bytes", call=lambda: load("fashion_mnist", root="root"))


# Downloading


@pytest.mark.parametrize("variable", [False, True], ids=["root", "environment"])
def test_files_that_are_nowhere_are_downloaded_once(served, variable, monkeypatch):
    if variable:
        monkeypatch.setenv("PRUNELAB_DATA", "root")
    for _ in range(2):
        data = load("mnist", root=None if variable else "root")
        assert len(data.train) == 54
    assert sorted(path for path, _ in served.log) == sorted(served.files)
    assert len(list(Path("root/MNIST/raw").iterdir())) == 8  # packed and unpacked, no .part


def test_the_cache_folder_is_the_last_resort(served):
    load("mnist")
    assert Path("cache/MNIST/raw/train-images-idx3-ubyte").is_file()


def test_only_what_is_missing_is_downloaded(served, mnist):
    place_unpacked(mnist, Path("root"))
    Path("root/MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    load("mnist", root="root")
    assert served.log == [("t10k-labels-idx1-ubyte.gz", 0)]


def test_loads_at_the_same_time_download_each_file_once(served):
    loads = [threading.Thread(target=load, args=("mnist",)) for _ in range(3)]
    for thread in loads:
        thread.start()
    for thread in loads:
        thread.join()
    assert sorted(path for path, _ in served.log) == sorted(served.files)


def test_offline_nothing_is_asked_for_and_the_message_says_what_is_missing(
    served, mnist, monkeypatch, tmp_path
):
    monkeypatch.setenv("PRUNELAB_OFFLINE", "1")
    place_unpacked(mnist, Path("root"))
    Path("root/MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    words = (
        "mnist",
        "PRUNELAB_OFFLINE",
        f"'root', '{tmp_path}/cache'",
        "for MNIST/raw/t10k-labels",
    )
    fails(FileNotFoundError, *words)
    assert served.log == []


def test_offline_0_is_online(served, monkeypatch):
    monkeypatch.setenv("PRUNELAB_OFFLINE", "0")
    assert len(load("mnist").test) == 20


def test_a_folder_that_cannot_be_written_to_is_named_before_any_download(served):
    Path("root").write_text("a file")
    fails(PermissionError, "cannot write mnist to 'root'", "PRUNELAB_DATA")
    assert served.log == []
