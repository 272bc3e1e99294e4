"""One archive that installs prunelab without a network: wheels for this platform, study, pages.

    .venv/bin/python tools/bundle.py [--data mnist ...] [--out dist]

What needs a network is done here. On the other machine, which must have the same platform and
Python version, `python3 install.py` needs none.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

from prunelab.study.pages import report

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = "study,onnx"

INSTALL = '''\
"""Install prunelab from this folder, without a network, into ./env."""

import platform
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent
NEEDED = ("{platform}", "{python}")
found = (sysconfig.get_platform(), ".".join(platform.python_version_tuple()[:2]))
if found != NEEDED:
    sys.exit(f"bundle: made for {{' and Python '.join(NEEDED)}}; this is {{', '.join(found)}}")
env = HERE / "env"
subprocess.run([sys.executable, "-m", "venv", env], check=True)
python = env / ("Scripts" if sys.platform == "win32" else "bin") / "python"
pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
wheels = ["--no-index", "--find-links", HERE / "wheels"]
subprocess.run([*pip, *wheels, "prunelab[{extras}]"], check=True)
prunelab = python.with_name("prunelab")
print(f"installed. Next: cd {{HERE / 'study'}} && {{prunelab}} run")
print(f"or open {{HERE / 'explorer.html'}} in a browser")
'''
README = """\
# prunelab {version}, offline

    python3 install.py       # into ./env, without a network: {platform}, Python {python}
    cd study
    ../env/bin/prunelab run  # or: ../env/bin/jupyter lab notebooks

`explorer.html` and `report.html` open in any browser and need nothing.{data}
"""
DATA = """
`data/` has {names}: set PRUNELAB_DATA to that folder, and preset `standard` uses it."""


def main() -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", nargs="*", default=[], metavar="NAME", help="e.g. mnist cifar10")
    parser.add_argument("--out", default=ROOT / "dist", type=Path, metavar="DIR")
    options = parser.parse_args()
    try:
        print(f"bundle: {build(options.out, options.data)}")
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"bundle: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def build(out: Path, data: list[str]) -> Path:
    """Make the archive.

    Args:
        out: folder to put it in; made if it is not there.
        data: names of data sets to add; they must be on this machine.

    Returns:
        Path of the archive.

    Raises:
        ValueError: a data set is unknown or not here.
        OSError, CalledProcessError: a step failed.
    """
    sets = {name: _found(name) for name in data}
    out.mkdir(parents=True, exist_ok=True)
    of = {"platform": sysconfig.get_platform(), "version": version("prunelab"), "extras": EXTRAS}
    of["python"] = ".".join(platform.python_version_tuple()[:2])
    name = f"prunelab-{of['version']}-{of['platform']}-py{of['python']}"
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        made = Path(scratch) / name
        made.mkdir()
        _wheels(made / "wheels")
        _run("prunelab", "new-study", made / "study")
        report.build(made, root=ROOT)  # of the committed rows; the explorer comes with it
        for place in sets.values():
            (made / "data").mkdir(exist_ok=True)
            shutil.copytree(place, made / "data" / place.name)
        of["data"] = DATA.format(names=", ".join(sets)) if sets else ""
        (made / "install.py").write_text(INSTALL.format(**of))
        (made / "README.md").write_text(README.format(**of))
        archive = out / f"{name}.tar"
        with tarfile.open(archive, "w") as file:  # wheels are compressed already
            file.add(made, name)
    return archive


def _found(name: str) -> Path:
    from prunelab.data import public

    place = public.find(name)
    if place is None:
        raise ValueError(f"`{name}` is not on this machine; `prunelab data {name}` fetches it")
    return place


def _wheels(folder: Path) -> None:
    """The project's own wheel, and those of everything that it needs."""
    folder.mkdir()
    hatch = ["hatchling", "build", "--target", "wheel", "--directory", folder]
    _run("python", "-m", *hatch)
    (own,) = folder.glob("prunelab-*.whl")
    download = ["download", "-qqq", "--only-binary", ":all:", "--dest", folder]
    _run("python", "-m", "pip", *download, f"{own}[{EXTRAS}]")


def _run(tool: str, *arguments: object) -> str:
    """Run a tool of this environment; gives what it printed."""
    command = [str(Path(sys.executable).with_name(tool)), *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
