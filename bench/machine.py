"""What figures depend on, for the JSON files: versions, settings, the date."""

import contextlib
import io
import re
import sys
import time

import numpy as np

import fastnorm
import peers


def settings(threads: int, others: list) -> dict:
    return {
        "threads": threads,
        "fastnorm": _show_config(),
        "versions": {
            "fastnorm": getattr(fastnorm, "__version__", "?"),
            "NumPy": np.__version__,
            "Python": sys.version.split()[0],
            **{peer.label: peers.version(peer) for peer in others},
        },
        "measured": time.strftime("%Y-%m-%d"),
    }


def _show_config() -> dict[str, str]:
    """What fastnorm prints about itself, such as the instruction set in use, as a dictionary."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        getattr(fastnorm, "show_config", lambda: None)()
    pairs = (re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in printed.getvalue().splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
