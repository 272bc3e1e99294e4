"""The bundle, unpacked elsewhere and installed with networking refused. Slow: it holds torch."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Without a network, but for the loopback that Jupyter's kernels talk over; then the command.
LOOPBACK = """
import fcntl, os, socket, struct, sys
up = struct.pack("16sH14s", b"lo", 1, b"")  # IFF_UP
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, up)  # SIOCSIFFLAGS
os.execvp(sys.argv[1], sys.argv[1:])
"""
BUNDLE = [sys.executable, ROOT / "tools" / "bundle.py"]


def test_a_data_set_that_is_not_here_is_refused_before_anything_is_done(tmp_path):
    env = os.environ | {"PRUNELAB_DATA": str(tmp_path / "none")}
    for name, words in (("mnist", "is not on this machine"), ("minst", "minst")):
        done = subprocess.run(
            [*BUNDLE, "--out", tmp_path / "out", "--data", name],
            cwd=tmp_path, env=env, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_it_installs_and_runs_without_a_network(tmp_path):
    alone = ["unshare", "--map-root-user", "--net", sys.executable, "-c", LOOPBACK]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"]).returncode:
        pytest.skip("networking cannot be refused here")
    subprocess.run([*BUNDLE, "--out", tmp_path], cwd=ROOT, check=True)
    (archive,) = tmp_path.glob("*.tar")
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    archive.unlink()
    (place,) = tmp_path.glob("prunelab-*")
    kept = {k: v for k, v in os.environ.items() if not re.match("PRUNELAB_|PIP_|UV_|PYTHON", k)}
    kept |= {"HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull, "OMP_NUM_THREADS": "1"}
    base = Path(sys.base_prefix) / "bin" / "python3"
    for command in (
        [base, "install.py"],
        [place / "env" / "bin" / "prunelab", "run", "00", "--preset", "smoke", "--device", "cpu"],
    ):
        cwd = place if command[0] == base else place / "study"
        done = subprocess.run([*alone, *command], cwd=cwd, env=kept, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 notebooks finished" in done.stdout + done.stderr
    pages = [place / "explorer.html", place / "report.html"]
    assert all(page.stat().st_size > 100_000 for page in pages)
