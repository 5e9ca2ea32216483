"""Benchmarks of the options that work in the same pass, and of half precision; what they are is in fused.py."""

import pytest

from fused import cases
from measure import measure


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.identifier)
def bench(benchmark, case, others, limit, share):
    measure(benchmark, case, others, limit, share)
