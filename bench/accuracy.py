"""Reports how right fastnorm, plain NumPy and other libraries are on data that are hard to normalize.

    python accuracy.py [--no-peers] [--operations A,B] [--data TEXT] [--markdown FILE.md]

Every output is compared with `fastnorm.reference` in a wider dtype (float64, longdouble) on the same input. The figure
is its worst error in eps of its dtype, in the units of tests/support/errors.py: of y relative to the largest result,
of gradients to the larger of that and the size of their terms; 8e6 eps of float32 are an error as large as the result.
"NumPy" is `fastnorm.reference` in the dtype of x, the usual few lines. The gradients of peers start from statistics of
their own. "!" marks what is over the goal of 4 eps. The tables go to the terminal, everything to results/accuracy.json,
with null where a result is no number.
"""

import argparse
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_benchmark.plugin import pytest_benchmark_generate_machine_info
from rich.console import Console
from rich.progress import track
from rich.table import Table

import accuracy_data
import fastnorm
import peers
from accuracy_data import KINDS, OPERATIONS, SHAPES, STATISTICS, Case, Kind
from figures import Run
from machine import settings
from names import FASTNORM, NUMPY
from report import STYLE
from support.errors import LIMIT
from support.operations import Operation

RESULTS = Path(__file__).resolve().parent / "results" / "accuracy.json"
WIDTH = 150
BRIEF_DTYPE, BRIEF_WITHOUT = "float32", "batch_norm_inference"


@dataclass(frozen=True)
class Line:
    """What one case gave: errors in eps of everyone by output, or the reason why a peer has none."""

    case: Case
    errors: dict[str, dict[str, float] | str]

    def of(self, name: str) -> float | None:
        """The worst of all outputs that others have too."""
        found = self.errors.get(name)
        if not isinstance(found, dict):
            return None
        return max(error for output, error in found.items() if output not in STATISTICS)

    def entry(self) -> dict:
        case = self.case
        named = {name: _finite(found) for name, found in self.errors.items()}
        place = {"data": case.kind.label, "operation": case.operation.name, "dtype": case.dtype}
        return {**place, "shape": case.shape, "eps": case.kind.eps, "errors": named}


def _finite(found):
    if isinstance(found, str):
        return found
    return {output: error if math.isfinite(error) else None for output, error in found.items()}


def text(error: float | None) -> str:
    if error is None:
        return ""
    if not math.isfinite(error):
        return "nan"
    return f"{error:.2f}" if error < 10 else f"{error:.0f}" if error < 1e4 else f"{error:.0e}".replace("e+0", "e")


def marked(error: float | None) -> str:
    """fastnorm's own figures: red, with a mark, where the goal is missed."""
    return text(error) if error <= LIMIT else f"[bold red]{text(error)}![/]"


def by_kind(lines: Iterable[Line]) -> dict[Kind, dict[str, Line]]:
    """Lines of one operation: by dtype, by kind."""
    found: dict[Kind, dict[str, Line]] = {}
    for line in lines:
        found.setdefault(line.case.kind, {})[line.case.dtype] = line
    return found


def operation_table(op: Operation, lines: list[Line], others: list) -> Table:
    """Each kind of data: every output of fastnorm in every dtype, then the worst output of the others."""
    dtypes = list(dict.fromkeys(line.case.dtype for line in lines))
    names = [NUMPY, *(peer.label for peer in others)]
    table = Table(title=f"{op.name}: worst error in eps", **STYLE)
    for heading in ("data", "shape"):
        table.add_column(heading, no_wrap=True)
    for heading in [f"{dtype}\n{output}" for dtype in dtypes for output in op.outputs]:
        table.add_column(heading, justify="right", no_wrap=True)
    columns = [(name, dtype) for dtype in dtypes for name in names if any(line.of(name) is not None for line in lines)]
    columns = [(name, dtype) for name, dtype in columns if name == NUMPY or dtype == BRIEF_DTYPE]
    for name, dtype in columns:
        table.add_column(f"{name}\n{dtype}", justify="right", no_wrap=True)
    for kind, of_dtype in by_kind(lines).items():
        own = [
            marked(of_dtype[dtype].errors[FASTNORM][output]) if dtype in of_dtype else ""
            for dtype in dtypes
            for output in op.outputs
        ]
        rest = [text(of_dtype[dtype].of(name)) if dtype in of_dtype else "" for name, dtype in columns]
        table.add_row(kind.label, "x".join(map(str, kind.shapes[op.statistics])), *own, *rest)
    return table


def summary_table(lines: list[Line]) -> Table:
    """The worst of all data: for every operation, dtype and output of fastnorm."""
    table = Table(title="fastnorm: the worst error in eps over all data", **STYLE)
    for heading in ("operation", "dtype", "output", "worst", f"over {LIMIT}", "on"):
        table.add_column(heading, no_wrap=True, justify="right" if heading in ("worst", f"over {LIMIT}") else "left")
    for op in OPERATIONS:
        of_op = [line for line in lines if line.case.operation is op]
        for dtype in dict.fromkeys(line.case.dtype for line in of_op):
            for output in op.outputs:
                found = [(line.errors[FASTNORM][output], line) for line in of_op if line.case.dtype == dtype]
                error, line = max(found, key=lambda pair: pair[0])
                beyond = sum(not error <= LIMIT for error, _ in found)
                on = f"{line.case.kind.label}, {'x'.join(map(str, line.case.shape))}"
                table.add_row(op.name, dtype, output, marked(error), f"{beyond} of {len(found)}", on)
        table.add_section()
    return table


def markdown(lines: list[Line]) -> str:
    """The short form, for README."""
    ops = [op for op in OPERATIONS if op.name != BRIEF_WITHOUT]
    heads = ["data", *(f"`{op.name}` {'x'.join(map(str, SHAPES[op.statistics]))}" for op in ops)]
    rows = [heads, ["---"] + ["---:"] * len(ops)]
    for kind in (kind for kind in KINDS if kind.brief):
        cells = [kind.label]
        for op in ops:
            found = [line for line in lines if line.case == Case(kind, op, BRIEF_DTYPE)]
            cells += [" / ".join(text(line.of(name)) for name in (FASTNORM, NUMPY)) for line in found] or [""]
        if any(cells[1:]):
            rows.append(cells)
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def write(lines: list[Line], machine: dict) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine_info": machine, "limit": LIMIT, "cases": [line.entry() for line in lines]}
    RESULTS.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def machine_info(others: list) -> dict:
    info = pytest_benchmark_generate_machine_info()
    info.pop("node", None)
    return {**info, **settings(fastnorm.get_num_threads(), others)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--no-peers", action="store_true", help="leave out other libraries")
    parser.add_argument("--operations", default="", help="comma-separated; all by default")
    parser.add_argument("--data", default="", help="only kinds of data with this in their name")
    parser.add_argument("--markdown", type=Path, help="also write the short form as Markdown")
    arguments = parser.parse_args()
    chosen = arguments.operations.split(",") if arguments.operations else [op.name for op in OPERATIONS]
    cases = [c for c in accuracy_data.cases() if c.operation.name in chosen and arguments.data in c.kind.label]
    if not cases:
        parser.error("no such operation or data")
    threads = fastnorm.get_num_threads()
    peers.limit_threads(threads)
    others = [] if arguments.no_peers else peers.load(peers.installed(), threads)
    console = Console(stderr=True)
    ran = track(cases, "accuracy", console=console, transient=True, disable=not console.is_terminal)
    lines = [Line(case, accuracy_data.errors(case, others)) for case in ran]
    machine = machine_info(others)
    write(lines, machine)

    console = Console()
    console = Console(width=max(console.width, WIDTH + 14 * len(others)))
    for op in OPERATIONS:
        if of_op := [line for line in lines if line.case.operation is op]:
            console.print(operation_table(op, of_op, others))
    console.print(summary_table(lines))
    for note in (*__doc__.split("\n\n")[2].split("\n"), *Run([], [], machine).description):
        console.print(note, style="dim", highlight=False)
    console.print(f"json     {RESULTS}", highlight=False, soft_wrap=True)
    if arguments.markdown:
        arguments.markdown.write_text(markdown(lines))


if __name__ == "__main__":
    main()
