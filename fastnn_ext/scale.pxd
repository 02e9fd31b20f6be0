"""Scale layers: y = x s, one factor for each column.

Each factor's gradient is one chain of additions in the order of the rows, so results do not depend
on the number of threads.
"""

from fastnn_ext.plan cimport Buffer, Layer, Plan
from fastnn_ext.real cimport fma_, real


cdef inline void multiply_by_factors(
    const real* s, const real* x, Py_ssize_t x_stride, real* y, Py_ssize_t y_stride,
    Py_ssize_t rows, Py_ssize_t n, bint accumulate
) noexcept nogil:
    """y = x s, or y += x s if `accumulate`, for `rows` rows of n columns. It is the forward pass
    from inputs to outputs, and the backward pass from dy to dx."""
    cdef Py_ssize_t r, i
    for r in range(rows):
        if accumulate:
            for i in range(n):
                y[r * y_stride + i] = fma_(x[r * x_stride + i], s[i], y[r * y_stride + i])
        else:
            for i in range(n):
                y[r * y_stride + i] = x[r * x_stride + i] * s[i]


cdef inline void factor_gradient(
    const Plan* plan, const Layer* layer, const real* work, real* g, Py_ssize_t row,
    Py_ssize_t n_samples, bint accumulate
) noexcept nogil:
    """ds = the sum of x dy over rows row..row + n_samples of the microbatch.

    Reads x and dy in work; writes g (n_out,), or adds to it if `accumulate`.
    """
    cdef const Buffer* x = &plan.buffers[layer.input]
    cdef const Buffer* y = &plan.buffers[layer.output]
    cdef const real* from_x = work + x.values + row * x.stride
    cdef const real* dy = work + y.gradient + row * y.stride
    cdef Py_ssize_t r, i
    if not accumulate:
        for i in range(layer.n_out):
            g[i] = 0
    for r in range(n_samples):
        for i in range(layer.n_out):
            g[i] = fma_(from_x[r * x.stride + i], dy[r * y.stride + i], g[i])
