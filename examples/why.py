"""What textbooks claim of normalization and regularization, measured on the digits with fastnorm and plain NumPy.

    python examples/why.py                    all claims: tables, and pictures in output/
    python examples/why.py vanishing steps    some of them
    python examples/why.py --page docs        all of them, into the page docs/why.md and its pictures

Every random number comes from a fixed seed, and every figure is over several of them. Another processor or BLAS rounds
matrix products differently, though, which moves the accuracies a little.
"""

import argparse
import importlib
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from threadpoolctl import threadpool_limits

import training
from claims import SEEDS, Finding

CLAIMS = ("vanishing", "exploding", "recurrent", "overfitting", "sparsity", "steps")
INTRODUCTION = f"""# Why normalize, and why regularize

What textbooks claim, measured on the 1,797 handwritten digits of scikit-learn with networks in plain NumPy and
fastnorm: `make why` writes this page. Every figure is over {len(SEEDS)} seeds, mean ± standard deviation where not said
otherwise; bands in the pictures are from the least to the largest. Where a network has rates to choose from, the digits
for validation choose. A heading is the claim, the first words under it are what came of it here.
"""


def as_table(claim: str, finding: Finding) -> Table:
    table = Table(
        title=claim, caption=finding.verdict, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD
    )
    for header in finding.header:
        table.add_column(header)
    for row in finding.rows:
        table.add_row(*row)
    return table


def as_markdown(name: str, claim: str, finding: Finding) -> str:
    lines = [
        f"## {claim}",
        "",
        finding.verdict,
        "",
        "| " + " | ".join(finding.header) + " |",
        "| --- " * len(finding.header) + "|",
    ]
    lines += ["| " + " | ".join(row) + " |" for row in finding.rows]
    return "\n".join([*lines, "", f"![{claim}](why_{name}.png)", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("claims", nargs="*", help=", ".join(CLAIMS))
    parser.add_argument("--page", type=Path, help="the folder for why.md and its pictures")
    arguments = parser.parse_args()
    names = arguments.claims or CLAIMS
    if unknown := set(names) - set(CLAIMS):
        parser.error(f"no such claims: {', '.join(sorted(unknown))}")
    output = arguments.page or Path(__file__).parent / "output"
    output.mkdir(exist_ok=True)

    console, page = Console(highlight=False), [INTRODUCTION]
    modules = {name: importlib.import_module(f"claims.{name}") for name in names}
    # The matrices are far too small to be shared among threads.
    with threadpool_limits(1), Progress(console=console, transient=True) as progress:
        digits = training.load()
        task = progress.add_task("training", total=sum(module.RUNS for module in modules.values()))
        for name, module in modules.items():
            finding = module.measure(digits, lambda: progress.advance(task))
            finding.save(output / f"why_{name}.png")
            console.print(as_table(module.CLAIM, finding))
            page.append(as_markdown(name, module.CLAIM, finding))
    if arguments.page:
        (output / "why.md").write_text("\n".join(page))
    console.print(f"Pictures: {output}", soft_wrap=True)


if __name__ == "__main__":
    main()
