"""Links, hidden files and other surprises in a folder of photographs: a real file counts once."""

import os
import shutil

import pytest
from helpers.pictures import folder, picture
from helpers.real_data import fails
from torchvision.datasets import ImageFolder

from prunelab.data import Photos, load
from prunelab.data.listing import listed


@pytest.fixture(params=["in memory", "on disk"])
def photos(request, tmp_path, monkeypatch):
    if request.param == "on disk":
        monkeypatch.setattr("prunelab.data.imagefolder.IN_MEMORY", 0)
    return folder(tmp_path / "photos")


def link(place, target):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def counts(photos):
    data = load(f"imagefolder:{photos}")
    return [len(split) for split in (data.train, data.val, data.test)]


LOOPS = {
    "to its own folder": [("train/cat/loop", "train/cat")],
    "two of them": [("train/cat/a", "train/cat"), ("train/cat/b", "train/cat")],
    "to the part": [("train/cat/up", "train")],
    "to the whole": [("train/cat/up", "."), ("val/dog/up", ".")],
    "as a class": [("train/loop", "train"), ("val/loop", "val")],
    "to itself": [("train/cat/self", "train/cat/self")],
    "in a circle": [("train/cat/x", "train/cat/y"), ("train/cat/y", "train/cat/x")],
    "further down": [
        ("train/cat/more/deep/up", "train/cat"),
        ("train/cat/more/2", "train/cat/more"),
    ],
}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_of_links_changes_nothing(photos, loop):
    before = load(f"imagefolder:{photos}")
    for place, target in LOOPS[loop]:
        link(photos / place, photos / target)
    after = load(f"imagefolder:{photos}")
    assert after.checksum == before.checksum and after.num_classes == 2
    assert [len(s) for s in (after.train, after.val, after.test)] == [11, 1, 2]


def test_without_links_the_files_and_their_order_are_torchvisions(tmp_path):
    place = folder(tmp_path)
    for name in ("a/z.JPG", "a.b/1.png", "B/2.PNG", "a/b/c/3.bmp"):
        picture(place / "train/cat" / name, (20, 30))
    (place / "train/cat/notes.txt").write_text("no image")
    theirs = ImageFolder(place / "train")
    classes, samples = listed(place / "train")
    assert [*samples.values()] == theirs.samples and classes == theirs.classes
    assert len(samples) == 16


def test_links_to_files_and_folders_elsewhere_are_followed(photos, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    for i in range(3):
        picture(elsewhere / "more" / f"{i}.png", (30, 40))
    picture(elsewhere / "one.png", (30, 40))
    link(photos / "train/cat/more", elsewhere / "more")
    link(photos / "train/dog/one.png", elsewhere / "one.png")
    assert counts(photos) == [15, 1, 2]


def test_a_class_folder_may_be_a_link(photos, tmp_path):
    shutil.move(photos / "train/cat", tmp_path / "cats")
    link(photos / "train/cat", tmp_path / "cats")
    assert counts(photos) == [11, 1, 2]


def test_a_file_that_a_class_has_twice_counts_once(photos):
    link(photos / "train/cat/!first.png", photos / "train/cat/3.png")
    os.link(photos / "train/cat/4.png", photos / "train/cat/hard.png")
    picture(photos / "train/cat/sub/new.png", (30, 40))
    link(photos / "train/cat/again", photos / "train/cat/sub")
    assert counts(photos) == [12, 1, 2]


@pytest.mark.parametrize("where", ["train/dog/x.png", "val/cat/x.png"])
@pytest.mark.parametrize("hard", [True, False])
def test_a_file_in_two_classes_or_in_train_and_val_is_refused(photos, where, hard):
    source = photos / "train/cat/0.png"
    os.link(source, photos / where) if hard else link(photos / where, source)
    words = (f"'{source}'", f"'{photos / where}'", "are the same file, by a link", "remove one")
    fails(ValueError, *words, name=f"imagefolder:{photos}")


def test_a_val_folder_that_is_train_is_refused_with_the_number_of_files(photos):
    shutil.rmtree(photos / "val")
    link(photos / "val", photos / "train")
    fails(ValueError, "are the same file", "(and 11 more", name=f"imagefolder:{photos}")


def test_hidden_files_and_folders_are_no_images(photos):
    (photos / "train/cat/._0.png").write_bytes(b"of another system")
    picture(photos / "train/cat/.ipynb_checkpoints/0.png", (30, 40))
    picture(photos / "train/.hidden/0.png", (30, 40))
    assert counts(photos) == [11, 1, 2]


@pytest.mark.parametrize("kind", ["broken link", "circle", "pipe"])
def test_what_is_named_like_an_image_and_is_no_file_is_named(photos, kind):
    bad = photos / "train/cat/bad.png"
    if kind == "pipe":
        os.mkfifo(bad)
    else:
        link(bad, bad if kind == "circle" else photos / "nothing.png")
    fails(ValueError, f"'{bad}' is no file", name=f"imagefolder:{photos}")


def test_a_folder_named_like_an_image_is_a_folder(photos):
    picture(photos / "train/cat/album.png/0.png", (30, 40))
    assert counts(photos) == [12, 1, 2]


def test_a_file_among_the_class_folders_is_no_class(photos):
    (photos / "train/readme.txt").write_text("text")
    picture(photos / "train/cover.png", (30, 40))
    assert counts(photos) == [11, 1, 2]
    shutil.rmtree(photos / "val/dog")
    (photos / "val/dog").write_text("text")
    fails(ValueError, "same classes", "dog", name=f"imagefolder:{photos}")


def test_a_part_without_classes_and_a_class_without_images_are_named(photos):
    (photos / "val/dog/b.png").rename(photos / "val/dog/b.tar")
    fails(ValueError, f"'{photos}/val'", "class dog has no images", name=f"imagefolder:{photos}")
    shutil.rmtree(photos / "val")
    (photos / "val").mkdir()
    fails(ValueError, f"'{photos}/val'", "no class folders", name=f"imagefolder:{photos}")


def test_the_fixture_reads_large_folders_from_disk(photos, request):
    on_disk = "on disk" in request.node.name
    assert isinstance(load(f"imagefolder:{photos}").train.images, Photos) == on_disk
