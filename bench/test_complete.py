"""Every public operation is benchmarked, in every dtype and every class of shapes, beside a limit of its traffic."""

import pytest

from fused import FUSED
from limit import BLOCK
from operations import OPERATIONS, missing_benchmarks

TRAFFIC = sorted({(o.sweep, o.reads, o.writes) for o in (*OPERATIONS.values(), *FUSED.values())})


def test_no_operation_lacks_a_benchmark():
    assert missing_benchmarks() == []


@pytest.mark.parametrize("sweep, reads, writes", TRAFFIC)
def test_limit_has_every_array_of_an_operation(limit, monkeypatch, sweep, reads, writes):
    """The probe takes its pointers unseen: it would read and write wherever a missing one leads."""
    probe, sweeps = limit._probe, []

    def watched(sources, number_of_sources, results, number_of_results, *rest):
        # of no array there is a place for one, which the probe does not look at
        pointers = [*sources[:number_of_sources], *results[:number_of_results]]
        assert len(sources) == max(number_of_sources, 1) and len(results) == max(number_of_results, 1)
        assert None not in pointers and len(set(pointers)) == len(pointers)
        sweeps.append((number_of_sources, number_of_results))
        return probe(sources, number_of_sources, results, number_of_results, *rest)

    monkeypatch.setattr(limit, "_probe", watched)
    assert limit.seconds(64 * BLOCK, sweep, reads, writes) > 0
    assert set(sweeps) == {(reads, writes), *([(sweep, 0)] if sweep else [])}
