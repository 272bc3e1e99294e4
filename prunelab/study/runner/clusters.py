"""Where the recipes of a run are measured: Dask workers on this machine, or on others."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from typing import Any

from prunelab import extras, paths
from prunelab.study.runner.execution import one_line
from prunelab.study.runner.plan import SCHEDULERS, SeriesPlan, gpus

FOLDERS = "PRUNELAB_RUNS", "PRUNELAB_DATA"  # a machine may have its own
PASSED = (*FOLDERS, "PRUNELAB_DEVICE", "PRUNELAB_SINCE", "PRUNELAB_WRITE")
AT_START = frozenset(os.environ)
CLOSING = 10  # seconds that a cluster has to take back what it began


class ThreadsError(ValueError):
    """A worker has several threads."""


def check_alone(name: object, threads: int) -> None:
    """Refuse a worker that measures several recipes at once. Errors: ThreadsError.

    Its threads would share torch's generators and the variables of a run, and the rows would be
    wrong without a word.
    """
    if threads > 1:
        raise ThreadsError(
            f"run: worker {name} must have one thread, as seeds belong to a process; got {threads}:"
            " start it with --nthreads 1"
        )


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
    from dask_jobqueue import SLURMCluster

    # Several runs may share a machine.
    free = {"dashboard_address": ":0"}
    return kept(SLURMCluster(name="prunelab", scheduler_options=free, **_job(plan)), plan.workers)


def kept(cluster: Any, jobs: int) -> Any:
    """A dask-jobqueue cluster that starts another job for each that ends before the run does."""
    cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
    return cluster


def _job(plan: SeriesPlan) -> dict[str, Any]:
    """Options of a job. Its cores are for torch, not for threads of Dask."""
    import dask

    settings = dask.config.get("jobqueue.slurm")
    cores = settings.get("job-cpu") or settings.get("cores") or 1
    many = settings.get("processes") or 1
    given = {"OMP_NUM_THREADS": str(max(1, cores // many))} | passed(plan)
    exports = [f"export {name}={shlex.quote(value)}" for name, value in given.items()]
    before, extra = (
        settings.get(f"job-{n}") or [] for n in ("script-prologue", "extra-directives")
    )
    if plan.device == "cuda" and not any("gres" in line or "gpu" in line for line in extra):
        extra = [*extra, "--gres=gpu:1"]
    return {
        "job_cpu": cores,
        "cores": many,  # one thread a worker, see `check_alone`
        "processes": many,
        "memory": settings.get("memory") or "8GB",
        "job_script_prologue": [*before, *exports],
        "job_extra_directives": extra,
    }


def kubernetes(plan: SeriesPlan) -> Any:
    """`plan.workers` pods; the image, in which prunelab is installed: kubernetes.yaml of Dask."""
    extras.need("run: `--scheduler kubernetes`", "cluster", "dask_kubernetes")
    import dask
    from dask_kubernetes.operator import KubeCluster

    env = {name: value for name, value in passed(plan).items() if name not in FOLDERS}
    resources = {"resources": {"limits": {"nvidia.com/gpu": "1"}}} if plan.device == "cuda" else {}
    command = dask.config.get("kubernetes.worker-command", "dask-worker")
    command = [*(shlex.split(command) if isinstance(command, str) else command), "--nthreads", "1"]
    options = {"n_workers": plan.workers, "env": env, "worker_command": command, **resources}
    try:
        return KubeCluster(name="prunelab", **options)
    except BaseException:
        for begun in [*KubeCluster._instances]:  # else Dask closes it when Python ends, aloud
            with suppress(Exception):
                begun.close(timeout=CLOSING)
        KubeCluster._instances.clear()
        raise


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
