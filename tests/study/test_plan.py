"""What a run is asked to do is checked before anything starts; see also `test_cli`."""

import pytest
from helpers.series import add_notebook

from prunelab import paths
from prunelab.study import recipes
from prunelab.study.runner import notebook
from prunelab.study.runner.plan import PRESETS, gpus, plan


def test_write_refuses_another_preset_than_the_source_names(project):
    add_notebook(project, "00-first", "1")
    with pytest.raises(ValueError, match="00-first has 'quick', given 'smoke'"):
        plan(device="cpu", root=project, preset="smoke", write=True)


@pytest.mark.parametrize(("there", "chosen"), [(False, "cpu"), (True, "cuda")])
def test_without_a_choice_the_device_is_cuda_where_there_is_one(
    there, chosen, project, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    add_notebook(project, "00-first", "1")
    assert plan(root=project).device == chosen


def test_a_broken_notebook_is_refused_by_name(project):
    (project / "notebooks/00-broken.ipynb").write_text("{")
    with pytest.raises(ValueError, match=r"00-broken\.ipynb"):
        plan(device="cpu", root=project)


def test_notebooks_are_found_by_number_name_and_stem(project):
    add_notebook(project, "00-start-here")
    add_notebook(project, "01-filter-norm")
    found = notebook.notebooks(project)
    names = ("1", "01", "01-filter-norm", "filter-norm", "filter_norm", "01-filter-norm.ipynb")
    for alias in names:
        assert [book.name for book in notebook.select([alias], found)] == ["01-filter-norm"]
    assert [book.number for book in notebook.select(["01", "0"], found)] == ["00", "01"]
    assert found[1].title == "All about 01-filter-norm"
    assert paths.project(project / "notebooks") == project.resolve()


def test_data_is_looked_for_in_the_project_wherever_the_kernel_works(project, monkeypatch):
    add_notebook(project, "00-first")
    monkeypatch.delenv("PRUNELAB_DATA", raising=False)
    monkeypatch.setenv("PRUNELAB_WRITE", "1")
    checked = plan(device="cpu", root=project)
    found = checked.environment(gpu="3")
    assert found["PRUNELAB_DATA"] == str(project.resolve() / "data/cache")
    assert found["PRUNELAB_DEVICE"] == "cpu" and found["CUDA_VISIBLE_DEVICES"] == "3"
    assert "PRUNELAB_WRITE" not in found
    named = plan(device="cpu", root=project, data_root=project, write=True).environment(None)
    assert named["PRUNELAB_DATA"] == str(project.resolve()) and named["PRUNELAB_WRITE"] == "1"
    monkeypatch.chdir(project)
    monkeypatch.setenv("PRUNELAB_DATA", "somewhere")
    assert checked.environment(None)["PRUNELAB_DATA"] == str(project.resolve() / "somewhere")


def test_workers_on_cuda_take_the_devices_in_turn(project, monkeypatch):
    add_notebook(project, "00-first")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    three = plan(root=project, workers=3)
    assert gpus(three) == ["4", "6", "4"]
    assert gpus(plan(root=project)) == [None]


def test_workers_share_the_cores(project, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    add_notebook(project, "00-first")
    for cores, workers, threads in ((8, 2, "4"), (2, 2, "1"), (1, 2, "1")):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        checked = plan(device="cpu", root=project, workers=workers)
        assert checked.environment(None)["OMP_NUM_THREADS"] == threads
    assert "OMP_NUM_THREADS" not in plan(device="cpu", root=project).environment(None)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert checked.environment(None)["OMP_NUM_THREADS"] == "3", "what the user set stands"


def test_presets_are_those_of_the_recipes():
    assert PRESETS == recipes.PRESETS
    assert set(recipes.SEEDS) == set(PRESETS)
