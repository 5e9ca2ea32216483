"""Prints the table of a run, and writes its picture and a Markdown summary.

python report.py results/latest.json [--picture FILE.png] [--markdown FILE.md] [--readme README.md]
"""

import argparse
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from figures import FUSED_GOALS, Row, Run, disturbance, duration, geometric_mean, read, verdicts
from names import FASTNORM, NUMPY, OUT
from shapes import CLASSES

WIDTH = 138  # of the table, also where the output is a file
STYLE = {
    "title_justify": "left",
    "title_style": "bold",
    "box": SIMPLE_HEAD,
    "collapse_padding": True,
    "pad_edge": False,
}


def multiple_text(row: Row) -> str:
    return f"{row.multiple():.2f}" + (" add" if row.size_class == "tiny" else "")


def peer_text(row: Row) -> str:
    peer = row.best_peer
    return f"{row.speedup(peer):.2f} {peer}" if peer else "-"


def main_table(run: Run) -> Table:
    """Every case, by class; each class ends with its geometric means."""
    table = Table(title="fastnorm, plain call with a fresh result", **STYLE)
    for heading in ("operation", "shape", "dtype"):
        table.add_column(heading, no_wrap=True)
    for heading in ("best", "median", "out=", "GB/s", "x limit", "over\nNumPy"):
        table.add_column(heading, justify="right", no_wrap=True)
    if run.peers:
        table.add_column("over the\nbest peer", no_wrap=True)
    for key, title in CLASSES.items():
        rows = run.select(size_class=key)
        for row in rows:
            times = (row.best[FASTNORM], row.median[FASTNORM], row.best[OUT])
            cells = [
                *(row.operation, row.shape, row.dtype, *map(duration, times)),
                f"{row.gigabytes_per_second:.1f}",
                multiple_text(row),
                f"{row.speedup(NUMPY):.1f}",
            ]
            table.add_row(*cells, *([peer_text(row)] if run.peers else []))
        if rows:
            table.add_section()
            table.add_row(*mean_cells(run, key, title), style="bold")
            table.add_section()
    return table


def mean_cells(run: Run, key: str, title: str) -> list[str]:
    rows = run.select(size_class=key)
    mean = geometric_mean(row.multiple() for row in rows)
    cells = ["geometric mean", title, "", "", "", "", ""]
    cells += [f"{mean:.2f}" + (" add" if key == "tiny" else "")]
    cells += [f"{geometric_mean(row.speedup(NUMPY) for row in rows):.1f}"]
    if run.peers:
        speedups = [row.speedup(row.best_peer) for row in rows if row.best_peer]
        cells += [f"{geometric_mean(speedups):.2f}" if speedups else "-"]
    return cells


FUSED_HEADINGS = ("operation", "shape", "dtype", "best", "x limit", *(f"over {name}" for name in FUSED_GOALS), "met")


def fused_cells(row: Row) -> list[str]:
    """Of what one pass does for several: beside the steps one after the other, with the goals met or not."""
    speedups = [f"{row.speedup(name):.2f}" if name in row.best else "-" for name in FUSED_GOALS]
    met = " / ".join({True: "yes", False: "no", None: "-"}[goal] for goal in row.meets(FUSED_GOALS))
    return [
        *(row.operation, row.shape, row.dtype, duration(row.best[FASTNORM])),
        *(f"{row.multiple():.2f}", *speedups, met),
    ]


def fused_goals() -> str:
    return "Goals: " + ", ".join(f"{goal:g} times over {name}" for name, goal in FUSED_GOALS.items())


def fused_table(run: Run) -> Table:
    table = Table(title=f"Fused, and half precision. {fused_goals()}", **STYLE)
    for number, heading in enumerate(FUSED_HEADINGS):
        table.add_column(heading, justify="right" if 3 <= number <= 6 else "left", no_wrap=True)
    previous = None
    for row in run.fused:
        if row.operation != previous:
            table.add_section()
        table.add_row(*fused_cells(row))
        previous = row.operation
    return table


def goal_table(run: Run) -> Table:
    table = Table(title="Goals", **STYLE)
    for heading in ("geometric mean of", "goal", "measured", "met", "weakest case"):
        table.add_column(heading, no_wrap=True)
    for verdict in verdicts(run):
        met = "[green]yes[/]" if verdict.met else "[red]no[/]"
        table.add_row(verdict.what, verdict.goal, verdict.measured, met, verdict.worst)
    return table


NOTES = (
    "x limit: time as a multiple of the least time in which this machine, in the same run, streams "
    "the arrays that the operation must read and write.",
    "add: tiny arrays are measured against one np.add(x, x) with a fresh result instead.",
    "best, median: of the rounds of the run. out=: best time into a given array. over ...: how "
    "many times faster, by best times; NumPy is fastnorm.reference in x's dtype.",
)
FUSED_NOTE = (
    "What one pass does for several, over the same in steps, one after the other: fastnorm's own, which work in place "
    "and into arrays that are there already, and PyTorch's. Of half precision, the steps go to float32 and back."
)


def print_report(run: Run, console: Console) -> None:
    if run.rows:
        console.print(main_table(run))
    if run.fused:
        console.print(fused_table(run))
    console.print(goal_table(run))
    for line in (*NOTES, *run.description):
        console.print(line, style="dim", highlight=False)
    if warning := disturbance(run):
        console.print(warning, style="bold yellow", highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("json", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--markdown", type=Path, help="a page with every figure")
    parser.add_argument("--readme", type=Path, help="a page that has a place for the means of classes")
    arguments = parser.parse_args()
    run = read(arguments.json)
    console = Console(soft_wrap=False)
    print_report(run, Console(width=max(console.width, WIDTH)))
    if arguments.markdown or arguments.readme:
        import pages

        if arguments.markdown:
            arguments.markdown.write_text(pages.every_figure(run))
        if arguments.readme:
            pages.put_means(run, arguments.readme)
    if arguments.picture:
        import picture

        picture.draw(run, arguments.picture)
    for name, path in vars(arguments).items():
        if path:
            console.print(f"{name:8s} {path}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
