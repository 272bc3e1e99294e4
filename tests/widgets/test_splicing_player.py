"""The mask player without a kernel: set values, look at what follows."""

import base64
import json

import ipywidgets as w
import numpy as np
import pytest
import torch
from helpers.widget_text import is_picture, text_of

from prunelab import plots, widgets
from prunelab.masks import packed, unpacked


def masks(number=4, shape=(10, 16)):
    rng = np.random.default_rng(0)
    return [rng.random(shape) < 0.1 * (i + 1) for i in range(number)]


def snapshots():
    return [{"step": 100 * i, "kept": kept} for i, kept in enumerate(masks())]


def test_the_player_starts_with_a_picture_and_its_count():
    box = widgets.mask_player(snapshots())
    assert is_picture(box.picture.value)
    assert f"step 0: {masks()[0].sum()} of 160 weights kept" in text_of(box.text)
    assert [label for label, _ in box.slider.options] == ["0", "100", "200", "300"]


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_every_snapshot_shows_its_own_count_and_what_changed(at):
    box = widgets.mask_player(snapshots(), start=(at + 2) % 4)
    before = bytes(box.picture.value)
    box.slider.index = at
    now = masks()[at]
    assert f"step {100 * at}: {now.sum()} of 160 weights kept" in text_of(box.text)
    assert bytes(box.picture.value) != before
    if at:
        old = masks()[at - 1]
        back, gone = (now & ~old).sum(), (old & ~now).sum()
        assert f"{back} came back and {gone} went" in text_of(box.text)
        assert old.sum() + back - gone == now.sum()
    else:
        assert "came back" not in text_of(box.text)


def test_the_picture_is_the_mask_of_the_snapshot_on_one_scale(monkeypatch):
    seen = []

    def spy(kept, step, title, **options):
        seen.append((kept, step, title, options))
        return mask_image(kept, step, title, **options)

    mask_image = plots.mask_image
    monkeypatch.setattr(plots, "mask_image", spy)
    whole = {"step": -1, "kept": np.ones((10, 16), bool)}
    box = widgets.mask_player([whole, *snapshots()], "fc2", pixels=False)
    for at in (4, 1, 4):
        box.slider.index = at
    assert [step for _, step, _, _ in seen] == [-1, 300, 0]  # each is drawn once
    assert np.array_equal(seen[1][0], masks()[3])
    assert {title for _, _, title, _ in seen} == {"fc2"}
    most = max(int(kept.sum(0).max()) for kept in masks())  # the whole mask would hide the others
    assert all(options == {"pixels": False, "most": most} for *_, options in seen)


def test_play_moves_the_slider_over_all_snapshots():
    box = widgets.mask_player(snapshots(), start=-1)
    assert isinstance(box.play, w.Play)
    assert (box.play.min, box.play.max, box.play.value, box.slider.index) == (0, 3, 3, 3)
    assert (box.link.source, box.link.target) == ((box.play, "value"), (box.slider, "index"))


def test_masks_may_be_tensors_or_packed_and_packed_ones_are_small_json():
    as_tensors = [{"step": s["step"], "kept": torch.from_numpy(s["kept"])} for s in snapshots()]
    as_text = [{"step": s["step"], "kept": packed(s["kept"])} for s in snapshots()]
    as_text = json.loads(json.dumps(as_text))
    expected = bytes(widgets.mask_player(snapshots()).picture.value)
    for same in (as_tensors, as_text):
        assert bytes(widgets.mask_player(same).picture.value) == expected
    sparse = np.random.default_rng(0).random((300, 784)) < 0.02
    assert len(json.dumps(packed(sparse))) < 10_000


@pytest.mark.parametrize("shape", [(3,), (1, 1), (7, 11), (5, 20, 5, 5)])
def test_a_packed_mask_comes_back_as_it_was(shape):
    kept = np.random.default_rng(1).random(shape) < 0.5
    assert np.array_equal(unpacked(packed(kept)), kept)


def test_an_error_while_drawing_appears_in_the_player(monkeypatch):
    box = widgets.mask_player(snapshots())
    monkeypatch.setattr(plots, "mask_image", broken)
    box.slider.index = 2
    assert "no &lt;picture&gt; today" in box.text.value


def broken(*_, **__):
    raise RuntimeError("no <picture> today")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "`snapshots` is empty"),
        (snapshots()[::-1], "must ascend, got .300, 200, 100, 0."),
        ([*snapshots(), {"step": 400, "kept": np.ones((2, 2), bool)}], "one shape"),
    ],
)
def test_snapshots_that_cannot_be_played_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        widgets.mask_player(wrong)


def test_readers_without_a_kernel_see_the_picture_on_show():
    box = widgets.mask_player(snapshots())
    box.slider.index = 2
    bundle = box._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]) == bytes(box.picture.value)
    assert "application/vnd.jupyter.widget-view+json" in bundle
