"""Where the recipes of a run are measured: Dask workers on this machine, or on others."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any

from prunelab import extras, paths
from prunelab.study.runner.execution import one_line
from prunelab.study.runner.plan import SCHEDULERS, SeriesPlan, gpus

FOLDERS = "PRUNELAB_RUNS", "PRUNELAB_DATA"  # a machine may have its own
PASSED = (*FOLDERS, "PRUNELAB_DEVICE", "PRUNELAB_SINCE", "PRUNELAB_WRITE")
AT_START = frozenset(os.environ)


@contextmanager
def scheduler(plan: SeriesPlan) -> Iterator[str]:
    """The address of a Dask scheduler, with its workers for as long as this runs.

    Those of `tcp://HOST:PORT` are somebody's own and stay. Others are started and ended here:
    `local` as processes of this machine, one a GPU in turn; `slurm` and `kubernetes` as
    dask-jobqueue and dask-kubernetes do it, by the settings in Dask's configuration.
    """
    if plan.scheduler not in STARTED:
        yield str(plan.scheduler)
        return
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        cluster = STARTED[plan.scheduler](plan)
    except Exception as error:  # whatever a cluster's library gives
        why = one_line(f"{type(error).__name__}: {error}")
        raise OSError(f"run: `--scheduler {plan.scheduler}` cannot start workers: {why}") from None
    with cluster:
        yield cluster.scheduler_address


def local(plan: SeriesPlan) -> Any:
    """`plan.workers` processes on this machine."""
    from distributed import Nanny, Scheduler, SpecCluster

    workers, logs = {}, paths.made(plan.out / "logs", "run")
    for sign in signs(plan):
        sign.unlink()
    for number, gpu in enumerate(gpus(plan), 1):
        name = f"local-{number}"
        given = plan.environment(gpu) | {"PRUNELAB_PROGRESS": str(logs / f"{name}.progress")}
        options = {"nthreads": 1, "memory_limit": 0, "env": given}
        options["silence_logs"] = logging.CRITICAL
        workers[name] = {"cls": Nanny, "options": options}
    control = {"cls": Scheduler, "options": {"host": "127.0.0.1", "dashboard_address": ":0"}}
    return SpecCluster(
        workers=workers, scheduler=control, name="prunelab", silence_logs=logging.CRITICAL
    )


def signs(plan: SeriesPlan) -> list[Path]:
    """The files in which local workers give signs of life."""
    return sorted((plan.out / "logs").glob("local-*.progress"))


def slurm(plan: SeriesPlan) -> Any:
    """`plan.workers` jobs of one worker each; cores, memory, partition: jobqueue.yaml of Dask."""
    extras.need("run: `--scheduler slurm`", "cluster", "dask_jobqueue")
    if which("sbatch") is None:
        raise FileNotFoundError("there is no `sbatch` on this machine")
    import dask
    from dask_jobqueue import SLURMCluster

    settings = dask.config.get("jobqueue.slurm")
    usual: dict[str, Any] = {"cores": 1, "memory": "8GB", "processes": 1}
    chosen = {name: settings.get(name) or value for name, value in usual.items()}
    exports = [f"export {name}={value}" for name, value in passed(plan).items()]
    chosen["job_script_prologue"] = [*(settings.get("job-script-prologue") or []), *exports]
    if plan.device == "cuda":
        extra = settings.get("job-extra-directives") or []
        named = any("gres" in line or "gpu" in line for line in extra)
        chosen["job_extra_directives"] = [*extra, *([] if named else ["--gres=gpu:1"])]
    free = {"dashboard_address": ":0"}  # several runs may share a machine
    cluster = SLURMCluster(name="prunelab", scheduler_options=free, **chosen)
    cluster.scale(jobs=plan.workers)
    return cluster


def kubernetes(plan: SeriesPlan) -> Any:
    """`plan.workers` pods; the image, in which prunelab is installed: kubernetes.yaml of Dask."""
    extras.need("run: `--scheduler kubernetes`", "cluster", "dask_kubernetes")
    from dask_kubernetes.operator import KubeCluster

    env = {name: value for name, value in passed(plan).items() if name not in FOLDERS}
    resources = {"resources": {"limits": {"nvidia.com/gpu": "1"}}} if plan.device == "cuda" else {}
    return KubeCluster(name="prunelab", n_workers=plan.workers, env=env, **resources)


STARTED: Mapping[str, Callable[[SeriesPlan], Any]] = dict(
    zip(SCHEDULERS, (local, slurm, kubernetes))
)


def passed(plan: SeriesPlan) -> dict[str, str]:
    """The variables of a run, for a worker that was not started with them."""
    return {k: v for k, v in plan.environment(None).items() if k in PASSED}


def settle(given: Mapping[str, str], folder: str) -> None:
    """Take over the variables of a run, in a worker that may have served another run before.

    Args:
        given: see `passed`. The worker's own folders stand, and those that are not here are none.
        folder: of the worker; it writes there where it shares no folder with the run.
    """
    for name in PASSED:
        if name not in AT_START:
            os.environ.pop(name, None)
    shared = os.path.isdir(given["PRUNELAB_RUNS"])
    for name, value in given.items():
        usable = os.path.isdir(value) if name in FOLDERS else shared or name != "PRUNELAB_WRITE"
        if usable and not (name in FOLDERS and name in AT_START):
            os.environ[name] = value
    os.environ.setdefault("PRUNELAB_RUNS", folder)
