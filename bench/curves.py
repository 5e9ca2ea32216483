"""Time per element against size, measured and drawn: no cliff, and as near to the limit as can be.

    python curves.py [--quick] [--output FOLDER]

Two curves of every normalization, float32: along the sizes 1 to 1100, rows of that length for row norms and that many
channels for column norms, always 512 rows; and from 1 KiB to 400 MiB of x, rows of 256, with one thread and with all.
Run it from this folder with the Python that fastnorm is installed in. JSON and pictures go to results/.
"""

import argparse
import gc
import json
import statistics
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

import fastnorm
from limit import Limit
from measure import seconds
from operations import OPERATIONS, Arrays, Operation
from shapes import BOTH, F32, Shape

HERE = Path(__file__).resolve().parent
ROWS, SIZES = 512, range(1, 1101)
ROW_LENGTH, SMALLEST, LARGEST = 256, 1 << 10, 400 << 20
ROUNDS = 9
SLICE = 2e-4  # seconds of calls in a round, or one call
FAMILIES = ("layernorm", "rmsnorm", "addnorm", "batchnorm", "groupnorm")
NEIGHBOURS, CLIFF = 8, 1.5  # on either side; their median is what a size is compared with


def call_of(operation: Operation, arrays: Arrays) -> Callable[[], object]:
    return operation.call(getattr(fastnorm, operation.name), arrays)


def repeats(call: Callable[[], object]) -> int:
    """Calls that fill a slice; makes some, so that the next ones are warm."""
    return max(1, int(SLICE / min(seconds(call, 1), seconds(call, 1))))


def warm_seconds(call: Callable[[], object], times: int) -> float:
    seconds(call, 1)  # its arrays come back into the cache that other sizes have filled
    return seconds(call, times)


def drawn(rows: int, length: int) -> Arrays:
    return Arrays(Shape("", (rows, length), BOTH, F32), "float32")


def along_sizes(operation: Operation, sizes: range) -> list[float]:
    """Best nanoseconds per element of each size. Every round walks over neighbouring sizes, a few at a time, so that
    another process that takes the processor does not fall on one of them alone."""
    best: list[float] = []
    for first in range(0, len(sizes), 16):
        calls = [call_of(operation, drawn(ROWS, n)) for n in sizes[first : first + 16]]
        counts = [repeats(call) for call in calls]
        rounds = [list(map(warm_seconds, calls, counts)) for _ in range(ROUNDS)]
        best += map(min, zip(*rounds, strict=True))
    return [time / (ROWS * n) * 1e9 for time, n in zip(best, sizes, strict=True)]


def cliffs(sizes: list[int], times: list[float]) -> list[tuple[int, float]]:
    """Sizes, and by how much the time per element is over the median of the neighbours."""
    found = []
    for i, time in enumerate(times):
        around = times[max(i - NEIGHBOURS, 0) : i] + times[i + 1 : i + 1 + NEIGHBOURS]
        found.append((sizes[i], time / statistics.median(around)))
    return found


def along_bytes(operation: Operation, nbytes: list[int], limit: Limit) -> dict[str, list[float]]:
    """Best nanoseconds per element, and the limit's."""
    best, least = [], []
    for size in nbytes:
        call = call_of(operation, drawn(size // (4 * ROW_LENGTH), ROW_LENGTH))
        count = repeats(call)
        times, limits = [], []
        for _ in range(ROUNDS):
            times.append(seconds(call, count))
            limits.append(limit.seconds(size, operation.sweep, operation.reads, operation.writes))
        best.append(min(times) / (size // 4) * 1e9)
        least.append(min(limits) / (size // 4) * 1e9)
    return {"fastnorm": best, "limit": least}


def measure(quick: bool) -> dict:
    sizes = range(1, 1101, 25) if quick else SIZES
    nbytes = [SMALLEST << i for i in range(0, 19, 4 if quick else 1)] + [LARGEST]
    threads = sorted({1, fastnorm.get_num_threads()})
    operations = [operation for operation in OPERATIONS.values() if operation.family in FAMILIES]
    jobs = [("sizes", operation, 1) for operation in operations]
    jobs += [("bytes", operation, n) for operation in operations for n in threads]
    run = {"sizes": list(sizes), "bytes": nbytes, "threads": threads, "along sizes": {}, "along bytes": {}}
    limits = {n: Limit(n) for n in threads}
    gc.disable()
    for kind, operation, n in track(jobs, "curves", console=Console(stderr=True)):
        fastnorm.set_num_threads(n)
        if kind == "sizes":
            run["along sizes"][operation.name] = along_sizes(operation, sizes)
        else:
            of_operation = run["along bytes"].setdefault(operation.name, {})
            of_operation[str(n)] = along_bytes(operation, nbytes, limits[n])
        gc.collect()
    return run


def report(run: dict, console: Console) -> None:
    table = Table(title=f"Time per element over the median of {NEIGHBOURS} neighbours each side", title_justify="left")
    for heading in ("operation", "worst from 16 on", "at", "worst below 16", "at", f"sizes over {CLIFF}"):
        table.add_column(heading, justify="left" if heading == "operation" else "right")
    for name, times in run["along sizes"].items():
        found = cliffs(run["sizes"], times)
        long = max((c for c in found if c[0] >= 16), key=lambda c: c[1])
        short = max((c for c in found if c[0] < 16), key=lambda c: c[1])
        over = [size for size, ratio in found if ratio > CLIFF]
        cells = [f"{long[1]:.2f}", str(long[0]), f"{short[1]:.2f}", str(short[0])]
        table.add_row(name, *cells, ", ".join(map(str, over)) or "none")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--output", type=Path, default=HERE / "results", help="folder of the JSON file and the pictures"
    )
    parser.add_argument("--quick", action="store_true", help="few sizes: a test that it runs")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    run = measure(arguments.quick)
    (arguments.output / "curves.json").write_text(json.dumps(run, indent=1))
    report(run, Console(width=120))
    import curves_picture

    for path in curves_picture.draw(run, arguments.output):
        print(path)


if __name__ == "__main__":
    main()
