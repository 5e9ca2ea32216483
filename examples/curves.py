"""One picture for each experiment: how it learned, at which rates, and what it cost."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter

from training import GOAL, Result

# Okabe and Ito's colours, which stay apart for colour-blind readers; shapes differ as well.
OFF = {"color": "#D55E00", "linestyle": "--", "marker": "s", "markersize": 4}
ON = {"color": "#0072B2", "linestyle": "-", "marker": "o", "markersize": 4}
REST = "#BBBBBB"


def draw(experiment, without, with_norm, best, costs, path: Path) -> None:
    figure = Figure(figsize=(11, 8), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.12, w_pad=0.12)
    figure.suptitle(experiment.title, fontsize=14)
    (accuracy, loss), (rates, time) = figure.subplots(2, 2)
    labels = f"without {experiment.norm_name}", f"with {experiment.norm_name}"
    draw_accuracy(accuracy, best, labels)
    draw_loss(loss, best, labels)
    draw_rates(rates, without, with_norm, labels)
    draw_time(time, costs, experiment.norm_name)
    for axes in (accuracy, loss, rates):
        axes.grid(color="#DDDDDD", linewidth=0.6)
        axes.legend(frameon=False)
    for axes in (accuracy, loss, rates, time):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def draw_accuracy(axes, best: tuple[Result, Result], labels: tuple[str, str]) -> None:
    draw_curves(axes, "test", best, labels)
    axes.axhline(GOAL, color="black", linewidth=0.8, linestyle=":")
    axes.set(ylabel="test accuracy", ylim=(0.5, 1.0), yticks=[0.5, 0.6, 0.7, 0.8, 0.9, GOAL, 1.0])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_title("Each at its best rate: mean and range of the runs")


def draw_loss(axes, best: tuple[Result, Result], labels: tuple[str, str]) -> None:
    draw_curves(axes, "loss", best, labels)
    axes.set(ylabel="training loss (log scale)", yscale="log")
    axes.set_title("Training loss of the same runs")


def draw_curves(axes, name: str, best: tuple[Result, Result], labels: tuple[str, str]) -> None:
    for result, style, label in zip(best, (OFF, ON), labels, strict=True):
        values = np.array([getattr(run, name) for run in result.runs])
        epochs = np.arange(1, values.shape[1] + 1)
        axes.plot(epochs, values.mean(axis=0), label=f"{label}, rate {result.rate:g}", **style)
        low, high = values.min(axis=0), values.max(axis=0)
        axes.fill_between(epochs, low, high, color=style["color"], alpha=0.15, linewidth=0)
    axes.set(xlabel="epoch", xlim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 5, 10]))


def draw_rates(axes, without, with_norm, labels: tuple[str, str]) -> None:
    for results, style, label in zip((without, with_norm), (OFF, ON), labels, strict=True):
        rates = [result.rate for result in results]
        axes.plot(rates, [result.final_test() for result in results], label=label, **style)
    axes.set(xscale="log", ylim=(0, 1))
    axes.set(xlabel="learning rate (log scale)", ylabel="test accuracy after the last epoch")
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_title("Both at the same rate")


def draw_time(axes, costs, norm_name: str) -> None:
    names = [f"without {norm_name}", f"{norm_name}\nby fastnorm", f"{norm_name}\nby NumPy"]
    rest = np.array([cost.total - cost.norm for cost in costs])
    norm = np.array([cost.norm for cost in costs])
    axes.barh(names, rest, color=REST, label="everything else")
    # Hatched, so that the two parts differ without colour too.
    axes.barh(names, norm, left=rest, color=ON["color"], hatch="///", edgecolor="white",
              label=norm_name)  # fmt: skip
    for row, cost in enumerate(costs):
        note = f"{cost.total:.2f} s"
        if cost.calls:
            each = cost.norm / cost.calls * 1e6
            note += f"\n{norm_name} {cost.norm:.2f} s:\n{cost.calls:,} calls of {each:.1f} us"
        axes.annotate(note, (cost.total, row), (5, 0), textcoords="offset points", va="center")
    axes.invert_yaxis()
    axes.set(xlabel="seconds for one training run", xlim=(0, 1.65 * max(rest + norm)))
    axes.legend(frameon=False, loc="upper right")
    axes.set_title("Time of one run")
