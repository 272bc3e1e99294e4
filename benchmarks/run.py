"""All benchmarks, one after another; each prints ratios measured in one run.

make bench        or        python benchmarks/surgery_speed.py
"""

import runpy
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    for path in sorted(HERE.glob("*_speed.py")):
        print(f"== {path.stem}", flush=True)
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as end:  # it needs what is not here, and says so
            print(end.code)


if __name__ == "__main__":
    main()
