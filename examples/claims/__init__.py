"""What textbooks say of normalization and regularization, each claim measured: a module a claim.

A module has CLAIM, the sentence; RUNS, how often it advances the progress; and measure(digits, advance) -> Finding.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

SEEDS = (0, 1, 2, 3, 4)

# Okabe and Ito's colours, which stay apart for colour-blind readers; markers and lines differ as well.
STYLES = (
    {"color": "#D55E00", "linestyle": "--", "marker": "s", "markersize": 4},
    {"color": "#0072B2", "linestyle": "-", "marker": "o", "markersize": 4},
    {"color": "#009E73", "linestyle": "-.", "marker": "^", "markersize": 4},
)


@dataclass
class Finding:
    """What came of a measurement: a table, a sentence for it, and a picture."""

    header: list[str]
    rows: list[list[str]]
    verdict: str
    figure: Figure = field(default_factory=lambda: Figure(figsize=(9, 4), layout="constrained"))

    def save(self, path: Path) -> None:
        self.figure.savefig(path, dpi=110)


def spread(values, digits: int = 1, percent: bool = False) -> str:
    """Mean and standard deviation over the seeds, as text."""
    mean, deviation = np.mean(values), np.std(values, ddof=1)
    if percent:
        return f"{100 * mean:.{digits}f} ± {100 * deviation:.{digits}f} %"
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}"


def scientific(values) -> str:
    """Geometric mean and range over the seeds, for numbers of many sizes."""
    values = np.asarray(values)
    return f"{np.exp(np.log(values).mean()):.2g} ({values.min():.2g} to {values.max():.2g})"


def chosen(rate: float, rates) -> str:
    """The rate that was best, as text; at an end of those tried a better one may lie beyond."""
    end = {min(rates): " (the least tried)", max(rates): " (the largest tried)"}
    return f"{rate:g}{end.get(rate, '')}"


def is_larger(a, b) -> bool:
    """Whether the mean of a is above that of b by more than two standard errors of their difference."""
    a, b = np.asarray(a), np.asarray(b)
    error = np.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)
    return bool(a.mean() - b.mean() > 2 * error)


def draw_band(axes, x, runs, label: str, style: dict) -> None:
    """The mean of the runs over x, and their range."""
    runs = np.asarray(runs, float)
    axes.plot(x, runs.mean(axis=0), label=label, **style)
    axes.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=style["color"], alpha=0.15, linewidth=0)


def finish(axes, **labels) -> None:
    axes.set(**labels)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
