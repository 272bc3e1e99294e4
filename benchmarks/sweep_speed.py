"""What carrying a recipe costs beside its measurement, and what a ledger of 10,000 rows costs.

    python benchmarks/sweep_speed.py

The recipes only count a small network, so nearly all that is timed is the carrying: in one process
by its own seconds, and by the clock through two Dask workers that are up, with a ledger that is
empty or already has the rows.
"""

import json
import os
import tempfile
import time
from functools import partial
from pathlib import Path

ROWS, RECIPES, WARM = 10_000, 40, 8
MOST = 0.05  # of a recipe of one minute: what its carrying may cost with 10,000 rows


def filled(path: Path, rows: int) -> None:
    """A ledger with copies of a committed row of usual size."""
    from prunelab.study import ledger
    from prunelab.study import rows as files

    row = files.read(ledger.COMMITTED / "discrimination_aware.jsonl")[10]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        for number in range(rows):
            file.write(json.dumps(row | {"key": f"{number:012x}", "stem": "sweep"}) + "\n")


def seconds(call, given) -> float:
    """Seconds that a call takes on average, of this process alone."""
    start = time.process_time()
    for one in given:
        call(one)
    return (time.process_time() - start) / len(given)


def through_workers(recipes: list) -> float:
    """Seconds by the clock that a recipe takes through two Dask workers, both at work."""
    from distributed import LocalCluster

    from prunelab.study.runner import fanout
    from prunelab.study.runner.plan import plan

    quiet = {"dashboard_address": None, "silence_logs": "CRITICAL"}
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **quiet) as cluster:
        how = {"scheduler": cluster.scheduler_address, "out": os.environ["PRUNELAB_RUNS"]}
        checked = plan(device="cpu", **how)
        first, rest = recipes[:WARM], recipes[WARM:]
        fanout.carry_out(checked, {one.key: one for one in first}, progress=False)
        start = time.perf_counter()
        fanout.carry_out(checked, {one.key: one for one in rest}, progress=False)
        return (time.perf_counter() - start) / len(rest)


def main() -> None:
    os.environ["PRUNELAB_RUNS"] = tempfile.mkdtemp()
    from prunelab.study import archive, ledger
    from prunelab.study import rows as files
    from prunelab.study.recipes import Recipe
    from prunelab.study.tasks import Count

    path = ledger.folder() / "sweep.jsonl"
    for rows in (0, ROWS):
        filled(path, rows)
        count = Count(None, (1, 28, 28))
        recipes = [
            Recipe("sweep", "quick", "one", count, "lenet-300-100", seed=rows + n)
            for n in range(2 * RECIPES + WARM)
        ]
        recipes, others = recipes[:RECIPES], recipes[RECIPES:]
        ledger.measure(recipes[0], progress=False)
        alone = seconds(partial(ledger.measure, progress=False), recipes)
        kept = seconds(partial(ledger.run, refresh="missing", progress=False), recipes)
        extra = kept - alone
        share = extra / 60
        verdict = "met" if share < MOST else "missed"
        print(
            f"a ledger of {rows} rows ({path.stat().st_size / 1e6:.0f} MB): {1e3 * extra:.0f} ms a"
            f" recipe, {100 * share:.2f}% of a minute (goal: below {100 * MOST:.0f}%: {verdict})"
        )
        taken = through_workers(others)
        print(f"a ledger of {rows} rows, two Dask workers: {1e3 * taken:.0f} ms a recipe")
    every = files.read(path)
    url = str(path.parent / "archive")
    pack = seconds(partial(archive.pack, url=url), [every])
    size = Path(url, "sweep.parquet").stat().st_size / 1e6
    keys = [row["key"] for row in every[:: len(every) // 10]]
    found = seconds(partial(archive.read, url, "sweep"), [keys] * 5)
    whole = seconds(files.read, [path] * 3)
    print(
        f"as Parquet: {size:.1f} MB, packed in {pack:.1f} s; 10 rows in {1e3 * found:.0f} ms,"
        f" {whole / found:.1f} times as fast as reading all lines"
    )


if __name__ == "__main__":
    main()
