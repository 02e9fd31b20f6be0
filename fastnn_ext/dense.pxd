"""Dense layers: one product kernel in three roles, and the loops around it.

Decisions
  a. Forward (y = x W), weight gradient (dW = x' dy) and input gradient (dx = dy W') are the same
     kernel with other strides of its first factor; its second factor is always read along rows.
     For the input gradient that takes a transposed copy of W, kept up to date by the update.
  b. Each element of a product is one chain of additions in the order of the depth, wherever the
     rows are cut: so a result does not depend on the number of threads or on its neighbours.
  c. The product is a register tile of C (tile.h); Cython cannot say that. Against loops over
     `y += s * x` that the compiler made into vectors it took, for whole training steps with Adam on
     two cores, 0.69 of the time at 4-32-32-1 and 0.36 at 784-128-10.
"""

from libc.string cimport memcpy

from fastnn_ext.activations cimport activate
from fastnn_ext.plan cimport Buffer, Layer, Plan
from fastnn_ext.real cimport real


cdef extern from "tile.h" nogil:
    void fn_multiply_addf(
        float* c, Py_ssize_t c_stride, const float* begin, Py_ssize_t begin_stride,
        const float* a, Py_ssize_t a_row, Py_ssize_t a_depth, const float* b, Py_ssize_t b_stride,
        Py_ssize_t rows, Py_ssize_t lanes, Py_ssize_t depth, bint padded)
    void fn_multiply_add(
        double* c, Py_ssize_t c_stride, const double* begin, Py_ssize_t begin_stride,
        const double* a, Py_ssize_t a_row, Py_ssize_t a_depth, const double* b, Py_ssize_t b_stride,
        Py_ssize_t rows, Py_ssize_t lanes, Py_ssize_t depth, bint padded)
    void fn_transposef(
        float* t, Py_ssize_t t_stride, const float* w, Py_ssize_t w_stride,
        Py_ssize_t rows, Py_ssize_t columns)
    void fn_transpose(
        double* t, Py_ssize_t t_stride, const double* w, Py_ssize_t w_stride,
        Py_ssize_t rows, Py_ssize_t columns)


cdef inline void multiply_add(
    real* c, Py_ssize_t c_stride, const real* begin, Py_ssize_t begin_stride,
    const real* a, Py_ssize_t a_row, Py_ssize_t a_depth, const real* b, Py_ssize_t b_stride,
    Py_ssize_t rows, Py_ssize_t lanes, Py_ssize_t depth, bint padded
) noexcept nogil:
    """c[rows, lanes] = begin[rows, lanes] + a[rows, depth] @ b[depth, lanes], a with any strides;
    begin NULL is zeros. Rows of c may be written in whole vectors where it is padded."""
    if real is float:
        fn_multiply_addf(c, c_stride, begin, begin_stride, a, a_row, a_depth, b, b_stride,
                         rows, lanes, depth, padded)
    else:
        fn_multiply_add(c, c_stride, begin, begin_stride, a, a_row, a_depth, b, b_stride,
                        rows, lanes, depth, padded)


cdef inline void transpose(
    real* t, const real* w, const Layer* layer, Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """Rows first..last of w (n_in, n_out) into the columns of t (n_out, n_in)."""
    if real is float:
        fn_transposef(t + first, layer.n_in, w + first * layer.n_out, layer.n_out,
                      last - first, layer.n_out)
    else:
        fn_transpose(t + first, layer.n_in, w + first * layer.n_out, layer.n_out,
                     last - first, layer.n_out)


cdef inline void dense_forward(
    const Plan* plan, const Layer* layer, const real* params, real* work,
    Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """y = activation(x W + b) for rows first..last of the block."""
    cdef const Buffer* x = &plan.buffers[layer.input]
    cdef const Buffer* y = &plan.buffers[layer.output]
    cdef const Buffer* saved = &plan.buffers[layer.saved]
    cdef const real* bias = NULL
    cdef Py_ssize_t rows = last - first
    cdef real* z = work + saved.values + first * saved.stride
    if layer.bias >= 0:
        bias = params + layer.bias
    multiply_add(z, saved.stride, bias, 0, work + x.values + first * x.stride, x.stride, 1,
                 params + layer.weights, layer.n_out, rows, layer.n_out, layer.n_in, True)
    if layer.saved != layer.output:
        memcpy(work + y.values + first * y.stride, z, rows * y.stride * sizeof(real))
    activate(layer.activation, <real> layer.parameter,
             work + y.values + first * y.stride, rows * y.stride)


cdef inline void dense_input_gradient(
    const Plan* plan, const Layer* layer, real* work, Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """dx = dy W' (or dx += dy W') for rows first..last of the block."""
    cdef const Buffer* x = &plan.buffers[layer.input]
    cdef const Buffer* y = &plan.buffers[layer.output]
    cdef real* dx = work + x.gradient + first * x.stride
    cdef const real* begin = NULL
    if layer.adds_to_input:
        begin = dx
    multiply_add(dx, x.stride, begin, x.stride, work + y.gradient + first * y.stride, y.stride, 1,
                 work + layer.transposed, layer.n_in, last - first, layer.n_in, layer.n_out, True)


cdef inline void dense_weight_gradient(
    const Plan* plan, const Layer* layer, const real* work, real* g, Py_ssize_t n_rows,
    Py_ssize_t first, Py_ssize_t last, bint adds
) noexcept nogil:
    """Rows first..last of dW = x' dy (or dW += x' dy) over the whole block into g, which holds
    just these; the row after the last weight is the bias."""
    cdef const Buffer* x = &plan.buffers[layer.input]
    cdef const Buffer* y = &plan.buffers[layer.output]
    cdef const real* dy = work + y.gradient
    cdef Py_ssize_t weights_end = last if last < layer.n_in else layer.n_in
    cdef const real* begin = NULL
    cdef real* bias = g + (layer.n_in - first) * layer.n_out
    cdef real one = 1  # the input that a bias has
    if adds:
        begin = g
    if first < weights_end:
        multiply_add(g, layer.n_out, begin, layer.n_out, work + x.values + first, 1, x.stride,
                     dy, y.stride, weights_end - first, layer.n_out, n_rows, False)
    if last > layer.n_in:
        if adds:
            begin = bias
        multiply_add(bias, layer.n_out, begin, layer.n_out, &one, 0, 0, dy, y.stride, 1,
                     layer.n_out, n_rows, False)
