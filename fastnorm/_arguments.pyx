"""Argument checks and results, shared by every family."""

cimport numpy as cnp
from cpython.float cimport PyFloat_AsDouble, PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from libc.math cimport HUGE_VAL

from fastnorm._core cimport (
    FN_BFLOAT16, FN_BUFFER_BYTES, FN_FLOAT16, FN_FLOAT32, FN_FLOAT64, FN_REAL, fn_storage, new_large, widen)

import numbers
import operator
import sys

import numpy as np
from numpy.exceptions import AxisError

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    bint PyArray_ISCARRAY_RO(cnp.ndarray a) noexcept
    bint PyArray_ISBEHAVED_RO(cnp.ndarray a) noexcept
    bint PyArray_ISWRITEABLE(cnp.ndarray a) noexcept
    int NPY_HALF
    int NPY_USERDEF

cdef extern from "fpenv.h":
    ctypedef unsigned long fn_fpenv
    fn_fpenv fn_fp_default() noexcept
    void fn_fp_restore(fn_fpenv saved) noexcept


# ---- words for messages -----------------------------------------------------------------------------------------------

cdef str shape_of(object a):
    return str(tuple(a.shape))


cdef str type_of(object a):
    return type(a).__name__


cdef object wrong_shape(object a, str name, expected, str where):
    return ValueError(f"{name} has shape {shape_of(a)}, expected {tuple(expected)} = {where}")


cdef str trailing(cnp.ndarray x, const Layout *layout):
    return f"x.shape[{layout.axis - cnp.PyArray_NDIM(x)}:]"


cdef str leading(cnp.ndarray x, const Layout *layout):
    return f"x.shape[:{layout.axis - cnp.PyArray_NDIM(x)}]"


# ---- inputs -----------------------------------------------------------------------------------------------------------

cdef bint is_masked(object a):
    """Whether it is a masked array; numpy.ma, which NumPy imports when it is first asked for, stays unimported."""
    module = sys.modules.get("numpy.ma")
    return module is not None and isinstance(a, module.MaskedArray)


cdef int bfloat16 = -1  # the number that ml_dtypes' bfloat16 has got from NumPy, once an array of it has come


cdef bint is_half(cnp.ndarray a):
    """Whether a is of half precision: float16, or a bfloat16 of whoever has registered one."""
    global bfloat16
    cdef int typenum = cnp.PyArray_TYPE(a)
    if typenum == NPY_HALF or typenum == bfloat16:
        return True
    if typenum >= NPY_USERDEF and a.dtype.name == "bfloat16" and cnp.PyArray_ITEMSIZE(a) == 2:
        bfloat16 = typenum
        return True
    return False


cdef fn_storage storage_of(cnp.ndarray a) noexcept:
    """How the numbers of a checked input lie in memory."""
    cdef int typenum = cnp.PyArray_TYPE(a)
    if typenum == NPY_HALF:
        return FN_FLOAT16
    return FN_BFLOAT16 if typenum == bfloat16 else FN_REAL


cdef cnp.ndarray as_array(object a, str name):
    """Any array-like as an ndarray that holds real numbers; TypeError for all else."""
    if a is None:
        raise TypeError(f"{name} is None, expected an array")
    if is_masked(a):
        raise TypeError(f"{name} is a masked array, expected a plain one: fill it or drop its mask first")
    if hasattr(a, "__dlpack__") and not hasattr(a, "__array__"):
        a = np.from_dlpack(a)
    cdef cnp.ndarray result = np.asarray(a)
    kind = result.dtype.kind
    if (kind not in "fiub" or cnp.PyArray_TYPE(result) == cnp.NPY_LONGDOUBLE) and not is_half(result):
        raise TypeError(
            f"{name} has dtype {result.dtype}, expected float16, bfloat16, float32, float64, integers or booleans")
    return result


cdef cnp.ndarray widened(cnp.ndarray a):
    """A float64 copy of a contiguous float32 array; for small ones, four times as fast as NumPy's cast."""
    cdef cnp.ndarray copy = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), cnp.NPY_DOUBLE, 0)
    widen(<const float *>cnp.PyArray_DATA(a), <double *>cnp.PyArray_DATA(copy), cnp.PyArray_SIZE(a))
    return copy


cdef cnp.ndarray converted(cnp.ndarray a, int typenum):
    """A copy of that dtype, rounded in the default floating-point environment: the caller's may flush what is small."""
    cdef fn_fpenv saved = fn_fp_default()
    try:
        if PyArray_ISCARRAY_RO(a) and cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT and typenum == cnp.NPY_DOUBLE:
            return widened(a)
        return cnp.PyArray_FROM_OTF(a, typenum, cnp.NPY_ARRAY_CARRAY_RO | cnp.NPY_ARRAY_FORCECAST)
    finally:
        fn_fp_restore(saved)


cdef cnp.ndarray plain(cnp.ndarray a, int typenum):
    """a itself, or a C-contiguous, aligned, native copy of that dtype."""
    if PyArray_ISCARRAY_RO(a) and cnp.PyArray_TYPE(a) == typenum:
        return a
    return converted(a, typenum)


cdef int check_not_0d(cnp.ndarray a, str name) except -1:
    if cnp.PyArray_NDIM(a) == 0:
        raise ValueError(f"{name} is 0-d, expected an array of at least one dimension")
    return 0


cdef bint is_plain_input(object a) noexcept:
    """Whether a is what as_input gives: nothing has to be checked or copied."""
    return (cnp.PyArray_CheckExact(a) and PyArray_ISCARRAY_RO(<cnp.ndarray>a) and cnp.PyArray_NDIM(<cnp.ndarray>a) > 0
            and (cnp.PyArray_TYPE(<cnp.ndarray>a) == cnp.NPY_FLOAT or cnp.PyArray_TYPE(<cnp.ndarray>a) == cnp.NPY_DOUBLE))


cdef cnp.ndarray as_input(object a, str name):
    """x: at least 1-d, of half precision, float32 or float64; integers and booleans become float64."""
    cdef cnp.ndarray array
    if is_plain_input(a):
        return <cnp.ndarray>a
    array = as_array(a, name)
    check_not_0d(array, name)
    if is_half(array) or cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT:
        return plain(array, cnp.PyArray_TYPE(array))
    return plain(array, cnp.NPY_DOUBLE)


cdef bint same_shape(cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef int i, ndim = cnp.PyArray_NDIM(a)
    if ndim != cnp.PyArray_NDIM(b):
        return False
    for i in range(ndim):
        if cnp.PyArray_DIM(a, i) != cnp.PyArray_DIM(b, i):
            return False
    return True


cdef cnp.ndarray as_input_like_x(object a, str name, cnp.ndarray x):
    """An input of x's shape, in x's dtype."""
    cdef cnp.ndarray array
    if cnp.PyArray_CheckExact(a):
        array = <cnp.ndarray>a
    else:
        array = as_array(a, name)
    if cnp.PyArray_TYPE(array) != cnp.PyArray_TYPE(x):
        array = as_array(array, name)
    if not same_shape(array, x):
        raise wrong_shape(array, name, (<object>x).shape, "x.shape")
    return plain(array, cnp.PyArray_TYPE(x))


cdef bint has_shape(cnp.ndarray a, int ndim, const cnp.npy_intp *dims) noexcept:
    cdef int i
    if cnp.PyArray_NDIM(a) != ndim:
        return False
    for i in range(ndim):
        if cnp.PyArray_DIM(a, i) != dims[i]:
            return False
    return True


cdef bint has_features_shape(cnp.ndarray a, cnp.ndarray x, const Layout *layout) noexcept:
    return has_shape(a, cnp.PyArray_NDIM(x) - layout.axis, cnp.PyArray_DIMS(x) + layout.axis)


cdef cnp.ndarray as_parameter(object a, str name, cnp.ndarray x, const Layout *layout):
    """gamma or beta: None, or of shape x.shape[axis:], rounded once to x's dtype."""
    cdef cnp.ndarray array
    if a is None:
        return None
    if cnp.PyArray_CheckExact(a) and cnp.PyArray_TYPE(<cnp.ndarray>a) == layout.typenum:
        array = <cnp.ndarray>a
    else:
        array = as_array(a, name)
    if not has_features_shape(array, x, layout):
        raise wrong_shape(array, name, (<object>x).shape[layout.axis:], trailing(x, layout))
    return plain(array, layout.typenum)


cdef cnp.ndarray as_floats(object a, str name):
    """What `as_array` gives, at once of an array of float32 or float64."""
    if cnp.PyArray_CheckExact(a) and (cnp.PyArray_TYPE(<cnp.ndarray>a) == cnp.NPY_DOUBLE
                                      or cnp.PyArray_TYPE(<cnp.ndarray>a) == cnp.NPY_FLOAT):
        return <cnp.ndarray>a
    return as_array(a, name)


cdef cnp.ndarray as_statistic(object a, str name, cnp.ndarray x, const Layout *layout, bint of_rows):
    """mean, rstd or a running statistic that is only read, as float64: one number a row, or one a feature."""
    cdef cnp.ndarray array = as_floats(a, name)
    if of_rows:
        if not has_shape(array, layout.axis, cnp.PyArray_DIMS(x)):
            raise wrong_shape(array, name, (<object>x).shape[:layout.axis], leading(x, layout))
    elif not has_features_shape(array, x, layout):
        raise wrong_shape(array, name, (<object>x).shape[layout.axis:], trailing(x, layout))
    return plain(array, cnp.NPY_DOUBLE)


cdef cnp.ndarray as_where(object a, cnp.ndarray x, const Layout *layout):
    """where: None, or booleans of shape x.shape[:axis], one for each row."""
    cdef cnp.ndarray array
    if a is None:
        return None
    array = as_array(a, "where")
    if cnp.PyArray_TYPE(array) != cnp.NPY_BOOL:
        raise TypeError(f"where has dtype {array.dtype}, expected booleans")
    if not has_shape(array, layout.axis, cnp.PyArray_DIMS(x)):
        raise wrong_shape(array, "where", (<object>x).shape[:layout.axis], leading(x, layout))
    return plain(array, cnp.NPY_BOOL)


cdef double as_double(object value, str name) except? -1:
    """A number, infinite if no double is so large."""
    if PyFloat_CheckExact(value):
        return PyFloat_AsDouble(value)
    if PyLong_CheckExact(value) or isinstance(value, numbers.Real) or (
            isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "fiu"):
        try:
            return float(value)
        except OverflowError:  # of an integer or a fraction
            return HUGE_VAL if value > 0 else -HUGE_VAL
    raise TypeError(f"{name} is {value!r} of type {type_of(value)}, expected a number")


cdef double as_number(object value, str name, double highest) except? -1:
    """eps or momentum: a finite number in [0, highest]."""
    cdef double number = as_double(value, name)
    if not (0 <= number <= highest) or number == HUGE_VAL:
        expected = "a finite number >= 0" if highest == HUGE_VAL else f"a number in [0, {highest:g}]"
        shown = number if number in (HUGE_VAL, -HUGE_VAL) else value
        raise ValueError(f"{name} is {shown}, expected {expected}")
    return number


cdef double as_finite(object value, str name) except? -1:
    """offset: any finite number."""
    cdef double number = as_double(value, name)
    if not (-HUGE_VAL < number < HUGE_VAL):
        raise ValueError(f"{name} is {number}, expected a finite number")
    return number


cdef int cut(cnp.ndarray x, object axis, Layout *layout) except -1:
    """Splits x.shape at axis, the first of the trailing axes that are features."""
    cdef int i, first, ndim = cnp.PyArray_NDIM(x)
    if not PyLong_CheckExact(axis):
        try:
            axis = operator.index(axis)
        except TypeError:
            raise TypeError(f"axis is {axis!r} of type {type_of(axis)}, expected an integer") from None
    if not -ndim <= axis < ndim:
        raise AxisError(f"axis {axis} is out of bounds for x of {ndim} dimensions")
    first = axis
    layout.axis = first + ndim if first < 0 else first
    layout.rows = layout.features = 1
    for i in range(ndim):
        if i < layout.axis:
            layout.rows *= cnp.PyArray_DIM(x, i)
        else:
            layout.features *= cnp.PyArray_DIM(x, i)
    layout.typenum = cnp.NPY_DOUBLE if cnp.PyArray_TYPE(x) == cnp.NPY_DOUBLE else cnp.NPY_FLOAT
    layout.dtype = FN_FLOAT64 if layout.typenum == cnp.NPY_DOUBLE else FN_FLOAT32
    layout.storage = storage_of(x)
    return 0


# ---- samples and groups of channels -----------------------------------------------------------------------------------

cdef int check_samples(cnp.ndarray x) except -1:
    if cnp.PyArray_NDIM(x) < 2:
        raise ValueError(f"x has shape {shape_of(x)}, expected two dimensions at least: samples, positions, channels")
    return 0


cdef Py_ssize_t as_groups(object value, cnp.ndarray x) except -1:
    """groups: an integer that divides the number of channels."""
    cdef Py_ssize_t channels = cnp.PyArray_DIM(x, cnp.PyArray_NDIM(x) - 1)
    if not PyLong_CheckExact(value):
        try:
            value = operator.index(value)
        except TypeError:
            raise TypeError(f"groups is {value!r} of type {type_of(value)}, expected an integer") from None
    cdef Py_ssize_t groups
    try:
        groups = value
    except OverflowError:
        groups = 0
    if groups < 1 or channels % groups:
        raise ValueError(f"groups is {value}, expected a divisor of {channels} = x.shape[-1]")
    return groups


cdef cnp.ndarray as_group_statistic(object a, str name, cnp.ndarray x, Py_ssize_t groups):
    """mean or rstd of so many groups of each sample, as float64."""
    cdef cnp.ndarray array = as_floats(a, name)
    cdef cnp.npy_intp[2] dims
    dims[0] = cnp.PyArray_DIM(x, 0)
    dims[1] = groups
    if not has_shape(array, 2, dims):
        raise ValueError(f"{name} has shape {shape_of(array)}, expected {(dims[0], dims[1])}: samples and groups")
    return plain(array, cnp.NPY_DOUBLE)


cdef cnp.ndarray as_statistic_of_any_groups(object a, str name, cnp.ndarray x):
    """The same where it is what says how many groups there are."""
    cdef cnp.ndarray array = as_floats(a, name)
    cdef Py_ssize_t samples = cnp.PyArray_DIM(x, 0), channels = cnp.PyArray_DIM(x, cnp.PyArray_NDIM(x) - 1), groups = 0
    if cnp.PyArray_NDIM(array) == 2 and cnp.PyArray_DIM(array, 0) == samples:
        groups = cnp.PyArray_DIM(array, 1)
    if groups < 1 or channels % groups:
        raise ValueError(
            f"{name} has shape {shape_of(array)}, expected ({samples}, groups), groups a divisor of {channels} = x.shape[-1]")
    return plain(array, cnp.NPY_DOUBLE)


cdef cnp.ndarray new_groups(cnp.ndarray x, Py_ssize_t groups):
    cdef cnp.npy_intp[2] dims
    dims[0] = cnp.PyArray_DIM(x, 0)
    dims[1] = groups
    return new_array(2, dims, cnp.NPY_DOUBLE, <size_t>(dims[0] * dims[1]))


# ---- channels-first memory --------------------------------------------------------------------------------------------

cdef Py_ssize_t run_of(cnp.ndarray a) noexcept:
    """How many positions of a channel follow each other where a is channels-last, its memory contiguous and channels-first.

    0 where it is anything else, a C-contiguous array among them.
    """
    cdef Py_ssize_t item = cnp.PyArray_ITEMSIZE(a), step = item, of_channel, n
    cdef int i, last = cnp.PyArray_NDIM(a) - 1
    cdef bint past_channels = False
    if last < 1 or not PyArray_ISBEHAVED_RO(a) or PyArray_ISCARRAY_RO(a):
        return 0
    of_channel = cnp.PyArray_STRIDE(a, last)
    if of_channel <= item or of_channel % item:
        return 0
    for i in range(last - 1, -1, -1):
        n = cnp.PyArray_DIM(a, i)
        if n == 1:
            continue
        if step == of_channel and not past_channels:
            past_channels = True
            step *= cnp.PyArray_DIM(a, last)
        if cnp.PyArray_STRIDE(a, i) != step:
            return 0
        step *= n
    return of_channel // item if past_channels or step == of_channel else 0


cdef cnp.ndarray as_channels(object a, object axis, Layout *layout, Py_ssize_t *run):
    """x as as_input has it, and its layout; or, with run set, a as it is in channels-first memory."""
    cdef cnp.ndarray array
    run[0] = 0
    if cnp.PyArray_CheckExact(a) and not PyArray_ISCARRAY_RO(<cnp.ndarray>a):
        array = <cnp.ndarray>a
        if cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT or cnp.PyArray_TYPE(array) == cnp.NPY_DOUBLE:
            run[0] = run_of(array)
    if not run[0]:
        array = as_input(a, "x")
        cut(array, axis, layout)
        return array
    cut(array, axis, layout)
    if layout.axis != cnp.PyArray_NDIM(array) - 1:
        run[0] = 0
        return plain(array, layout.typenum)
    return array


cdef bint lies_like(object a, cnp.ndarray x, Py_ssize_t run) noexcept:
    """Whether a is an array of x's shape and dtype in channels-first memory of that run."""
    return (cnp.PyArray_CheckExact(a) and cnp.PyArray_TYPE(<cnp.ndarray>a) == cnp.PyArray_TYPE(x)
            and same_shape(<cnp.ndarray>a, x) and run_of(<cnp.ndarray>a) == run)


cdef cnp.ndarray place_channels(object out, cnp.ndarray x, cnp.ndarray same, cnp.ndarray b, cnp.ndarray c, cnp.ndarray d,
                                Py_ssize_t run, bint *like_x):
    """place_result of an x in channels-first memory (run > 0): like_x says whether the result lies like that."""
    cdef cnp.ndarray array
    like_x[0] = False
    if out is None:
        return new_like(x)
    array = <cnp.ndarray>out
    if overlaps(array, b) or overlaps(array, c) or overlaps(array, d):
        return new_like(x)
    if not lies_like(out, x, run):
        if not PyArray_ISCARRAY_RO(array) or overlaps(array, x) or overlaps(array, same):
            return new_like(x)
        return array
    if overlaps(array, x) and cnp.PyArray_DATA(array) != cnp.PyArray_DATA(x):
        return new_like(x)
    if overlaps(array, same) and cnp.PyArray_DATA(array) != cnp.PyArray_DATA(same):
        return new_like(x)
    like_x[0] = True
    return array

include "_results.pxi"
