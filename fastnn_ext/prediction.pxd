"""Prediction: rows through the layers and out, each thread with a workspace of its own.

Decisions
  a. A row's numbers do not depend on how many others there are: the products are the same chains of
     additions in every tile (tile.h, decision d).
  b. Inputs are read where they are: the products take them number by number, with any stride.
  c. A block of rows is checked for NaN and infinity as it comes in: a pass over all of X before
     took up to a fifth of the time of 20,000 rows of 784.
"""

from fastnn_ext.activations cimport activate, softmax
from fastnn_ext.codes cimport Activation
from fastnn_ext.dense cimport copy_rows
from fastnn_ext.network cimport forward
from fastnn_ext.objective cimport Rows, losses_of_rows
from fastnn_ext.plan cimport Buffer, Plan
from fastnn_ext.real cimport all_finite, real
from fastnn_ext.threads cimport fn_swap

# What is asked for, and what all threads share. The dtype is the call's `real`.
cdef struct Request:
    const void* X                  # (n, n_features)
    const void* y                  # (n, n_targets) or NULL
    Py_ssize_t n
    bint checks                    # X for numbers that are not finite
    void* out                      # (n, n_outputs)
    double* row_losses             # (n,), where there is y
    int failed                     # the check, in any thread


cdef inline void apply_link(
    const Plan* plan, real* outputs, Py_ssize_t stride, Py_ssize_t n_rows
) noexcept nogil:
    """Raw outputs into predictions; what stands between them in whole vectors goes along."""
    cdef Py_ssize_t r
    if plan.s.link == Activation.SOFTMAX:
        for r in range(n_rows):
            softmax(outputs + r * stride, plan.s.n_outputs, stride)
    elif plan.s.link != Activation.LINEAR:
        activate(plan.s.link, <real> 0, outputs, n_rows * stride)


cdef inline void predict_rows(
    const Plan* plan, const real* params, real* work, Request* request, int thread, int team
) noexcept nogil:
    """The thread's share of the rows."""
    cdef Plan own = plan[0]
    cdef const Buffer* z = &plan.buffers[plan.layers[plan.n_layers - 1].output]
    cdef real* outputs = work + z.values
    cdef Py_ssize_t n = request.n
    cdef Py_ssize_t row = n // team * thread + n % team * thread // team
    cdef Py_ssize_t last = n // team * (thread + 1) + n % team * (thread + 1) // team
    cdef Rows rows = Rows(NULL, NULL, NULL, 1)
    cdef const real* X
    cdef Py_ssize_t size
    own.panel = work + plan.s.panels
    while row < last:
        size = last - row if last - row < plan.s.block_rows else plan.s.block_rows
        X = <const real*> request.X + row * plan.s.n_features
        if request.checks and not all_finite(X, size * plan.s.n_features):
            fn_swap(&request.failed, True)
            return
        forward(&own, params, X, work, 0, size, 0, 0, False, False)
        if request.y != NULL:
            rows.y = <const real*> request.y + row * plan.s.n_targets
            losses_of_rows(plan, &rows, outputs, work + z.gradient, z.stride,
                           request.row_losses + row, size)
        apply_link(plan, outputs, z.stride, size)
        copy_rows(<real*> request.out + row * z.width, z.width, outputs, z.stride, z.width, size)
        row += size
