import pytest
import torch
from helpers.pictures import folder, picture
from helpers.real_data import fails, need
from torchvision import datasets, transforms

from prunelab.data import load


@pytest.fixture
def photos(tmp_path):
    return folder(tmp_path)


def test_an_image_folder_is_resized_to_256_and_cropped_to_224(photos):
    data = load(f"imagefolder:{photos}")
    assert (len(data.train), len(data.val), len(data.test)) == (11, 1, 2)
    assert data.test.labels.tolist() == [0, 1] and data.num_classes == 2
    usual = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(data.mean, data.std),
        ]
    )
    expected = torch.stack([usual(image) for image, _ in datasets.ImageFolder(photos / "val")])
    torch.testing.assert_close(data.test.batch(slice(None))[0], expected, atol=1e-5, rtol=0)


def test_the_checksum_of_an_image_folder_follows_its_bytes(photos):
    before = load(f"imagefolder:{photos}").checksum
    assert load(f"imagefolder:{photos}").checksum == before
    picture(photos / "val/dog/b.png", (225, 224))
    assert load(f"imagefolder:{photos}").checksum != before


def test_an_image_folder_is_found_below_the_data_root(photos):
    assert len(load(f"imagefolder:{photos.name}", root=photos.parent).test) == 2


def test_real_photographs_load():
    data = load(f"imagefolder:{need('imagenette2-224-subset') / 'imagenette2-224-subset'}")
    assert (len(data.train), len(data.val), len(data.test)) == (900, 100, 300)
    assert data.num_classes == 10 and data.test.images.shape[1:] == (3, 224, 224)


def test_an_image_folder_that_is_not_there_is_named(tmp_path):
    fails(FileNotFoundError, f"{tmp_path}/none", name=f"imagefolder:{tmp_path}/none")
    fails(FileNotFoundError, "''", name="imagefolder:")


@pytest.mark.parametrize("part", ["train", "val"])
def test_an_image_folder_without_train_or_val_is_named(photos, part):
    (photos / part).rename(photos / "other")
    fails(FileNotFoundError, f"has no {part} folder", name=f"imagefolder:{photos}")


def test_image_folders_with_other_classes_in_val_are_refused(photos):
    (photos / "val/dog").rename(photos / "val/wolf")
    fails(ValueError, "same classes", "dog, wolf", name=f"imagefolder:{photos}")


def test_a_class_without_images_is_named(photos):
    (photos / "val/dog/b.png").unlink()
    fails(ValueError, str(photos / "val"), "dog", name=f"imagefolder:{photos}")


def test_a_file_that_is_no_image_is_named(photos):
    (photos / "val/dog/b.png").write_bytes(b"text")
    fails(ValueError, str(photos / "val/dog/b.png"), "not an image", name=f"imagefolder:{photos}")


@pytest.mark.parametrize(
    "damage",
    [
        lambda png: png.replace(b"IDAT", b"IDA!"),  # PIL's SyntaxError
        lambda png: b"P6\n2 x\n255\n",  # PIL's ValueError
        lambda png: png[: len(png) // 2],  # PIL's OSError
        lambda png: b"P6\n100000 100000\n255\n",  # PIL's DecompressionBombError
    ],
)
def test_a_damaged_image_is_named(damage, photos):
    path = photos / "val/dog/b.png"
    path.write_bytes(damage(path.read_bytes()))
    fails(ValueError, f"cannot read the image '{path}'", name=f"imagefolder:{photos}")


def test_the_first_images_of_a_folder_hold_many_classes():
    data = load(f"imagefolder:{need('imagenette2-224-subset') / 'imagenette2-224-subset'}")
    for split in (data.train, data.val, data.test):
        assert len(split[:60].labels.unique()) == 10
