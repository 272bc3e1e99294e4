"""All benchmarks, one after another; each prints ratios measured in one run.

make bench        or        python benchmarks/surgery_speed.py
"""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    missed = []
    for path in sorted(HERE.glob("*_speed.py")):
        print(f"== {path.stem}", flush=True)
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as end:  # a goal was missed, or something is not here
            if isinstance(end.code, str):
                print(end.code)
            missed += [path.stem] if end.code else []
    if missed:
        sys.exit(f"goals missed or not measured: {', '.join(missed)}")


if __name__ == "__main__":
    main()
