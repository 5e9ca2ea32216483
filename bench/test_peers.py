"""A peer that computes something else would be timed for nothing: they must all agree."""

import numpy as np
import pytest

import fastnorm
from operations import DTYPES, OPERATIONS, Arrays
from peers import prepare
from shapes import BOTH, F64, GROUPS, Shape

SMALL = (
    Shape("rows", (24, 40), BOTH, F64),
    Shape("maps", (3, 4, 5, 16), BOTH, F64),
    Shape("positions", (24, 2, 3, 8), BOTH, F64, axis=1),
)


def first_array(result) -> np.ndarray:
    """y or dx; a peer returns it alone or with statistics and further gradients."""
    return np.asarray(result[0] if isinstance(result, list | tuple) else result)


@pytest.mark.parametrize("shape", SMALL, ids=lambda shape: shape.name)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_peers_agree(others, operation, dtype, shape):
    if not others:
        pytest.skip("no peer is installed")
    arrays = Arrays(shape, dtype)
    if operation.over == GROUPS:
        pytest.skip("no peer has it, on channels-last arrays")
    expected = operation.call(getattr(fastnorm, operation.name), arrays, axis=shape.axis)()
    for peer in others:
        call = prepare(peer, operation.name, arrays)
        if call is None:
            continue
        found = first_array(call())
        np.testing.assert_allclose(found.reshape(shape.dims), first_array(expected), atol=1e-3, err_msg=peer.label)
