"""Checks of NumPy arrays that a call can read or write in place."""

cimport numpy as cnp


cdef inline bint is_native_array(x, int type_number, Py_ssize_t width) noexcept:
    """Whether x is an array (n, width), n > 0, of this NumPy type number that kernels can read
    in place: C-contiguous, aligned, in native byte order."""
    if not cnp.PyArray_CheckExact(x):
        return False
    cdef cnp.ndarray array = <cnp.ndarray> x
    return (
        cnp.PyArray_TYPE(array) == type_number and cnp.PyArray_NDIM(array) == 2
        and cnp.PyArray_DIM(array, 0) > 0 and cnp.PyArray_DIM(array, 1) == width
        and cnp.PyArray_ISCARRAY_RO(array))


cdef inline bint is_valid_output(
    cnp.ndarray out, cnp.ndarray X, char* params, Py_ssize_t n_params
) noexcept:
    """Whether the predictions for X can be written to `out`, a native array: it is writeable, has
    as many rows as X, and shares no memory with X or params (n_params,)."""
    cdef char* begin = <char*> cnp.PyArray_DATA(out)
    cdef char* x = <char*> cnp.PyArray_DATA(X)
    cdef char* params_end = params + n_params * cnp.PyArray_ITEMSIZE(out)
    return (
        cnp.PyArray_ISWRITEABLE(out) and cnp.PyArray_DIM(out, 0) == cnp.PyArray_DIM(X, 0)
        and (begin + cnp.PyArray_NBYTES(out) <= x or x + cnp.PyArray_NBYTES(X) <= begin)
        and (begin + cnp.PyArray_NBYTES(out) <= params or params_end <= begin))
