"""How many instructions an element costs, by valgrind: figures that repeat to the digit on any machine.

    python instructions.py                      every operation, on a few shapes
    python instructions.py layer_norm ...       some operations

valgrind runs AVX2 kernels at most, whatever the processor has. What is counted is the driver of one call on one thread,
without the checks and allocations in Python. A processor that completes four instructions a cycle needs a quarter of
the figure in cycles at least, wherever the data are.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from operations import DTYPES, OPERATIONS, Operation
from shapes import CHANNELS, GROUPS, ROWS

SHAPES = {
    ROWS: [(8, 64), (1536, 64), (1024, 768), (64, 4096)],
    CHANNELS: [(8, 64), (4096, 37), (784, 256), (12544, 64)],
    GROUPS: [(8, 64), (16, 49, 512), (4, 196, 256), (2, 3136, 64)],
}
CALL = """
import fastnorm
from operations import OPERATIONS, Arrays
from shapes import BOTH, Shape

fastnorm.set_num_threads(1)
operation, dtype = OPERATIONS["{operation}"], "{dtype}"
operation.call(getattr(fastnorm, operation.name), Arrays(Shape("", {shape}, BOTH, (dtype,)), dtype))()
"""


def instructions(operation: Operation, shape: tuple[int, ...], dtype: str) -> int:
    """Of the driver, which has the operation's name; that of dropout is its own backward."""
    driver = "dropout" if operation.name == "dropout_backward" else operation.name
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--toggle-collect={driver}"]
    call = CALL.format(operation=operation.name, shape=shape, dtype=dtype)
    run = subprocess.run(
        [*valgrind, sys.executable, "-c", call], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    return int(re.search(r"Collected : (\d+)", run.stderr)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operations", nargs="*", default=list(OPERATIONS), help=", ".join(OPERATIONS))
    names = parser.parse_args().operations
    if not shutil.which("valgrind"):
        parser.error("valgrind is not installed")
    console = Console(highlight=False)
    table = Table("operation", "shape", *DTYPES, title="Instructions for 32 bytes of x, on AVX2", box=None)
    cases = [(OPERATIONS[name], shape) for name in names for shape in SHAPES[OPERATIONS[name].over]]
    for operation, shape in track(cases, "counting", console=console, transient=True):
        counts = [instructions(operation, shape, dtype) for dtype in DTYPES]
        vectors = [shape[0] * shape[1] / lanes for lanes in (8, 4)]
        figures = (f"{count / n:.1f}" for count, n in zip(counts, vectors, strict=True))
        table.add_row(operation.name, "x".join(map(str, shape)), *figures)
    console.print(table)


if __name__ == "__main__":
    main()
