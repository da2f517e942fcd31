"""Images per CPU second: decoding as the benchmark does, as a torchvision data set usually does, and from a cache.

    python scripts/bench_loader.py [--images 24] [--cached 20000] [--write]

JPEG files of MIMIC-CXR-JPG's size are simulated. CPU time of the whole process counts, so the figures do not depend
on how many cores happen to be free. `--write` puts the result into docs/performance.md.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from performance_page import machine, write_section
from PIL import Image

from ltml_benchmark.cache import ImageCache, build_cache
from ltml_benchmark.config import TransformConfig
from ltml_benchmark.decode import decode_gray
from ltml_benchmark.phantoms import LABELS, draw_image
from ltml_benchmark.transforms import training_view, view_draws

WIDTH, HEIGHT = 2544, 3056


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=24, help="JPEG files to decode")
    parser.add_argument("--cached", type=int, default=20_000, help="images to read from the cache")
    parser.add_argument("--copies", type=int, default=2000, help="images in the cache; each is read several times")
    parser.add_argument("--size", type=int, default=256, help="side of cached images")
    parser.add_argument("--write", action="store_true", help="write the section of docs/performance.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        paths = simulated_jpegs(Path(folder), options.images)
        megabytes = sum(path.stat().st_size for path in paths) / len(paths) / 2**20
        usual = rate(lambda: [usual_path(path) for path in paths], len(paths))
        ours = rate(lambda: [decode_gray(path, options.size) for path in paths], len(paths))
        cached, views = cache_rates(Path(folder), paths, options.copies, options.cached, options.size)
    rows = [
        ("usual torchvision path: RGB, Resize 256, crop 224, to tensor, normalise", usual),
        (f"`decode_gray`: draft mode, grey, {options.size} x {options.size}", ours),
        (f"cache of {options.copies} images, random order, batches of 64", cached),
        ("`training_view` on the CPU; in training a GPU does this part", views),
    ]
    body = (
        f"`python scripts/bench_loader.py --write`: {len(paths)} simulated grey JPEG files of {WIDTH} x {HEIGHT}, "
        f"quality 95, {megabytes:.1f} MB each, {machine()}.\n\n"
        "| path | images per CPU second | times the usual path |\n| --- | ---: | ---: |\n"
        + "\n".join(f"| {what} | {value:.1f} | {value / usual:.1f} |" for what, value in rows)
    )
    print(body)
    if options.write:
        write_section("loader", "Reading images", body)


def cache_rates(folder: Path, paths: list[Path], copies: int, count: int, size: int) -> tuple[float, float]:
    """Reading a cache in random order, and augmenting a batch on this processor."""
    small = []
    for path in paths:  # decoded once here, so that filling the cache takes no time
        small.append(folder / f"{path.stem}.png")
        Image.fromarray(decode_gray(path, size)).save(small[-1], compress_level=1)
    build_cache([str(i) for i in range(copies)], [small[i % len(small)] for i in range(copies)], folder / "cache", size)
    view = ImageCache.open(folder / "cache").view(np.arange(copies))
    order = np.random.default_rng(0).integers(0, copies, count)
    with ThreadPoolExecutor(1) as pool:
        cached = rate(lambda: [view.read(order[start : start + 64], pool) for start in range(0, count, 64)], count)
    images = torch.from_numpy(view.pixels[:64].copy())
    config, n = TransformConfig(), len(images)
    return cached, rate(lambda: [training_view(images, config, view_draws(n, step)) for step in range(5)], 5 * n)


def rate(work: Callable[[], object], count: int) -> float:
    """Images per CPU second, the better of two rounds."""
    rates = []
    for _ in range(2):
        start = time.process_time()
        work()
        rates.append(count / max(time.process_time() - start, 1e-9))
    return max(rates)


def usual_path(path: Path) -> torch.Tensor:
    """What a torchvision data set does for one image."""
    from torchvision.transforms import v2

    steps = v2.Compose(
        [
            v2.Resize(256),
            v2.CenterCrop(224),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    with Image.open(path) as image:
        tensor: torch.Tensor = steps(image.convert("RGB"))
    return tensor


def simulated_jpegs(folder: Path, count: int) -> list[Path]:
    """Grey JPEG files with the size and grain of a radiograph."""
    rng = np.random.default_rng(0)
    paths = []
    for place in range(count):
        small = Image.fromarray(draw_image(np.zeros(len(LABELS), np.uint8), 256, rng))
        large = np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=np.float32)
        grainy = np.clip(large + rng.normal(0, 2.5, large.shape), 0, 255).astype(np.uint8)
        paths.append(folder / f"{place}.jpg")
        Image.fromarray(grainy).save(paths[-1], quality=95)
    return paths


if __name__ == "__main__":
    main()
