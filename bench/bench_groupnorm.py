"""Benchmarks of GroupNorm and InstanceNorm; what is measured and how is in measure.py."""

import pytest

from measure import measure
from operations import cases


@pytest.mark.parametrize("case", cases("groupnorm"), ids=lambda case: case.identifier)
def bench(benchmark, case, others, limit, share):
    measure(benchmark, case, others, limit, share)
