"""The prepared session on a GPU, rehearsed on the CPU."""

import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prunelab.study.runner import fanout

ROOT = Path(__file__).resolve().parents[1]
WORDS = ["--device", "cpu", "--workers", "2", "--preset", "smoke"]


def session(out, *words):
    command = [sys.executable, ROOT / "tools/gpu_session.py", "--out", out, *WORDS, *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_session_measures_in_order_goes_on_and_ends_in_time(tmp_path):
    out = tmp_path / "gpu"
    said = session(out, "--untested", "--minutes", "0")
    assert said.endswith("the time is over; the same command goes on\n")
    said = session(out, "--untested", "--minutes", "10")
    assert said.endswith("everything is measured\n")
    assert {path.stem for path in out.glob("ledger/*.jsonl")} == {
        "filter_norm", "information_bottleneck", "discrimination_aware", "head_to_head"
    }  # fmt: skip
    assert session(out, "--untested", "--minutes", "10") == "everything is measured\n"


def test_the_alarm_ends_what_is_being_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fanout, "carry_out", lambda plan, recipes: time.sleep(600))
    words = ["gpu_session", "--out", str(tmp_path), *WORDS, "--untested", "--minutes", "0.01"]
    monkeypatch.setattr(sys, "argv", words)
    assert runpy.run_path(str(ROOT / "tools/gpu_session.py"))["main"]() == 0
    assert capsys.readouterr().out == "the time is over; the same command goes on\n"


@pytest.mark.slow
def test_the_tests_of_the_accelerator_come_first_and_then_its_benchmark(tmp_path):
    assert " passed" in session(tmp_path / "gpu", "--minutes", "0")
    said = (tmp_path / "gpu/speed.txt").read_text()
    for words in ("fit / DataLoader = ", "plain loop / scan = ", "2 at once: ", "% of the peak"):
        assert words in said
