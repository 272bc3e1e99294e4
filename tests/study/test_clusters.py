"""Clusters: jobs and pods have one worker of one thread, with what the run needs."""

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import dask
import distributed
import psutil
import pytest
from helpers.series import add_notebook, wait_for

from prunelab.study.networks import Network
from prunelab.study.runner import clusters
from prunelab.study.study import Case
from prunelab.study.tasks import Count

QUICK = (Case("all", "counted", Network("lenet-300-100"), Count(None, (1, 28, 28))),)


def test_where_slurm_is_missing_there_is_one_line(toy, monkeypatch):
    monkeypatch.setattr(clusters, "which", lambda name: None)
    checked = toy(QUICK, (0,), scheduler="slurm")
    said = "^run: `--scheduler slurm` cannot start workers: FileNotFoundError: there is no `sbatch`"
    with pytest.raises(OSError, match=said):
        clusters.scheduler(checked).__enter__()


def script_of(checked, monkeypatch, **settings):
    dask.config.refresh()
    named = {f"jobqueue.slurm.{name.replace('_', '-')}": value for name, value in settings.items()}
    monkeypatch.setattr(clusters, "which", lambda name: name)
    kept = []
    monkeypatch.setattr(clusters, "kept", lambda cluster, jobs: kept.append(jobs) or cluster)
    with dask.config.set(named), clusters.slurm(checked) as cluster:
        assert kept == [checked.workers]
        return cluster.job_script()


@pytest.mark.parametrize("cores", [1, 16])
def test_a_slurm_job_starts_one_worker_of_one_thread_whatever_its_cores(toy, monkeypatch, cores):
    checked = toy(QUICK, (0,), scheduler="slurm", workers=20)
    settings = {"queue": "gpu", "walltime": "08:00:00", "cores": cores}
    script = script_of(checked, monkeypatch, **settings)
    assert "#SBATCH -p gpu" in script and "#SBATCH -t 08:00:00" in script
    assert f"#SBATCH --cpus-per-task={cores}\n" in script
    assert f"export OMP_NUM_THREADS={cores}\n" in script, "the cores are torch's"
    assert "distributed.cli.dask_worker" in script and "--nthreads 1 " in script
    assert "--nworkers" not in script and "gres" not in script


@pytest.mark.parametrize(
    ("settings", "asked"),
    [({}, "--gres=gpu:1"), ({"job_extra_directives": ["--gpus=a100:1"]}, "--gpus=a100:1")],
)
def test_a_slurm_job_on_gpus_asks_for_one_once(toy, monkeypatch, settings, asked):
    checked = replace(toy(QUICK, (0,), scheduler="slurm"), device="cuda")
    script = script_of(checked, monkeypatch, cores=8, processes=2, **settings)
    (line,) = [line for line in script.splitlines() if "gres" in line or "gpus=" in line]
    assert line == f"#SBATCH {asked}"
    assert "--nthreads 1 " in script and "--nworkers 2 " in script and "OMP_NUM_THREADS=4" in script


@pytest.mark.parametrize("name", ["two words", "it's $HOME; `x`", 'a "b" & c'])
def test_bash_gives_a_slurm_job_the_folders_whatever_their_names(toy, monkeypatch, tmp_path, name):
    checked = replace(toy(QUICK, (0,), scheduler="slurm"), out=tmp_path / name)
    lines = script_of(checked, monkeypatch).splitlines()
    exports = [line for line in lines if line.startswith("export ")]
    asked = "\n".join([*exports, 'printf %s "$PRUNELAB_RUNS"'])
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True)
    assert done.stdout == str(checked.out)


@pytest.mark.slow
def test_a_job_that_ends_is_replaced():
    from dask_jobqueue.local import LocalCluster

    free = {"dashboard_address": ":0"}
    options = {"cores": 1, "memory": "1GB", "processes": 1, "scheduler_options": free}
    with LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        clusters.kept(cluster, 1)
        ids = []
        for _ in range(2):
            wait_for(lambda: client.scheduler_info(n_workers=-1)["workers"])
            ids += [one["id"] for one in client.scheduler_info(n_workers=-1)["workers"].values()]
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            wait_for(lambda: not client.scheduler_info(n_workers=-1)["workers"])
    assert len(ids) == 2


@pytest.mark.parametrize(("device", "gpus"), [("cpu", {}), ("cuda", {"nvidia.com/gpu": "1"})])
def test_a_pod_gets_the_variables_but_no_folder_of_this_machine(toy, monkeypatch, device, gpus):
    made = []
    operator = SimpleNamespace(KubeCluster=lambda **options: made.append(options))
    monkeypatch.setitem(sys.modules, "dask_kubernetes.operator", operator)
    monkeypatch.setattr("prunelab.extras.need", lambda *names: None)
    checked = replace(toy(QUICK, (0,), scheduler="kubernetes", workers=3), device=device)
    clusters.kubernetes(checked)
    ((options,),) = [made]
    assert options["worker_command"] == ["dask-worker", "--nthreads", "1"]
    assert options["n_workers"] == 3 and options["env"] == {"PRUNELAB_DEVICE": device}
    assert options.get("resources", {}).get("limits", {}) == gpus


def test_without_credentials_kubernetes_is_one_line_also_when_python_ends(tmp_path):
    pytest.importorskip("dask_kubernetes")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "prunelab.toml").touch()
    add_notebook(tmp_path, "01-toy")
    code = (
        "from pathlib import Path\n"
        "from prunelab.study.runner import clusters, plan\n"
        "checked = plan.plan(device='cpu', scheduler='kubernetes', root=Path.cwd())\n"
        "try:\n    clusters.scheduler(checked).__enter__()\n"
        "except OSError as error:\n    print(error)\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KUBE")}
    environment |= {"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "none")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.startswith("run: `--scheduler kubernetes` cannot start workers: ")
    assert "Traceback" not in done.stderr, done.stderr


def test_a_worker_keeps_its_own_folders_and_follows_the_latest_run(monkeypatch, tmp_path):
    monkeypatch.setattr(clusters, "AT_START", frozenset({"PRUNELAB_DATA"}))
    monkeypatch.setattr(os, "environ", {"PRUNELAB_DATA": "its own"})
    (tmp_path / "shared").mkdir()
    shared = {"PRUNELAB_RUNS": str(tmp_path / "shared"), "PRUNELAB_DATA": str(tmp_path)}
    clusters.settle(shared | {"PRUNELAB_WRITE": "1", "PRUNELAB_SINCE": "then"}, "scratch")
    own = {k: v for k, v in os.environ.items() if k.startswith("PRUNELAB_")}
    expected = shared | {"PRUNELAB_DATA": "its own", "PRUNELAB_WRITE": "1"}
    assert own == expected | {"PRUNELAB_SINCE": "then"}
    far = {"PRUNELAB_RUNS": str(tmp_path / "elsewhere"), "PRUNELAB_WRITE": "1"}
    clusters.settle(far, "scratch")
    own = {k: v for k, v in os.environ.items() if k.startswith("PRUNELAB_")}
    assert own == {"PRUNELAB_DATA": "its own", "PRUNELAB_RUNS": "scratch"}
