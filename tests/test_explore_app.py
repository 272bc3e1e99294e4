"""`prunelab explore`: however the command ends, nothing of it is left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from prunelab import cli

LONG = 120  # seconds; a busy machine starts a kernel slowly


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def explore(tmp_path):
    """explore() starts the command as a user does; gives its process and its port."""
    started = []

    def start():
        port = free_port()
        command = [sys.executable, "-m", "prunelab", "explore", "--no-browser", "--port", str(port)]
        log = open(tmp_path / "log", "wb")  # noqa: SIM115
        env = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
        (tmp_path / "tmp").mkdir(exist_ok=True)
        runner = subprocess.Popen(command, stdout=log, stderr=log, env=env, preexec_fn=hears_ctrl_c)
        started.append((runner, log))
        return psutil.Process(runner.pid), port

    yield start
    for runner, log in started:
        runner.kill()
        runner.wait()
        log.close()


def hears_ctrl_c():
    """What a shell starts in the background ignores it, and so would all that tests start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(condition, seconds=LONG):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
    return found


def alive(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def ask(port):
    """Open the page, for which Voila starts a kernel; the answer may come much later."""
    try:
        urllib.request.urlopen(f"http://localhost:{port}/", timeout=0.5).close()
    except TimeoutError:
        return True
    except OSError:
        return False
    return True


def kernels(process):
    return [p for p in process.children(recursive=True) if "ipykernel" in " ".join(p.cmdline())]


def test_kill_9_of_the_command_ends_voila_and_its_kernels(explore, tmp_path):
    command, port = explore()
    wait_for(lambda: ask(port))
    wait_for(lambda: kernels(command))
    family = command.children(recursive=True)
    assert len(family) >= 2 and all(map(alive, family))
    command.kill()
    wait_for(lambda: not any(map(alive, family)), 30)
    assert list((tmp_path / "tmp").iterdir()) == [], "temporary files are left"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_to_the_command_ends_voila(name, explore, tmp_path):
    command, _ = explore()
    (server,) = wait_for(command.children)
    wait_for(lambda: "explorer.ipynb" in " ".join(map(str, (tmp_path / "tmp").rglob("*"))))
    command.send_signal(getattr(signal, name))
    wait_for(lambda: not alive(server) and not alive(command), 30)
    assert "Traceback" not in Path(tmp_path / "log").read_text()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_port_in_use_is_one_line(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["explore", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"prunelab: explore: cannot listen on port {port} (Address already in")
