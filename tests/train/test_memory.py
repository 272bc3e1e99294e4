"""What one step frees serves the next."""

import platform
import subprocess
import sys

import pytest
from helpers.toy import PLAIN, dataset, linear, quiet

from prunelab.train import evaluate, memory

HELD = """
import ctypes, torch
from prunelab.train.memory import keep_freed
torch.set_num_threads(1)

class Info(ctypes.Structure):  # struct mallinfo: arena, hblkhd: bytes had from the kernel
    _fields_ = [(name, ctypes.c_int) for name in "arena 1 2 3 hblkhd 5 6 7 8 9".split()]

libc = ctypes.CDLL(None)
libc.mallinfo.restype = Info
libc.mallopt(-3, 2**17)  # M_MMAP_THRESHOLD as it is at the start: glibc moves it as it likes

def held():
    blocks = [torch.ones(2**21) for _ in range(4)]  # 8 MiB each; all are freed together
    del blocks
    return libc.mallinfo().arena + libc.mallinfo().hblkhd

held()
before = held()
assert keep_freed()
print(before, *[held() for _ in range(20)])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_freed_blocks_stay_with_the_process_and_are_used_again():
    """By the allocator's own count: not every kernel counts page faults."""
    told = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True)
    before, first, *later = map(int, told.stdout.split())
    assert first - before > 30 * 2**20
    assert max(later) - first < 64 * 2**20  # anew, the 20 rounds would take 640 MiB


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
