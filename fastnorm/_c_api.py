"""Headers for compiled code: where they are."""

import os


def get_include() -> str:
    """Folder of the C header of fastnorm, for a compiler's list of include directories.

    Returns
    -------
    str
        What ``#include <fastnorm/c_api.h>`` is looked up in, and ``from fastnorm.c_api cimport fastnorm_import`` needs.

    Examples
    --------
    >>> import os, fastnorm
    >>> os.path.exists(os.path.join(fastnorm.get_include(), "fastnorm", "c_api.h"))
    True
    """
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "include")
