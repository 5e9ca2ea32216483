"""What a type checker and a run must both say of all that is no operation."""

from types import ModuleType
from typing import assert_type

import fastnorm

assert_type(fastnorm.__version__, str)
assert_type(fastnorm.__cpu_features__, dict[str, bool])
assert_type(fastnorm.get_num_threads(), int)
with fastnorm.threads(1) as block:
    assert_type(block, fastnorm.threads)
reference: ModuleType = fastnorm.reference
fastnorm.empty_cache()
