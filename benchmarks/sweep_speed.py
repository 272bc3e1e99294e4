"""What carrying a recipe costs beside its measurement, and what a ledger of 10,000 rows costs.

    python benchmarks/sweep_speed.py

The recipes only count a small network, so nearly all that is timed is the carrying. "Workers" times
a recipe once two Dask workers are up, with a ledger that is empty or already has the rows.
"""

import json
import os
import tempfile
import time
from functools import partial
from pathlib import Path

ROWS, RECIPES = 10_000, 40
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
            for n in range(RECIPES)
        ]
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
