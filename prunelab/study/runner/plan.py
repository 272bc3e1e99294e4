"""What to run and how; everything is checked before the first kernel starts."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prunelab import checks, paths
from prunelab.study.recipes import PRESETS, SEEDS
from prunelab.study.runner.notebook import Notebook, checked, notebooks, select

SCHEDULERS = ("local", "slurm", "kubernetes")  # whose workers a run starts itself
ADDRESS = r"tcp://(?:\[[0-9a-fA-F:]+\]|[^\[\]/:\s]+):(\d{1,5})"  # of a scheduler
LIMITS = dict(zip(PRESETS, (600, 600, 1800, 7200)))  # seconds without progress


@dataclass(frozen=True)
class SeriesPlan:
    """What to run and how, already checked. Made by `plan`.

    Of its fields, `since` is when a refresh began (ISO 8601, UTC), or "" if nothing is refreshed.
    """

    notebooks: tuple[Notebook, ...]
    root: Path
    out: Path
    preset: str
    device: str
    parameters: Mapping[str, Any]
    limit: float
    workers: int = 1
    scheduler: str | None = None
    since: str = ""
    write: bool = False
    data_root: Path | None = None
    sources: str = field(default_factory=lambda: _hash(*_sources()))

    def key(self, notebook: Notebook) -> str:
        """Identifies a run of a notebook: what finished under this key need not run again."""
        asked = {k: v for k, v in self.parameters.items() if k != "REFRESH"}
        parts = (notebook.identity(), asked, self.device, self.write, self.sources)
        return _hash(json.dumps(parts, sort_keys=True).encode())

    def target(self, notebook: Notebook) -> Path:
        return self.out / "notebooks" / f"{notebook.name}.ipynb"

    def environment(self, gpu: str | None) -> dict[str, str]:
        """Environment of the kernel: output folder, data, device, threads."""
        data = self.data_root or paths.data_folder() or self.root / "data" / "cache"
        data = Path(data).expanduser().resolve()  # absolute, since the kernel works in notebooks/
        write = "1" if self.write else ""
        env = paths.environment(
            runs=self.out, device=self.device, data=data, write=write, since=self.since
        )
        if gpu is not None:
            env["CUDA_VISIBLE_DEVICES"] = gpu
        if self.workers > 1:  # workers that each take every core slow one another down
            env.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // self.workers)))
        return env


def plan(
    numbers: Iterable[str] = (),
    preset: str = "quick",
    *,
    device: str | None = None,
    data_root: str | Path | None = None,
    out: str | Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    refresh: bool = False,
    write: bool = False,
    parameters: Mapping[str, Any] | None = None,
    limit: float | None = None,
    root: Path | None = None,
) -> SeriesPlan:
    """Check everything that can be checked before a kernel starts.

    Args:
        numbers: notebooks, see `select`.
        preset: smoke, quick, standard or paper.
        device: cpu or cuda; without it, cuda where there is one.
        data_root: folder with data sets.
        out: where everything is written; `runs/<preset>` in the project by default.
        workers: how many recipes are measured at once, and then notebooks run.
        scheduler: whose Dask workers measure: "local" (by default with several workers), "slurm",
            "kubernetes", or the address of a scheduler, whose workers are as many as it has.
            None with one worker: each notebook measures what it shows.
        refresh: run all notebooks and measure all rows again; one that was interrupted goes on.
        write: also write the executed notebooks to `notebooks/`; one that was finished before the
            committed ledger got its last row runs again.
        parameters: further parameters, name -> value; every selected notebook must know them.
        limit: seconds without progress after which a notebook is stopped; by preset by default.
        root: the project, found by itself otherwise.

    Raises:
        ValueError: a wrong name or value. FileNotFoundError: no such folder. OSError: `out`.
    """
    checks.word("run", "preset", preset, PRESETS)
    limit = LIMITS[preset] if limit is None else limit
    checks.number("run", "limit", limit, "a number of seconds above 0", lambda value: value > 0)
    check_data_root("run", data_root)
    root = root or paths.project()
    chosen = select(numbers, notebooks(root))
    most = max(4 * (os.cpu_count() or 1), len(chosen))
    checks.count("run", "workers", workers)
    _check_scheduler(scheduler)
    if scheduler in (None, "local"):
        checks.need(workers <= most, "run", "workers", f"at most {most} on this machine", workers)
        scheduler = scheduler or ("local" if workers > 1 else None)
    # SEEDS as a list, because papermill injects a tuple as a string.
    given = {"PRESET": preset, "SEEDS": list(SEEDS[preset]), "REFRESH": refresh or "missing"}
    given |= checked(parameters or {})
    for book in chosen:
        _check_parameters(book, given, write)
    device = _device(device)
    out = _writable(root / "runs" / preset if out is None else out)
    options = {
        "workers": workers,
        "scheduler": scheduler,
        "since": _since(out) if refresh else "",
        "write": write,
    }
    data_root = Path(data_root).resolve() if data_root else None
    return SeriesPlan(
        chosen, root, out, preset, device, given, limit, data_root=data_root, **options
    )


def check_data_root(command: str, data_root: str | Path | None) -> None:
    """FileNotFoundError unless it is None or a folder."""
    if data_root is not None and not (str(data_root) and Path(data_root).is_dir()):
        raise FileNotFoundError(f"{command}: `data_root` must be a folder; got {str(data_root)!r}")


def _check_scheduler(scheduler: object) -> None:
    found = re.fullmatch(ADDRESS, scheduler) if isinstance(scheduler, str) else None
    address = found is not None and int(found[1]) < 2**16
    allowed = f"tcp://HOST:PORT, {', '.join(SCHEDULERS)}"
    known = scheduler is None or scheduler in SCHEDULERS or address
    checks.need(known, "run", "scheduler", allowed, scheduler)


def _check_parameters(book: Notebook, asked: Mapping[str, Any], write: bool) -> None:
    known = book.parameters()
    for name in asked:
        if name not in known:
            has = ", ".join(known) or "nothing"
            raise ValueError(
                f"run: {book.name} has no parameter {name!r}; its parameters cell has {has}"
            )
    if write and known["PRESET"] != asked["PRESET"]:
        raise ValueError(  # else the committed outputs would not be what the source gives
            f"run: --write needs the preset in the notebook's parameters cell; "
            f"{book.name} has {known['PRESET']!r}, given {asked['PRESET']!r}"
        )


def _device(device: str | None) -> str:
    if device not in (None, "cpu", "cuda"):
        raise ValueError(f"run: `device` must be cpu or cuda; got {device!r}")
    if device == "cpu":
        return device
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("run: `device` is 'cuda' but torch sees none; available: cpu")
    return "cuda" if torch.cuda.is_available() else "cpu"


def _writable(out: str | Path) -> Path:
    out = checks.path("run", "out", out)
    try:
        (out / "notebooks").mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise paths.unwritable("run", out, error) from None
    return out.resolve()


def refreshing(out: Path) -> Path:
    """The file that says when a refresh began. It is there until the whole refresh succeeds."""
    return out / "refreshing"


def _since(out: Path) -> str:
    """When the refresh began: now, or when an interrupted one did."""
    mark = refreshing(out)
    with contextlib.suppress(OSError, ValueError):  # none, or a damaged one
        datetime.fromisoformat(begun := mark.read_text(encoding="utf-8").strip())
        return begun
    paths.write_text(mark, begun := now(), "run")
    return begun


def now() -> str:
    """The current time to the second, in ISO 8601, UTC. Such texts are in the order of time."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _sources() -> list[bytes]:
    papers = (paths.shipped() / "data" / "papers").glob("*/*.*")
    files = [*paths.PACKAGE.rglob("*.py"), *papers]
    return [part for path in sorted(files) for part in (path.name.encode(), path.read_bytes())]


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def gpus(plan: SeriesPlan) -> list[str | None]:
    """One entry per worker: the CUDA devices in turn, or None to leave the environment as it is."""
    if plan.device != "cuda" or plan.workers == 1:
        return [None] * plan.workers
    import torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = given.split(",") if given else [str(i) for i in range(torch.cuda.device_count())]
    return [names[i % len(names)] for i in range(plan.workers)]


def shown(progress: bool) -> dict[str, Any]:
    """How a bar is drawn: live in a terminal, now and then in a file that collects the output."""
    pace = 0.1 if sys.stderr.isatty() else 10.0
    return {"disable": not progress, "mininterval": pace, "miniters": 0, "leave": False}
