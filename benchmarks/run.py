"""All benchmarks, one after another; each prints ratios measured in one run.

make bench        or        python benchmarks/surgery_speed.py
"""

import runpy
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    for path in sorted(HERE.glob("*_speed.py")):
        print(f"== {path.stem}", flush=True)
        runpy.run_path(str(path), run_name="__main__")


if __name__ == "__main__":
    main()
