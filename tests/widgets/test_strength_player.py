"""The strength player without a kernel: set values, look at what follows."""

import base64
import json
import re

import ipywidgets as w
import numpy as np
import pytest
import torch
from helpers.figures import ticks, unreadable

from prunelab import plots, widgets
from prunelab.masks import packed
from prunelab.widgets.frame import png

WHOLE = {"fc1.inputs": 36, "fc1": 300, "fc2": 100}
PRINTED = {"weights_pct": 3.59, "error": 0.016, "widths": {"fc1.inputs": 4, "fc1": 71, "fc2": 33}}


def mask(left):
    return (np.arange(36) < left).reshape(6, 6)


def run(kl, seed=0, **other):
    """A run of which all follows from its strength and its seed."""
    share = 1 / (1 + 1000 * kl + seed)
    widths = {place: max(1, int(size * share)) for place, size in WHOLE.items()}
    return {
        "kl": kl, "seed": seed, "widths": widths, "whole": WHOLE, "weights_pct": 100 * share**2,
        "activations_pct": 100 * share, "macs": 266_200 * share**2, "error": 0.01 + kl,
        "best_error": 0.009 + kl, "pixels": mask(widths["fc1.inputs"]),
    } | other  # fmt: skip


def runs(kls=(0.01, 0.001, 0.003), seeds=(0,)):
    return [run(kl, seed) for kl in kls for seed in seeds]


def rows_of(box):
    """First cell -> the other cells, of the table."""
    rows = re.findall(r"<tr.*?</tr>", box.text.value, re.S)
    cells = [re.findall(r"<t[dh].*?>(.*?)</t[dh]>", row) for row in rows]
    return {row[0]: row[1:] for row in cells}


def cells(run):
    return [
        f"{run['weights_pct']:.2f}%", f"{run['activations_pct']:.2f}%", f"{run['macs']:,.0f}",
        f"{100 * run['error']:.2f}%", f"{100 * run['best_error']:.2f}%",
    ]  # fmt: skip


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn, and what from."""
    seen, draw = [], plots.units_left

    def spy(*values, **options):
        seen.append((values, options))
        return draw(*values, **options)

    monkeypatch.setattr(plots, "units_left", spy)
    return seen


def test_strengths_are_in_order_and_the_middle_one_is_on_show():
    box = widgets.strength_player(runs())
    assert isinstance(box.slider, w.SelectionSlider)
    assert [label for label, _ in box.slider.options] == ["0.001", "0.003", "0.01"]
    assert box.slider.value == 0.003
    assert bytes(box.picture.value).startswith(b"\x89PNG")


@pytest.mark.parametrize("kl", [0.001, 0.003, 0.01])
def test_every_strength_shows_its_own_numbers_and_picture(kl, drawn):
    box = widgets.strength_player(runs(), "LeNet", kl=0.01 if kl == 0.001 else 0.001)
    before = bytes(box.picture.value)
    box.slider.value = kl
    assert rows_of(box) == {
        "run": ["weights left", "activations left", "MACs", "error, last", "error, best"],
        f"kl {kl:g}, seed 0": cells(run(kl)),
    }
    assert bytes(box.picture.value) != before
    (widths, whole, title), options = drawn[-1]
    assert (widths, whole) == (run(kl)["widths"], WHOLE)
    assert np.array_equal(options["mask"], run(kl)["pixels"])
    assert title.startswith(f"LeNet\nkl {kl:g}, seed 0: {cells(run(kl))[0]} of the weights, ")
    assert title.endswith(f"test error {cells(run(kl))[3]}")


def test_a_seed_is_chosen_only_where_there_are_several():
    (controls, *_) = widgets.strength_player(runs()).children
    assert len(controls.children) == 1
    box = widgets.strength_player(runs(seeds=(1, 0)))
    assert box.seed in box.children[0].children
    assert box.seed.options == (0, 1)
    assert list(rows_of(box)) == ["run", "kl 0.003, seed 0"]
    box.seed.value = 1
    assert rows_of(box)["kl 0.003, seed 1"] == cells(run(0.003, 1))


def test_a_seed_that_lacks_a_strength_says_which_it_has_and_shows_no_old_picture():
    box = widgets.strength_player([*runs(seeds=(0, 1)), run(0.1)], kl=0.1)
    before = bytes(box.picture.value)
    box.seed.value = 1
    assert box.text.value == (
        "kl 0.1, seed 1 was not run; with seed 1 there are kl 0.001, 0.003, 0.01"
    )
    assert bytes(box.picture.value) not in (before, b"")
    box.slider.value = 0.01
    assert rows_of(box)["kl 0.01, seed 1"] == cells(run(0.01, 1))


def test_the_first_run_on_show_is_one_that_there_is():
    box = widgets.strength_player([run(0.1, 3), run(0.2, 0)], kl=0.1)
    assert (box.slider.value, box.seed.value) == (0.1, 3)
    assert rows_of(box)["kl 0.1, seed 3"] == cells(run(0.1, 3))


def test_printed_values_stand_below_and_what_is_not_printed_is_left_blank(drawn):
    box = widgets.strength_player(runs(), printed=PRINTED)
    assert rows_of(box)["printed"] == ["3.59%", "", "", "1.60%", ""]
    assert drawn[-1][1]["printed"] == PRINTED["widths"]
    box = widgets.strength_player(runs(), printed={"widths": PRINTED["widths"]})
    assert "printed" not in rows_of(box)


def test_pixels_may_be_arrays_tensors_packed_or_missing(drawn):
    expected = bytes(widgets.strength_player([run(0.01)]).picture.value)
    kept = run(0.01)["pixels"]
    for same in (torch.from_numpy(kept), json.loads(json.dumps(packed(kept)))):
        assert bytes(widgets.strength_player([run(0.01, pixels=same)]).picture.value) == expected
    box = widgets.strength_player([run(0.01, pixels=None)])
    assert drawn[-1][1]["mask"] is None
    assert bytes(box.picture.value) not in (expected, b"")


def test_the_figure_for_readers_is_the_one_the_player_starts_with():
    image = np.random.default_rng(0).random((6, 6))
    fig = widgets.strength_figure(runs(), "LeNet", kl=0.01, printed=PRINTED, mean_image=image)
    assert unreadable(fig) == []
    picture, ax = fig.axes
    assert np.array_equal(picture.images[0].get_array(), image)
    assert list(ticks(ax.yaxis)) == ["fc1.inputs\n3 of 36", "fc1\n27 of 300", "fc2\n9 of 100"]
    box = widgets.strength_player(runs(), "LeNet", kl=0.01, printed=PRINTED, mean_image=image)
    assert bytes(box.picture.value) == png(fig)


def test_readers_without_a_kernel_see_the_picture_on_show():
    box = widgets.strength_player(runs())
    box.slider.value = 0.001
    bundle = box._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]) == bytes(box.picture.value)
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_an_error_while_drawing_appears_in_the_player(monkeypatch):
    box = widgets.strength_player(runs())

    def broken(*_, **__):
        raise RuntimeError("no <picture> today")

    monkeypatch.setattr(plots, "units_left", broken)
    box.slider.value = 0.01
    assert "no &lt;picture&gt; today" in box.text.value


def without(key):
    return {name: value for name, value in run(0.01).items() if name != key}


WRONG = {
    "no runs": ([], {}, "`runs` is empty"),
    "a key lacks": ([run(0.1), without("macs")], {}, "`runs` must have 'macs' in every row"),
    "twice": ([run(0.1), run(0.1)], {}, "`runs` has kl 0.1, seed 0 twice"),
    "no such strength": (runs(), {"kl": 0.5}, "`kl` must be one of 0.001, 0.003, 0.01; got 0.5"),
    "no such number": (runs(), {"printed": {"rW": 3.59}}, "`printed` can have widths, .* got 'rW'"),
}  # fmt: skip


@pytest.mark.parametrize(("wrong", "options", "message"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("call", [widgets.strength_player, widgets.strength_figure])
def test_what_cannot_be_played_is_refused_in_one_line(call, wrong, options, message):
    with pytest.raises(ValueError, match=f"^strength_player: .*{message}") as error:
        call(wrong, **options)
    assert "\n" not in str(error.value)


def test_a_mean_image_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"`mean_image` must have .* \(6, 6\), got \(28, 28\)"):
        widgets.strength_player(runs(), mean_image=np.zeros((28, 28)))
