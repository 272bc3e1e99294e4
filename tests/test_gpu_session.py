"""The prepared session on a GPU, rehearsed on the CPU."""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from helpers.dummy import Echo

from prunelab.study import ledger, papers, rows
from prunelab.study.networks import Network
from prunelab.study.runner import fanout
from prunelab.study.runner.done import Done
from prunelab.study.study import Case, Study
from prunelab.train import Budget

ROOT = Path(__file__).resolve().parents[1]
WORDS = ["--device", "cpu", "--workers", "2", "--preset", "smoke"]
NET = Network("lenet-5", "digits", Budget(epochs=1, lr=0.02, batch=64))


@pytest.fixture
def tool(monkeypatch, tmp_path):
    """The script as a module, with a project without results."""
    spec = importlib.util.spec_from_file_location("gpu_session", ROOT / "tools/gpu_session.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(ledger, "COMMITTED", tmp_path / "committed")
    monkeypatch.setattr(ledger, "CHECKPOINTS", tmp_path / "networks")
    return module


@pytest.fixture
def toy(tool, monkeypatch):
    """One paper with four recipes of one network, of which ORDER asks for the first three."""
    cases = [Case("last" if n == 3 else "all", f"number {n}", NET, Echo(n)) for n in range(4)]
    study = Study("toy", lambda preset: cases if preset == "quick" else ())
    monkeypatch.setattr(papers, "study", {"toy": study}.__getitem__)
    monkeypatch.setattr(tool, "ORDER", (tool.Entry("toy", "quick", "all"),))
    monkeypatch.setattr(tool, "SEEDS", (0,))
    tool.recipes = [one for part in study.recipes("quick", (0,)).values() for one in part]
    return tool


def session(out, *words, cwd=ROOT, code=0):
    command = [sys.executable, ROOT / "tools/gpu_session.py", "--out", out, *WORDS, *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout


def main(tool, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["gpu_session", *map(str, words)])
    return tool.main()


def row(recipe):
    words = {"stem": "toy", "key": recipe.key, "values": {}, "seed": 0, "recipe": {}}
    return words | dict.fromkeys(("preset", "label", "device", "date"), "")


def numbers(found):
    return [one.task.number for one, _ in found.values()]


def network(folder, recipe, text="weights"):
    folder.mkdir(parents=True, exist_ok=True)
    for end in ("json", "safetensors"):
        (folder / f"{recipe.trained_key}.{end}").write_text(text)


def test_every_entry_has_recipes_at_its_own_preset_and_no_entry_asks_for_more():
    spec = importlib.util.spec_from_file_location("gpu_session", ROOT / "tools/gpu_session.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for entry in module.ORDER:
        assert any(one.seed == 0 for one in module.of(entry)), entry
    first = module.of(module.ORDER[0])
    assert {one.label for one in first} == {"vgg-16", "vgg-16 A"}
    assert {one.budget.precision for one in first} == {"bfloat16"}
    assert {one.data for entry in module.ORDER for one in module.of(entry)} <= {
        "cifar10", "mnist", "fashion_mnist", "digits"
    }  # fmt: skip
    asked = [many for _, many in module.ordered(None)]
    assert asked[0] == module.FEW < module.MANY, "few long trainings at once, and they come first"


def test_rows_of_one_network_are_of_the_committed_one_or_all_are_new(toy, tmp_path):
    out, (one, two, _, other) = tmp_path / "out", toy.recipes
    assert numbers(toy.missing(None, out)) == [0, 1, 2]
    for recipe in (one, other):
        rows.append(tmp_path / "committed/toy.jsonl", row(recipe))
    assert numbers(toy.missing(None, out)) == [0, 1, 2, 3], "its network is gone: another one"
    network(tmp_path / "networks", one)
    assert numbers(toy.missing(None, out)) == [1, 2], "they are measured on the committed network"
    name = f"{one.trained_key}.safetensors"
    assert (out / "checkpoints" / name).read_text() == "weights"
    network(out / "checkpoints", one, "of an earlier session")
    assert numbers(toy.missing(None, out)) == [0, 1, 2, 3]
    rows.append(out / "ledger/toy.jsonl", row(two))
    assert numbers(toy.missing(None, out)) == [0, 2, 3]


def test_a_half_trained_network_of_an_earlier_session_is_finished_for_all_its_rows(toy, tmp_path):
    for recipe in toy.recipes[:3]:
        rows.append(tmp_path / "committed/toy.jsonl", row(recipe))
    assert toy.missing(None, tmp_path / "out") == {}
    (tmp_path / "out/checkpoints").mkdir(parents=True)
    (tmp_path / f"out/checkpoints/{toy.recipes[0].trained_key}.fit").touch()
    assert numbers(toy.missing(None, tmp_path / "out")) == [0, 1, 2]


def test_what_fails_is_counted_and_few_are_trained_at_once(toy, tmp_path, monkeypatch, capsys):
    few = toy.Entry("toy", "quick", "all", "number 0", at_once=2)
    monkeypatch.setattr(toy, "ORDER", (few, *toy.ORDER))
    asked = []

    def carry_out(plan, recipes):
        asked.append((plan.workers, len(recipes)))
        return [Done(one, error="no luck") for one in recipes.values()]

    monkeypatch.setattr(fanout, "carry_out", carry_out)
    words = ("--out", tmp_path / "out", "--device", "cpu", "--workers", 4, "--untested")
    assert main(toy, monkeypatch, *words, "--minutes", 5) == 1
    assert asked == [(2, 1), (4, 2)]
    assert capsys.readouterr().out == "3 of 3 recipes are not measured\n"
    monkeypatch.setattr(fanout, "carry_out", lambda plan, recipes: [])
    assert main(toy, monkeypatch, *words, "--minutes", 5) == 0
    assert capsys.readouterr().out == "everything is measured\n"


def test_data_that_is_not_here_is_told_of_before_anything_is_tried(
    toy, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("prunelab.data.available", lambda name: False)
    assert main(toy, monkeypatch, "--out", tmp_path, "--device", "cpu", "--minutes", 5) == 1
    assert capsys.readouterr().out.splitlines() == [
        "not here: digits; 3 recipes need them",
        "3 of 3 recipes are not measured",
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_begun(toy, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(toy, "run", lambda *words, **more: pytest.fail("begun"))
    assert main(toy, monkeypatch, "--out", tmp_path, "--minutes", 5) == 2
    assert "torch sees none" in capsys.readouterr().err
    assert not [*tmp_path.glob("speed*")]


@pytest.mark.parametrize("part", ["tested", "timed", "measured"])
def test_the_alarm_ends_whatever_is_being_done(toy, tmp_path, monkeypatch, capsys, part):
    def forever(*_):
        time.sleep(600)

    monkeypatch.setattr(toy, "tested", forever if part == "tested" else lambda device: True)
    monkeypatch.setattr(toy, "timed", forever if part == "timed" else lambda device, out: None)
    monkeypatch.setattr(fanout, "carry_out", forever)
    words = ("--out", tmp_path, "--device", "cpu", "--minutes", 0.01)
    assert main(toy, monkeypatch, *words) == 0
    assert capsys.readouterr().out == "the time is over; the same command goes on\n"


def test_a_command_that_is_cut_leaves_its_lines_and_no_process(tool, tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, subprocess, sys, time\n"
        "code = 'import time; time.sleep(600)'\n"
        "child = subprocess.Popen([sys.executable, '-c', code])\n"
        "print(os.getpid(), child.pid)\n"
        "time.sleep(600)\n"
    )
    seen = []

    def cut(*words, file=None, **more):
        if file is None:
            seen.append(words[0])
            return
        file.write(words[0])
        file.flush()
        raise tool.OverError

    monkeypatch.setattr(tool, "print", cut, raising=False)
    with pytest.raises(tool.OverError):
        tool.run([script], tmp_path / "lines")
    assert (tmp_path / "lines").read_text() == seen[0]
    for pid in map(int, seen[0].split()):
        gone = not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"
        assert gone or psutil.Process(pid).wait(20) is None


def test_each_device_has_its_benchmark_and_a_cut_one_is_repeated(tool, tmp_path, monkeypatch):
    asked = []

    def run(command, path):
        asked.append(command[2])
        path.write_text("a line\n")
        return len(asked) > 1

    monkeypatch.setattr(tool, "run", run)
    tool.timed("cpu", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["speed-cpu.part"]
    tool.timed("cpu", tmp_path)
    tool.timed("cpu", tmp_path)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "NVIDIA H200 (NVL)")
    tool.timed("cuda", tmp_path)
    assert asked == ["cpu", "cpu", "cuda"]
    assert {path.name for path in tmp_path.iterdir()} == {
        "speed-cpu.txt", "speed-NVIDIA-H200-NVL-.txt"
    }  # fmt: skip


def test_a_session_measures_in_order_goes_on_and_ends_in_time(tmp_path):
    out = tmp_path / "gpu"
    assert session(out, "--minutes", "0") == "the time is over; the same command goes on\n"
    said = session(out, "--untested", "--minutes", "10")
    assert said.endswith("everything is measured\n")
    assert {path.stem for path in out.glob("ledger/*.jsonl")} == {  # RBP's first is committed
        "filter_norm", "information_bottleneck", "discrimination_aware", "head_to_head"
    }  # fmt: skip
    assert session(out, "--untested", "--minutes", "10") == "everything is measured\n"


@pytest.mark.slow
def test_the_tests_of_the_accelerator_come_first_and_then_its_benchmark(tmp_path):
    out = tmp_path / "gpu"
    lines = session(out, "--minutes", "20", cwd=tmp_path)
    said = (out / "speed-cpu.txt").read_text()
    assert lines.index(" passed") < lines.index(said) < lines.index("measuring ")
    for words in ("fit / DataLoader = ", "plain loop / scan = ", "2 at once: ", "% of the peak"):
        assert words in said
