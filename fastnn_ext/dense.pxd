"""Dense layers: one product kernel in three roles, and the loops around it.

Decisions
  a. Forward (y = x W), weight gradient (dW = x' dy) and input gradient (dx = dy W') are the same
     kernel with other strides of its first factor; its second factor is always read along rows.
     For the input gradient it takes W transposed, which each thread packs for itself as it goes:
     a copy of W', kept up to date by the update, went back and forth between the cores.
  b. Each element of a product is one chain of additions in the order of the depth, wherever the
     rows are cut: so a result does not depend on the number of threads or on its neighbours.
  c. The product is a register tile of C (tile.h); Cython cannot say that. Against loops over
     `y += s * x` that the compiler made into vectors it took, for whole training steps with Adam on
     two cores, 0.69 of the time at 4-32-32-1 and 0.36 at 784-128-10.
  d. On several threads, whatever the others read in the step before is claimed before it is written
     (tile.h, decision h): outputs and input gradients by the tile that computes them, weights by
     the tile of their gradient, gradients of the last outputs before the loss. On two threads a
     step took 0.61 of the time at 64-64-64-1, 0.80 at 784-128-10 and 784-256-128-10, 0.95 at
     30-128-64-2.
  e. Where most inputs are zero (one-hot columns), the first layer's products leave out what whole
     tiles have zero (tile.h, decision i). Whether they look is decided once a fit: where nothing is
     zero, looking takes a tenth of the product.
"""

from libc.string cimport memcpy

from fastnn_ext.activations cimport activate
from fastnn_ext.plan cimport Buffer, Layer, Plan
from fastnn_ext.real cimport real
from fastnn_ext.tile cimport (
    claim,
    copy_row,
    multiply_add,
    multiply_add_column,
    multiply_add_packed,
    sum_rows,
)


# Rows from which packing pays that only spares conflicts in the caches; how far apart those are.
# Rows from which a lone output's product pays as a column.
cdef enum:
    PACKING_ROWS = 24
    PAGE = 4096
    COLUMN_ROWS = 8
    LINE = 64


cdef inline void copy_rows(
    real* to, Py_ssize_t to_stride, const real* source, Py_ssize_t stride, Py_ssize_t width,
    Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(n):
        copy_row(to + r * to_stride, source + r * stride, width)


cdef inline void dense_forward(
    const Plan* plan, const Layer* layer, const real* params, const real* x, Py_ssize_t x_stride,
    real* work, Py_ssize_t first, Py_ssize_t last, bint known
) noexcept nogil:
    """y = activation(x W + b) for rows first..last of the block, whose inputs begin at x; where
    x W + b is `known`, it stands in its place already."""
    cdef const Buffer* y = &plan.buffers[layer.output]
    cdef const Buffer* saved = &plan.buffers[layer.saved]
    cdef const real* bias = NULL
    cdef Py_ssize_t rows = last - first
    cdef bint sparse = plan.sparse and layer.input == 0
    cdef real* z = work + saved.values + first * saved.stride
    if layer.bias >= 0:
        bias = params + layer.bias
    if known:
        pass
    elif layer.n_out == 1 and rows >= COLUMN_ROWS and x_stride * sizeof(real) % LINE == 0:
        multiply_add_column(z, saved.stride, bias, x, x_stride, params + layer.weights, rows,
                            layer.n_in)
    elif not sparse and rows >= PACKING_ROWS and layer.n_out * sizeof(real) % PAGE == 0:
        multiply_add_packed(z, saved.stride, bias, 0, x, x_stride, 1, params + layer.weights,
                            layer.n_out, rows, layer.n_out, layer.n_in, False, plan.shared,
                            <real*> plan.panel, plan.s.panel_stride)
    else:
        multiply_add(z, saved.stride, bias, 0, x, x_stride, 1, params + layer.weights, layer.n_out,
                     rows, layer.n_out, layer.n_in, True, sparse, z if plan.shared else NULL)
    if layer.saved != layer.output:
        memcpy(work + y.values + first * y.stride, z, rows * y.stride * sizeof(real))
    activate(layer.activation, <real> layer.parameter,
             work + y.values + first * y.stride, rows * y.stride)


cdef inline void dense_input_gradient(
    const Plan* plan, const Layer* layer, const real* params, real* work,
    Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """dx = dy W' (or dx += dy W') for rows first..last of the block."""
    cdef const Buffer* x = &plan.buffers[layer.input]
    cdef const Buffer* y = &plan.buffers[layer.output]
    cdef real* dx = work + x.gradient + first * x.stride
    cdef const real* begin = NULL
    if layer.adds_to_input:
        begin = dx
    multiply_add_packed(dx, x.stride, begin, x.stride, work + y.gradient + first * y.stride,
                        y.stride, 1, params + layer.weights, layer.n_out, last - first, layer.n_in,
                        layer.n_out, True, plan.shared, <real*> plan.panel, plan.s.panel_stride)


cdef inline void dense_weight_gradient(
    const Plan* plan, const Layer* layer, real* written, const real* work, real* g,
    Py_ssize_t row, Py_ssize_t n_rows, Py_ssize_t first, Py_ssize_t last, bint adds
) noexcept nogil:
    """Rows first..last of dW = x' dy (or dW += x' dy) over n_rows of the block from `row` on, into
    g, which holds just these; the row after the last weight is the bias. `written` is what is
    written next that lies as g does, and that other threads have read: it is claimed. NULL: none.
    """
    cdef const Buffer* x = &plan.buffers[layer.input]
    cdef const Buffer* y = &plan.buffers[layer.output]
    cdef const real* from_x = work + x.values + row * x.stride + first
    cdef const real* dy = work + y.gradient + row * y.stride
    cdef Py_ssize_t n_out = layer.n_out
    cdef Py_ssize_t weights_end = last if last < layer.n_in else layer.n_in
    cdef real* bias = g + (layer.n_in - first) * n_out
    cdef const real* begin = g if adds else NULL
    cdef real* claimed = written if plan.shared else NULL
    if first < weights_end and n_out == 1:  # one row of dy' x: its lanes are full
        multiply_add(g, weights_end - first, begin, 0, dy, 0, y.stride, from_x, x.stride, 1,
                     weights_end - first, n_rows, False, False, claimed)
    elif first < weights_end:
        multiply_add(g, n_out, begin, n_out, from_x, 1, x.stride, dy, y.stride,
                     weights_end - first, n_out, n_rows, False,
                     plan.sparse and layer.input == 0, claimed)
    if last > layer.n_in:
        if claimed != NULL:
            claim(claimed + (layer.n_in - first) * n_out, n_out)
        sum_rows(bias, bias if adds else NULL, dy, y.stride, n_out, n_rows)
