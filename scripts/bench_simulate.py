"""What `simulate` costs: seconds of CPU, peak memory and bytes on disk.

    python scripts/bench_simulate.py [--studies 227835] [--images SIZE]

The figures of docs/simulator.md come from here. Writes to a temporary folder and removes it.
"""

import argparse
import os
import platform
import resource
import tempfile
import time
from pathlib import Path

from ltml_dataset.simulate import simulate_release


def main() -> None:
    """Simulate once and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=227_835)
    parser.add_argument("--images", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        release = simulate_release(Path(folder), options.studies, images=options.images)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)
    print(
        f"{release.n_studies:,} studies, {release.n_images:,} images"
        f"{f' drawn at {options.images} pixels' if options.images else ' not drawn'}: {cpu:.1f} s of CPU "
        f"({wall:.1f} s passed), {peak / 2**20:.0f} MiB at the peak, {size / 2**20:.0f} MiB on disk; "
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    main()
