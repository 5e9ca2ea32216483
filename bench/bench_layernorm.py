"""Benchmarks of the LayerNorm family; what is measured and how is in measure.py."""

import pytest

from measure import measure
from operations import cases
from shapes import ROWS


@pytest.mark.parametrize("case", cases(ROWS), ids=lambda case: case.identifier)
def bench(benchmark, case, others, limit, share):
    measure(benchmark, case, others, limit, share)
