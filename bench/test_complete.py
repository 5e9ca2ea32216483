"""Every public operation is benchmarked, in every dtype and every class of shapes."""

from operations import missing_benchmarks


def test_no_operation_lacks_a_benchmark():
    assert missing_benchmarks() == []
