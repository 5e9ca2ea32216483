"""A peer that computes something else would be timed for nothing: they must all agree."""

import numpy as np
import pytest

import fastnorm
from fused import FUSED
from operations import DTYPES, OPERATIONS, Arrays
from peers import PyTorch, prepare
from shapes import BOTH, F64, Shape

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
    if not any(hasattr(peer, operation.name) for peer in others):
        pytest.skip("no peer has it")
    arrays = Arrays(shape, dtype)
    expected = operation.call(getattr(fastnorm, operation.name), arrays, axis=shape.axis)()
    for peer in others:
        call = prepare(peer, operation.name, arrays)
        if call is None:
            continue
        found = first_array(call())
        np.testing.assert_allclose(found.reshape(shape.dims), first_array(expected), atol=1e-3, err_msg=peer.label)


@pytest.mark.parametrize("operation", FUSED.values(), ids=lambda operation: operation.name)
def test_steps_agree(others, operation):
    """With what one pass does for several, and so does PyTorch."""
    arrays = Arrays(Shape("sequences", (4, 24, 64), BOTH, F64), operation.dtypes[0])
    expected = first_array(operation.ours(arrays)()).astype(float)
    calls = {"steps": operation.steps(arrays)}
    for peer in others:
        if peer.label == PyTorch.label:
            calls[peer.label] = operation.peer(peer, arrays)
    atol = 2e-3 if operation.dtypes == ("float32",) else 3e-2
    for label, call in calls.items():
        if call is None or (operation.keywords(arrays).get("p") and label != "steps"):
            continue  # PyTorch drops others
        result = call()
        if label != "steps":
            result = [t.float().numpy() for t in (result if isinstance(result, list | tuple) else [result])]
        found = first_array(result).astype(float).reshape(expected.shape)
        np.testing.assert_allclose(found, expected, atol=atol, rtol=atol, err_msg=label)
