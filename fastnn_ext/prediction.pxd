"""Prediction: rows through the layers and out, each thread with its own slice of the workspace.

A row's numbers do not depend on how many others there are: the products are the same chains of
additions in every tile (tile.h, decision d).
"""

from libc.string cimport memcpy

from fastnn_ext.activations cimport activate, softmax
from fastnn_ext.codes cimport Activation
from fastnn_ext.network cimport forward
from fastnn_ext.objective cimport Rows, losses_of_rows
from fastnn_ext.plan cimport Buffer, Plan
from fastnn_ext.real cimport real


cdef inline void apply_link(const Plan* plan, real* row) noexcept nogil:
    """Raw outputs of one row into predictions."""
    if plan.s.link == Activation.SOFTMAX:
        softmax(row, plan.s.n_outputs)
    elif plan.s.link != Activation.LINEAR:
        activate(plan.s.link, <real> 0, row, plan.s.n_outputs)


cdef inline void predict_rows(
    const Plan* plan, const real* params, real* work, const real* X, const real* y, Py_ssize_t n,
    real* out, double* row_losses, int thread, int team
) noexcept nogil:
    """The thread's share of n rows into out (n, n_outputs); where y is not NULL, also the loss of
    each row."""
    cdef const Buffer* x = &plan.buffers[0]
    cdef const Buffer* z = &plan.buffers[plan.layers[plan.n_layers - 1].output]
    cdef Py_ssize_t slice_first = plan.s.block_rows * thread // team
    cdef Py_ssize_t slice_rows = plan.s.block_rows * (thread + 1) // team - slice_first
    cdef Py_ssize_t row = n // team * thread + n % team * thread // team
    cdef Py_ssize_t last = n // team * (thread + 1) + n % team * (thread + 1) // team
    cdef real* inputs = work + x.values + slice_first * x.stride
    cdef real* outputs = work + z.values + slice_first * z.stride
    cdef Rows rows = Rows(NULL, NULL, NULL, 1)
    cdef Py_ssize_t size, r
    while row < last:
        size = last - row if last - row < slice_rows else slice_rows
        for r in range(size):
            memcpy(inputs + r * x.stride, X + (row + r) * x.width, x.width * sizeof(real))
        forward(plan, params, work, slice_first, slice_first + size, 0, 0, False)
        if y != NULL:
            rows.y = y + row * plan.s.n_targets
            losses_of_rows(plan, &rows, outputs, work + z.gradient + slice_first * z.stride,
                           z.stride, row_losses + row, size)
        for r in range(size):
            apply_link(plan, outputs + r * z.stride)
            memcpy(out + (row + r) * z.width, outputs + r * z.stride, z.width * sizeof(real))
        row += size
