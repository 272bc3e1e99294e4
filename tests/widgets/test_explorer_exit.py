"""A script that has made explorers ends in peace, whatever they measure then."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import time, torch
from prunelab import widgets
from prunelab.data import Split
from prunelab.models import build

images = torch.zeros(1000, 3, 32, 32, dtype=torch.uint8)
split = Split(images, torch.zeros(1000).long(), (0.5,) * 3, (0.5,) * 3)
boxes = [widgets.explorer(build("resnet-20"), split, train=split) for _ in range(2)]
boxes[0].scan.button.click()
boxes[1].finetune.button.click()
widgets.explorer(build("resnet-20"), split)  # nobody holds it
time.sleep(0.3)
print([(box.worker.wait(0), box.background.wait(0)) for box in boxes])
"""


def test_the_end_of_a_script_stops_what_explorers_measure():
    root = Path(__file__).resolve().parents[2]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=600)
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout == "[(False, False), (False, False)]\n"  # all were at work
