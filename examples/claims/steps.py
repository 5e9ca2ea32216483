"""Steps to a given accuracy, with and without BatchNorm."""

import numpy as np

import digits as deep
import fastnorm
from claims import SEEDS, STYLES, Finding, chosen, draw_band, finish
from training import GOAL, Digits, sweep

CLAIM = "With BatchNorm a network needs fewer steps to the same accuracy."
RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
OPTIONS = {"epochs": 30, "batch": 64}
RUNS = 2 * len(RATES) * len(SEEDS)


def as_text(steps: float) -> str:
    return f"{steps:.0f}" if np.isfinite(steps) else "not reached"


def measure(digits: Digits, advance) -> Finding:
    steps_per_epoch = len(digits.train.labels) // OPTIONS["batch"]
    rows, best, needed = [], {}, {}
    for name, norm in (("without", None), ("with BatchNorm", fastnorm)):
        results = sweep(lambda seed, norm=norm: deep.DeepNetwork(seed, norm), digits, RATES, SEEDS, advance, **OPTIONS)
        best[name] = max(results, key=lambda result: result.score())  # by the digits for validation
        needed[name] = np.array([steps_per_epoch * run.epochs_to_goal() for run in best[name].runs])
        reached = f"{np.isfinite(needed[name]).sum()} of {len(SEEDS)}"
        median, least, most = (as_text(value(needed[name])) for value in (np.median, np.min, np.max))
        rows.append([name, chosen(best[name].rate, RATES), reached, median, f"{least} to {most}"])
    off, on = needed.values()
    verdict = (
        ("It shows in every run. " if on.max() < off.min() else "The ranges overlap: it does not show in every run. ")
        + f"Each at its best rate, median steps to {GOAL:.0%} of the test digits: {as_text(np.median(off))} without, "
        f"{as_text(np.median(on))} with BatchNorm, counted at the ends of epochs of {steps_per_epoch}."
    )
    finding = Finding(["", "best rate", f"runs that reach {GOAL:.0%}", "steps, median", "steps, range"], rows, verdict)
    axes = finding.figure.subplots()
    for (name, result), style in zip(best.items(), STYLES, strict=False):
        x = steps_per_epoch * np.arange(1, OPTIONS["epochs"] + 1)
        draw_band(axes, x, [run.test for run in result.runs], f"{name}, rate {result.rate:g}", style)
    axes.axhline(GOAL, color="black", linewidth=0.8, linestyle=":")
    finish(axes, xlabel="step", ylabel="test accuracy", ylim=(0.5, 1))
    return finding
