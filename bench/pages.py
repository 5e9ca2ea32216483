"""The figures of a run as Markdown: the page of all of them, and their means for the README."""

from collections.abc import Iterable
from pathlib import Path

from figures import Row, Run, describe, duration, geometric_mean, verdicts
from names import FASTNORM, NUMPY, OUT
from report import FUSED_HEADINGS, FUSED_NOTE, NOTES, fused_cells, fused_goals, multiple_text, peer_text
from shapes import CLASSES

# What stands between these lines of the README is written by `make report`.
BEGIN, END = "<!-- figures of make report -->", "<!-- end of the figures -->"


def every_figure(run: Run) -> str:
    lines = ["# Speed: every figure of one run", "", "Written by `make report`; the goals are in the second table.", ""]
    lines += [_where(run), ""]
    heads = [
        "class",
        "operation",
        *(f"x limit, {dtype}" for dtype in run.dtypes),
        "x limit, `out=`",
    ]
    heads += ["over NumPy", *(f"over {peer}" for peer in run.peers)]
    lines += [_line(heads), _line(["---"] * 2 + ["---:"] * (len(heads) - 2))]
    for key, title in CLASSES.items():
        for operation in run.operations:
            if rows := run.select(size_class=key, operation=operation):
                lines.append(_line([title, f"`{operation}`", *_means(run, rows)]))
    lines += ["", *(f"- {note}" for note in NOTES), "- Geometric means over the shapes of a class."]
    lines += [
        "",
        "| goal | aim | measured | met | weakest case |",
        "| --- | --- | --- | --- | --- |",
    ]
    for v in verdicts(run):
        lines.append(_line([v.what, v.goal, v.measured, "yes" if v.met else "no", v.worst]))
    lines += [
        "",
        "| case | best | median | `out=` | GB/s | x limit | over NumPy | over best peer |",
    ]
    lines += [_line(["---"] + ["---:"] * 7)]
    for row in run.rows:
        times = (row.best[FASTNORM], row.median[FASTNORM], row.best[OUT])
        rates = [f"{row.gigabytes_per_second:.1f}", multiple_text(row), f"{row.speedup(NUMPY):.1f}"]
        lines.append(_line([describe(row), *map(duration, times), *rates, peer_text(row)]))
    if run.fused:
        lines += ["", "## Fused, and half precision", "", FUSED_NOTE + " " + fused_goals() + ".", ""]
        lines += [_line(list(FUSED_HEADINGS)), _line(["---"] * 3 + ["---:"] * 4 + ["---"])]
        lines += [_line(fused_cells(row)) for row in run.fused]
    return "\n".join(lines) + "\n"


def _means(run: Run, rows: list[Row]) -> list[str]:
    """The cells of one class and operation: multiples by dtype and with out=, then speed-ups."""
    values = [
        *([row.multiple() for row in rows if row.dtype == dtype] for dtype in run.dtypes),
        [row.multiple(OUT) for row in rows],
        *_speedups(run, rows),
    ]
    return _geometric(values)


def _speedups(run: Run, rows: list[Row]) -> list[list[float]]:
    return [[row.speedup(name) for row in rows if name in row.best] for name in (NUMPY, *run.peers)]


def _geometric(values: Iterable[Iterable[float]]) -> list[str]:
    """The mean of each, nothing of none."""
    return ["" if mean != mean else f"{mean:.2f}" for mean in map(geometric_mean, values)]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _where(run: Run) -> str:
    return "Measured on " + ".  \n".join(run.description) + "."


def put_means(run: Run, readme: Path) -> None:
    """One line for each operation, with the means of classes of shapes, in the place that the page has for them."""
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    heads = ["operation", *CLASSES.values(), "over NumPy", *(f"over {peer}" for peer in run.peers)]
    lines = [_where(run), "", _line(heads), _line(["---"] + ["---:"] * (len(heads) - 1))]
    for operation in run.operations:
        rows = run.select(operation=operation)
        values = [[row.multiple() for row in rows if row.size_class == key] for key in CLASSES] + _speedups(run, rows)
        lines.append(_line([f"`{operation}`", *_geometric(values)]))
    readme.write_text("\n".join([before + BEGIN, *lines, END]) + after)
