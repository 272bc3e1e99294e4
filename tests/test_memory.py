"""What one step frees serves the next, without page faults."""

import platform
import subprocess
import sys

import pytest
from toy import PLAIN, dataset, linear, quiet

from prunelab.train import evaluate, memory

FAULTS = """
import resource, torch
from prunelab.train.memory import keep_freed
torch.set_num_threads(1)

def faults():
    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        blocks = [torch.ones(2**21) for _ in range(4)]  # 8 MiB each; all are freed together
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start

faults()
before = faults()
assert keep_freed()
faults()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_freed_blocks_are_used_again_without_page_faults():
    told = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True)
    before, after = map(int, told.stdout.split())
    assert before > 1000 > 100 > after


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    assert memory.keep_freed.__wrapped__() is False


@pytest.mark.parametrize("module", ["loop", "evaluation"])
def test_training_and_evaluation_ask_for_it(monkeypatch, module):
    asked = []
    monkeypatch.setattr(f"prunelab.train.{module}.keep_freed", lambda: asked.append(True))
    data, net = dataset(16), linear()
    evaluate(net, data.test) if module == "evaluation" else quiet(net, data, PLAIN)
    assert asked
