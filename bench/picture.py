"""The picture of a run: how far everyone is from the limit, and how much faster fastnorm is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from figures import LIMIT_GOALS, Row, Run, geometric_mean
from names import FASTNORM, NUMPY, OUT
from shapes import CLASSES

# Okabe and Ito's colours, which all kinds of colour vision tell apart; markers differ as well.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
LOOKS = {
    FASTNORM: (BLUE, "o"),
    OUT: (BLUE, "o"),
    NUMPY: (VERMILION, "s"),
    "PyTorch": ("#CC79A7", "D"),
    "ONNX Runtime": (GREEN, "^"),
    "TensorFlow": ("#E69F00", "v"),
    "JAX": ("#56B4E9", "P"),
    "Numba": ("#333333", "X"),
}
OTHER_LOOK = ("#777777", "*")
DTYPE = "float32"
GAP = 1.3  # rows left free for the title of a class


@dataclass(frozen=True)
class Line:
    """One operation in one class: a line of the picture at ``height``."""

    height: float
    size_class: str
    operation: str
    rows: list[Row]

    def mean(self, value: Callable[[Row], float | None]) -> float | None:
        """Geometric mean over the rows that have a value."""
        values = [v for v in map(value, self.rows) if v is not None]
        return geometric_mean(values) if values else None

    def multiple(self, name: str) -> float | None:
        return self.mean(lambda row: row.multiple(name) if name in row.best else None)


def _lines(run: Run) -> list[Line]:
    """From the top of the picture downwards."""
    lines, height = [], 0.0
    for key in CLASSES:
        before = len(lines)
        for operation in run.operations:
            if rows := run.select(size_class=key, operation=operation, dtype=DTYPE):
                lines.append(Line(height, key, operation, rows))
                height -= 1
        height -= GAP if len(lines) > before else 0
    return lines


def _by_class(lines: list[Line]) -> dict[str, list[Line]]:
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.size_class, []).append(line)
    return groups


def _times(value: float, _=None) -> str:
    return f"{value:.2g}x" if value < 100 else f"{value:.0f}x"


def _log_axis(axes, label: str) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_times))
    axes.set_xlabel(label)
    axes.grid(axis="x", color="#DDDDDD", lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_multiples(axes, run: Run, lines: list[Line]) -> None:
    names = [NUMPY, *run.peers, OUT, FASTNORM]
    for line in lines:
        values = [value for name in names if (value := line.multiple(name))]
        axes.plot([min(values), max(values)], [line.height] * 2, color="#CCCCCC", lw=1.2, zorder=1)
    for name in reversed(names):
        points = [(value, line.height) for line in lines if (value := line.multiple(name))]
        if not points:
            continue
        colour, marker = LOOKS.get(name, OTHER_LOOK)
        hollow = name == OUT
        axes.scatter(
            *zip(*points, strict=True),
            s=110 if name == FASTNORM else 65,
            marker=marker,
            label=name,
            facecolors="none" if hollow else colour,
            edgecolors=colour if hollow else "white",
            linewidths=1.5 if hollow else 0.6,
            zorder=6 if hollow else 5 if name == FASTNORM else 4,
        )
    axes.axvline(1, color="black", lw=1.6, zorder=3)
    axes.annotate("the limit", (1, lines[0].height + 1), (-5, 0), textcoords="offset points",
                  ha="right", va="center", fontsize=10)  # fmt: skip
    goals = {(key, operation): goal for key, operation, goal, _ in LIMIT_GOALS}
    for line in lines:
        goal = goals.get((line.size_class, line.operation), goals[line.size_class, None])
        label = "goal of fastnorm" if line is lines[0] else None
        around = [line.height - 0.5, line.height + 0.5]
        axes.plot([goal, goal], around, color=GREEN, lw=2.4, zorder=2, label=label)
    _log_axis(axes, "time as a multiple of the limit (log scale, less is better)")
    axes.set_xlim(left=min(0.6, axes.get_xlim()[0]))


def _draw_speedups(axes, run: Run, lines: list[Line]) -> None:
    columns = [(1.0, "over\nNumPy")]
    if run.peers:
        columns = [(0.84, "over\nNumPy"), (1.0, "over best\npeer")]
    for line in lines:
        over_numpy = line.mean(lambda row: row.speedup(NUMPY))
        over_peer = line.mean(lambda row: row.speedup(row.best_peer) if row.best_peer else None)
        label = "over NumPy" if line is lines[0] else None
        axes.barh(line.height, over_numpy - 1, left=1, height=0.62, color=VERMILION, alpha=0.5,
                  label=label)  # fmt: skip
        if over_peer:
            axes.scatter(over_peer, line.height, s=65, marker="D", color=BLUE, edgecolors="white",
                         linewidths=0.6, zorder=4)  # fmt: skip
        for (place, _), value in zip(columns, (over_numpy, over_peer), strict=False):
            axes.text(place, line.height, _times(value) if value else "", ha="right", va="center",
                      transform=axes.get_yaxis_transform(), fontsize=11)  # fmt: skip
    for place, heading in columns:
        axes.text(place, lines[0].height + 1.1, heading, ha="right", va="center", fontsize=10,
                  transform=axes.get_yaxis_transform(), color="#444444")  # fmt: skip
    if run.peers:
        axes.scatter([], [], s=65, marker="D", color=BLUE, label="over the best peer")
    axes.axvline(1, color="black", lw=1.6)
    _log_axis(axes, "speed-up of fastnorm (log scale, more is better)")
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * (high / low) ** 0.3)  # room for the figures


def _mark_classes(left, right, lines: list[Line]) -> None:
    """The title of each class in the left margin, and a band behind every second one."""
    for number, (key, group) in enumerate(_by_class(lines).items()):
        top, bottom = group[0].height, group[-1].height
        left.annotate(CLASSES[key], (0.01, top + 0.85), xycoords=("figure fraction", "data"),
                      fontsize=12, fontweight="bold", va="center",
                      annotation_clip=False)  # fmt: skip
        if key == "tiny":
            left.annotate("here: multiples of one np.add(x, x)", (1, top + 0.85), (6, 0),
                          textcoords="offset points", va="center", style="italic",
                          fontsize=10)  # fmt: skip
        if number % 2 == 0:
            for axes in (left, right):
                axes.axhspan(bottom - 0.6, top + 1.3, color="#F4F4F4", zorder=0, lw=0)


def draw(run: Run, path: Path) -> None:
    lines = _lines(run)
    if not lines:  # a run of float64 only
        return
    plt.rcParams.update({"font.size": 12, "axes.titlesize": 14})
    height = 3.2 + 0.33 * (3 - lines[-1].height)
    figure, (left, right) = plt.subplots(1, 2, sharey=True, width_ratios=(3, 2), figsize=(15, height))
    _draw_multiples(left, run, lines)
    _draw_speedups(right, run, lines)
    _mark_classes(left, right, lines)
    left.set_title("Distance from the memory-traffic limit", loc="left")
    right.set_title("Speed-up", loc="left")
    left.set_yticks([line.height for line in lines], [line.operation for line in lines])
    left.set_ylim(lines[-1].height - 0.8, 1.6)
    figure.suptitle(
        f"fastnorm, {DTYPE}, plain calls with a fresh result: geometric means over shapes",
        x=0.01,
        y=1 - 0.15 / height,
        ha="left",
        va="top",
        fontsize=16,
        fontweight="bold",
    )
    below = -1.05 / height  # of the axes, about an inch whatever the height
    for axes, columns in ((left, 5), (right, 2)):
        axes.legend(loc="center", bbox_to_anchor=(0.45, below), ncols=columns, frameon=False)
    figure.text(0.01, 0.08 / height, "\n".join(run.description), fontsize=10, color="#444444")
    figure.subplots_adjust(0.2, 1.7 / height, 0.985, 1 - 1.1 / height, wspace=0.05)
    figure.savefig(path, dpi=110)
    plt.close(figure)
