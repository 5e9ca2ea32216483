"""The pictures of curves.py: time per element along sizes, and from the nearest cache to memory."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#888888"  # Okabe and Ito's, which all kinds of colour vision tell apart
UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def _bytes(value: float, _=None) -> str:
    size, unit = next((u for u in UNITS if value >= u[0]), (1, "B"))
    return f"{value / size:.0f} {unit}"


def _panels(count: int, width: float, height: float):
    plt.rcParams.update({"font.size": 11, "axes.titlesize": 12})
    rows = -(-count // 2)
    size = (width, height * rows)
    figure, grid = plt.subplots(rows, 2, figsize=size, sharex=True, layout="constrained", squeeze=False)
    axes = list(grid.flat)
    if count < len(axes):
        axes.pop().remove()
    for one in axes:
        one.set_yscale("log")
        one.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        one.yaxis.set_minor_locator(NullLocator())
        one.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        one.grid(color="#DDDDDD", lw=0.8)
        one.spines[["top", "right"]].set_visible(False)
    figure.supylabel("nanoseconds per element (log scale, less is better)")
    return figure, axes


def draw_sizes(run: dict, path: Path) -> None:
    curves = run["along sizes"]
    figure, axes = _panels(len(curves), 15, 2.1)
    for one, (name, times) in zip(axes, curves.items(), strict=True):
        one.plot(run["sizes"], times, color=BLUE, lw=1)
        one.set_title(name, loc="left")
        one.set_ylim(min(times) / 1.3, times[min(3, len(times) - 1)] * 1.3)
    figure.supxlabel("length of a row (layer_norm) or number of channels (batch_norm); 512 rows, float32, one thread")
    axes[0].set_xticks([1, *range(128, 1101, 128)])
    figure.suptitle("Every size from 1 to 1100", x=0.01, ha="left", fontweight="bold")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw_bytes(run: dict, path: Path) -> None:
    curves = run["along bytes"]
    figure, axes = _panels(len(curves), 15, 2.5)
    looks = dict(zip(map(str, run["threads"]), (BLUE, VERMILION), strict=False))
    for one, (name, of_threads) in zip(axes, curves.items(), strict=True):
        for threads, colour in looks.items():
            label = f"{threads} thread{'s' * (threads != '1')}"
            one.plot(run["bytes"], of_threads[threads]["fastnorm"], "o-", ms=4, color=colour, label=label)
            one.plot(run["bytes"], of_threads[threads]["limit"], "--", lw=1.2, color=colour, label=f"limit, {label}")
        one.set_title(name, loc="left")
        one.set_xscale("log", base=2)
    axes[0].legend(ncols=2, frameon=False, loc="upper right")
    axes[0].set_xticks(run["bytes"][::4] if len(run["bytes"]) > 8 else run["bytes"])
    axes[0].xaxis.set_major_formatter(FuncFormatter(_bytes))
    figure.supxlabel("size of x; rows of 256, float32")
    figure.suptitle("From the nearest cache to memory", x=0.01, ha="left", fontweight="bold")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw(run: dict, folder: Path) -> list[Path]:
    pictures = {"sizes.png": draw_sizes, "scaling.png": draw_bytes}
    for name, draw_one in pictures.items():
        draw_one(run, folder / name)
    return [folder / name for name in pictures]
