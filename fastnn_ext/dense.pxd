"""Dense layers: one GEMM kernel in three roles, and the loops around it.

Decisions
  a. Forward (y = x W), weight gradient (dW = x' dy) and input gradient (dx = dy W') are the same
     GEMM with different strides of its first factor; the second factor is always read along its
     rows. The input gradient needs W transposed, which each thread packs for itself. A transposed
     copy kept up to date by the update moved back and forth between the cores.
  b. Each element of the result is one chain of additions in the order of the inner dimension,
     wherever the rows are split: the result depends neither on the number of threads nor on
     neighbouring elements.
  c. The GEMM is a register tile written in C (tile.h), which Cython cannot express. Against loops
     over `y += s * x` vectorized by the compiler, a whole training step with Adam on two cores took
     0.69 of the time at 4-32-32-1 and 0.36 at 784-128-10.
  d. With several threads, cache lines that other threads read in the previous step are acquired
     before they are written (tile.h, decision h): outputs and input gradients by the tile that
     computes them, weights by the tile of their gradient, gradients of the last outputs before the
     loss. On two threads a step took 0.61 of the time at 64-64-64-1, 0.80 at 784-128-10 and
     784-256-128-10, 0.95 at 30-128-64-2.
  e. Where most inputs are zero (one-hot columns), the GEMMs of the first layer skip the inputs that
     are zero in a whole tile (tile.h, decision i), also behind layers that keep zeros. This is
     decided once per fit: where no input is zero, the search for zeros costs a tenth of the GEMM.
"""

from libc.string cimport memcpy

from fastnn_ext.activations cimport activate
from fastnn_ext.plan cimport Buffer, Layer, Plan
from fastnn_ext.real cimport real
from fastnn_ext.sparse cimport multiply_sparse_rows, reads_sparse, sparse_weight_gradient
from fastnn_ext.tile cimport (
    acquire_lines,
    copy_row,
    multiply_add,
    multiply_add_column,
    multiply_add_packed,
    sum_rows,
)


cdef enum:
    PACKING_ROWS = 24              # fewest rows for which packing against cache conflicts pays
    PAGE = 4096                    # bytes between rows that conflict in the caches
    COLUMN_ROWS = 8                # fewest rows for which multiply_add_column pays
    LINE = 64                      # bytes of a cache line


cdef inline void copy_rows(
    real* to, Py_ssize_t to_stride, const real* source, Py_ssize_t stride, Py_ssize_t width,
    Py_ssize_t n
) noexcept nogil:
    """Copy source (n, width) to `to` (n, width); rows are `stride` and `to_stride` apart."""
    cdef Py_ssize_t r
    for r in range(n):
        copy_row(to + r * to_stride, source + r * stride, width)


cdef inline void multiply_by_weights(
    const Plan* plan, const Layer* layer, const real* params, const real* bias, const real* x,
    Py_ssize_t x_stride, real* z, Py_ssize_t z_stride, Py_ssize_t rows, bint sparse
) noexcept nogil:
    """z = x W + bias (n_out,), or z = x W if bias is NULL.

    Reads params (n_params,) and x (rows, n_in), with rows x_stride apart; writes z (rows, n_out),
    padded, with rows z_stride apart. `sparse`: most of x is zero (decision e).
    """
    if layer.n_out == 1 and rows >= COLUMN_ROWS and x_stride * sizeof(real) % LINE == 0:
        multiply_add_column(z, z_stride, bias, x, x_stride, params + layer.weights, rows,
                            layer.n_in)
    elif not sparse and rows >= PACKING_ROWS and layer.n_out * sizeof(real) % PAGE == 0:
        multiply_add_packed(z, z_stride, bias, 0, x, x_stride, 1, params + layer.weights,
                            layer.n_out, rows, layer.n_out, layer.n_in, False, plan.multithreaded,
                            <real*> plan.panel, plan.s.panel_stride)
    else:
        multiply_add(z, z_stride, bias, 0, x, x_stride, 1, params + layer.weights, layer.n_out,
                     rows, layer.n_out, layer.n_in, True, sparse, z if plan.multithreaded else NULL)


cdef inline void dense_forward(
    const Plan* plan, const Layer* layer, const real* params, const real* x, Py_ssize_t x_stride,
    real* work, Py_ssize_t first, Py_ssize_t last, bint preactivation_ready
) noexcept nogil:
    """y = activation(x W + b) for rows first..last of the microbatch.

    Reads params (n_params,) and x (last - first, n_in), with rows x_stride apart, or the plan's
    sparse inputs; writes the rows of the layer's buffers `output` and `saved` in work. If
    `preactivation_ready`, x W + b is already in `saved` and only the activation is computed.
    """
    cdef const Buffer* y = &plan.buffers[layer.output]
    cdef const Buffer* saved = &plan.buffers[layer.saved]
    cdef const real* bias = NULL
    cdef Py_ssize_t rows = last - first
    cdef real* z = work + saved.values + first * saved.stride
    if layer.bias >= 0:
        bias = params + layer.bias
    if reads_sparse(plan, layer):
        multiply_sparse_rows(plan, layer, params, bias, z, saved.stride, first, last)
    elif not preactivation_ready:
        multiply_by_weights(plan, layer, params, bias, x, x_stride, z, saved.stride, rows,
                            plan.sparse and layer.reads_zeros != 0)
    if layer.saved != layer.output:
        memcpy(work + y.values + first * y.stride, z, rows * y.stride * sizeof(real))
    activate(layer.activation, <real> layer.parameter,
             work + y.values + first * y.stride, rows * y.stride)


cdef inline void dense_input_gradient(
    const Plan* plan, const Layer* layer, const real* params, real* work,
    Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """dx = dy W', or dx += dy W' if `layer.adds_to_input`, for rows first..last of the microbatch.

    Reads params (n_params,) and dy, the gradient of the layer's output in work; writes dx, the
    gradient of its input in work.
    """
    cdef const Buffer* x = &plan.buffers[layer.input]
    cdef const Buffer* y = &plan.buffers[layer.output]
    cdef real* dx = work + x.gradient + first * x.stride
    cdef const real* begin = NULL
    if layer.adds_to_input:
        begin = dx
    multiply_add_packed(dx, x.stride, begin, x.stride, work + y.gradient + first * y.stride,
                        y.stride, 1, params + layer.weights, layer.n_out, last - first, layer.n_in,
                        layer.n_out, True, plan.multithreaded, <real*> plan.panel,
                        plan.s.panel_stride)


cdef inline void dense_weight_gradient(
    const Plan* plan, const Layer* layer, real* next_write, const real* work, real* g,
    Py_ssize_t row, Py_ssize_t n_samples, Py_ssize_t first, Py_ssize_t last, bint accumulate
) noexcept nogil:
    """Parameter rows first..last of dW = x' dy over rows row..row + n_samples of the microbatch.

    Reads x and dy in work; writes g (last - first, n_out), or adds to it if `accumulate`. If x is
    sparse, the columns of these rows are sorted before the call (sparse.pxd). Parameter row n_in is
    the gradient of the bias. `next_write` is an array with g's layout that this thread will write
    next and that other threads have read: its cache lines are acquired. NULL for none.
    """
    cdef const Buffer* x = &plan.buffers[layer.input]
    cdef const Buffer* y = &plan.buffers[layer.output]
    cdef const real* from_x = work + x.values + row * x.stride + first
    cdef const real* dy = work + y.gradient + row * y.stride
    cdef Py_ssize_t n_out = layer.n_out
    cdef Py_ssize_t weights_end = last if last < layer.n_in else layer.n_in
    cdef real* bias = g + (layer.n_in - first) * n_out
    cdef const real* begin = g if accumulate else NULL
    cdef real* shared_write = next_write if plan.multithreaded else NULL
    cdef Py_ssize_t start = 0
    if first < weights_end and reads_sparse(plan, layer):
        sparse_weight_gradient(plan, layer, work, g, first, weights_end, accumulate)
    elif first < weights_end and n_out == 1:  # computed as one row dy' x, which fills whole vectors
        multiply_add(g, weights_end - first, begin, 0, dy, 0, y.stride, from_x, x.stride, 1,
                     weights_end - first, n_samples, False, False, shared_write)
    elif first < weights_end:
        multiply_add(g, n_out, begin, n_out, from_x, 1, x.stride, dy, y.stride,
                     weights_end - first, n_out, n_samples, False,
                     plan.sparse and layer.reads_zeros != 0, shared_write)
    if last > layer.n_in:
        if shared_write != NULL:
            acquire_lines(shared_write + (layer.n_in - first) * n_out, n_out)
        begin = bias if accumulate else NULL
        while start < n_samples:
            sum_rows(bias, begin, dy + start * y.stride, y.stride, n_out,
                     min(plan.s.bias_rows, n_samples - start))
            start += plan.s.bias_rows
            begin = bias
