"""`prunelab explore`: however the command ends, nothing of it is left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import psutil
import pytest
from helpers.ports import free_port

from prunelab import cli

LONG = 120  # seconds; a busy machine starts a kernel slowly


# The command without the network library, which takes most of its start.
QUICK = """
import sys, types
for name in ("prunelab.widgets", "prunelab.widgets.exploring.recorded"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["prunelab.widgets.exploring.recorded"].shipped = lambda: None
from prunelab.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def explore(tmp_path):
    """explore(name) starts the command as a user does; gives its process and its port."""
    started = []

    def start(name):
        port, temporary = free_port(), tmp_path / name
        temporary.mkdir()
        command = [sys.executable, "-c", QUICK, "explore", "--no-browser", "--port", str(port)]
        log = open(tmp_path / f"{name}.log", "wb")  # noqa: SIM115
        env = {**os.environ, "TMPDIR": str(temporary)}
        runner = subprocess.Popen(command, stdout=log, stderr=log, env=env, preexec_fn=hears_ctrl_c)
        started.append((runner, log))
        return psutil.Process(runner.pid), port

    yield start
    for runner, log in started:
        runner.kill()
        runner.wait()
        log.close()


def hears_ctrl_c():
    """What a shell starts in the background may ignore it, and so would all that tests start."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


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


def test_however_the_command_ends_its_kernels_end(explore, tmp_path):
    commands = {name: explore(name) for name in ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT")}
    for name, (command, port) in commands.items():
        wait_for(lambda port=port: ask(port))
        family = [command, *wait_for(lambda command=command: kernels(command))]
        assert all(map(alive, family))
        command.send_signal(getattr(signal, name))
        wait_for(lambda family=family: not any(map(alive, family)), 30)
    assert list((tmp_path / "SIGINT").iterdir()) == [], "temporary files are left"


def test_a_port_in_use_is_one_line(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["explore", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"prunelab: explore: cannot listen on port {port} (Address already in")
