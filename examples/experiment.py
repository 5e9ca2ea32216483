"""Runs one experiment with and without normalization, and prints what came of it.

Every random number comes from a fixed seed. Another processor or BLAS rounds matrix products
differently, though, which moves the accuracies a little.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from threadpoolctl import threadpool_limits

import curves
import fastnorm
import fastnorm.reference
import training
from training import Digits, Result, Stopwatch

OUTPUT = Path(__file__).parent / "output"


@dataclass
class Experiment:
    name: str
    title: str
    norm_name: str
    build: Callable  # build(seed, norm=None, dtype=np.float32) -> network
    rates: Sequence[float]  # learning rates, tried on both networks
    seeds: Sequence[int]
    options: dict[str, int]  # epochs and batch


@dataclass
class Cost:
    """Where the time of one training run went, in seconds."""

    name: str
    total: float
    norm: float
    calls: int
    final_test: float


def main(experiment: Experiment) -> None:
    parser = argparse.ArgumentParser(description=experiment.title)
    parser.add_argument("--check", action="store_true", help="compare the gradients with central differences")
    if parser.parse_args().check:
        raise SystemExit(check_gradients(experiment))
    run(experiment)


def run(experiment: Experiment) -> None:
    console = Console(highlight=False)
    console.rule(f"[bold]{experiment.title}")
    digits = training.load()
    # The matrices are far too small to be shared among threads.
    with threadpool_limits(1):
        without, with_norm = sweep_both(experiment, digits, console)
        best = best_of(without), best_of(with_norm)
        console.print(sweep_table(experiment, without, with_norm))
        costs = measure_costs(experiment, digits, *best)
        console.print(cost_table(experiment, costs, best[1].rate))
    OUTPUT.mkdir(exist_ok=True)
    path = OUTPUT / f"{experiment.name}.png"
    curves.draw(experiment, without, with_norm, best, costs, path)
    console.print(f"Picture: {path}\n", soft_wrap=True)


def best_of(results: list[Result]) -> Result:
    return max(results, key=Result.score)


def sweep_both(experiment: Experiment, digits: Digits, console: Console) -> tuple[list[Result], list[Result]]:
    """Both networks with the same rates, seeds, first weights and order of pictures."""
    columns = TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=2 * len(experiment.rates) * len(experiment.seeds))

        def results(norm: ModuleType | None) -> list[Result]:
            return training.sweep(
                lambda seed: experiment.build(seed, norm),
                digits,
                experiment.rates,
                experiment.seeds,
                done=lambda: progress.advance(task),
                **experiment.options,
            )

        return results(None), results(fastnorm)


def measure_costs(experiment: Experiment, digits: Digits, without: Result, with_norm: Result) -> list[Cost]:
    """Train once more with each normalization module, every call of it under the stopwatch."""
    seed = experiment.seeds[0]
    costs = []
    for name, norm, rate in (
        (f"no {experiment.norm_name}", None, without.rate),
        ("by fastnorm", fastnorm, with_norm.rate),
        ("by NumPy", fastnorm.reference, with_norm.rate),
    ):
        watch = Stopwatch(norm)
        network = experiment.build(seed, norm and watch)
        history = training.train(network, digits, rate=rate, seed=seed, **experiment.options)
        costs.append(Cost(name, history.seconds, watch.seconds, watch.calls, history.test[-1]))
    return costs


def sweep_table(experiment: Experiment, without: list[Result], with_norm: list[Result]) -> Table:
    goal, epochs = f"{training.GOAL:.0%}", experiment.options["epochs"]
    table = Table(
        title=f"Learning, without and with {experiment.norm_name}",
        caption=f"Each row: {len(experiment.seeds)} runs of {epochs} epochs, the same seeds, first "
        "weights and batches for both networks. Median of the epochs, mean of the accuracies. "
        "Best: highest validation accuracy, averaged over all epochs; the test digits choose "
        "nothing.",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("\nlearning rate", no_wrap=True)
    for header in (
        f"epochs to {goal} test\naccuracy, without",
        "\nwith",
        "test accuracy at\nthe end, without",
        "\nwith",
    ):
        table.add_column(header, justify="right")
    for off, on in zip(without, with_norm, strict=True):
        table.add_row(f"{off.rate:g}", *sweep_cells(off, on, epochs))
    table.add_section()
    off, on = best_of(without), best_of(with_norm)
    table.add_row(f"own best: {off.rate:g}, {on.rate:g}", *sweep_cells(off, on, epochs), style="bold")
    return table


def sweep_cells(off: Result, on: Result, epochs: int) -> list[str]:
    def until(result: Result) -> str:
        median = result.epochs_to_goal()
        return f"{median:g}" if np.isfinite(median) else f"over {epochs}"

    return [until(off), until(on), f"{off.final_test():.1%}", f"{on.final_test():.1%}"]


def cost_table(experiment: Experiment, costs: list[Cost], rate: float) -> Table:
    table = Table(
        title="Time of one training run, in seconds",
        caption=f"With {experiment.norm_name}: rate {rate:g}, seed {experiment.seeds[0]}. "
        "NumPy is fastnorm.reference. Timed from the caller, the stopwatch included. The two "
        "round differently, so their accuracies may differ a little.",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("", no_wrap=True)
    for header in ("all", experiment.norm_name, "share", "calls", "us a call", "accuracy"):
        table.add_column(header, justify="right")
    for cost in costs:
        cells = [""] * 4
        if cost.calls:
            cells = [
                f"{cost.norm:.3f}",
                f"{cost.norm / cost.total:.0%}",
                f"{cost.calls:,}",
                f"{cost.norm / cost.calls * 1e6:.1f}",
            ]
        table.add_row(cost.name, f"{cost.total:.2f}", *cells, f"{cost.final_test:.1%}")
    _, fast, numpy = costs
    table.add_section()
    ratios = f"{numpy.total / fast.total:.1f} x", f"{numpy.norm / fast.norm:.1f} x"
    table.add_row("NumPy / fastnorm", *ratios, style="bold")
    return table


def check_gradients(experiment: Experiment) -> int:
    """Compare every gradient with central differences, in float64; 1 if one of them is off."""
    digits = training.load().train
    part = training.Part(digits.x[:32].astype(np.float64), digits.labels[:32])
    worst = 0.0
    for norm in (None, fastnorm, fastnorm.reference):
        network = experiment.build(0, norm, np.float64)
        error = training.gradient_error(network, part, np.random.default_rng(0))
        print(f"{experiment.name}, {norm.__name__ if norm else 'no normalization'}: {error:.1e}")
        worst = max(worst, error)
    return int(worst > 1e-6)
