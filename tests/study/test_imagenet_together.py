"""Recipes of ImageNet under torchrun, on real photographs: one row, resumed, one line of errors."""

import os
import subprocess
import sys
import time

from helpers.together import launch

from prunelab.cli import main
from prunelab.study import ledger

PRUNED = "pfec/resnet-34-pruned-b"


def rows(root):
    return ledger.read(root / "runs/ledger/filter_norm.jsonl")


def together(*arguments, count=2):
    return launch(count, "-m", "prunelab", "imagenet", *arguments, "--device", "cpu")


def said(done):
    """What prunelab itself wrote on stderr."""
    return [line for line in done.stderr.splitlines() if line.startswith("prunelab: ")]


def test_two_processes_killed_on_the_way_go_on_and_write_one_row(root, capsys):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "prunelab", "imagenet", PRUNED, "--rehearse"]
    trained = root / "runs/checkpoints"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PRUNELAB_DEVICE": "cpu"}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = subprocess.Popen(command, env=environment, **pipes)
    end = time.monotonic() + 120
    while not list(trained.glob("*.json")) and time.monotonic() < end:
        time.sleep(0.05)
    started.terminate()
    started.wait(60)
    assert not rows(root), "it was killed after the training and before the row"
    (network,) = trained.glob("*.safetensors")
    before = network.stat().st_mtime_ns

    done = together(PRUNED, "--rehearse")
    assert done.returncode == 0, done.stderr[-2000:]
    said = f"{PRUNED}: rehearsed, no result; row "
    (line,) = [one for one in done.stdout.splitlines() if one.startswith(said)]
    assert network.stat().st_mtime_ns == before, "it was not trained again"
    (row,) = rows(root)
    assert (row["processes"], row["preset"]) == (2, "smoke")
    # In one process the row is found.
    assert main(["imagenet", PRUNED, "--rehearse", "--device", "cpu"]) == 0
    assert line in capsys.readouterr().out and len(rows(root)) == 1


def test_images_that_one_process_does_not_see_end_all_with_one_line(root, tmp_path):
    """As on a machine that lacks the folder."""
    script = tmp_path / "one.py"
    script.write_text(
        "import os, sys\n"
        "if os.environ['RANK'] == '1': os.environ['PRUNELAB_DATA'] = '/nowhere'\n"
        "from prunelab.cli import main\n"
        "sys.exit(main(['imagenet', 'pfec/resnet-34', '--rehearse']))\n"
    )
    done = launch(2, script, PRUNELAB_DEVICE="cpu")
    assert done.returncode != 0 and not done.stdout
    (line,) = said(done)
    assert line.startswith(
        "prunelab: imagenet: no folder `imagenet` in a data root: put the images"
    )
    assert line.endswith("(process 1 of 2)")
