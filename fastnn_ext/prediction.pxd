"""Prediction: rows through all layers, on one thread or several, each with its own workspace.

Decisions
  a. The prediction of a row does not depend on the number of other rows: every tile computes the
     same chains of additions (tile.h, decision d).
  b. Inputs are read in place: the GEMM reads them element by element, with any stride.
  c. Each microbatch is checked for NaN and infinity as it is read. A separate pass over all of X
     took up to a fifth of the time of 20,000 rows with 784 columns.
"""

from fastnn_ext.activations cimport activate, softmax
from fastnn_ext.codes cimport Activation
from fastnn_ext.dense cimport copy_rows
from fastnn_ext.network cimport forward
from fastnn_ext.objective cimport BatchRows, compute_row_losses
from fastnn_ext.plan cimport Buffer, Plan, SparseInputs
from fastnn_ext.real cimport all_finite, real
from fastnn_ext.threads cimport fn_swap

# The arguments of a call, shared by all threads. The arrays have the call's dtype `real`.
cdef struct PredictionRequest:
    const void* X                  # (n, n_features); NULL if the plan has sparse inputs
    const void* y                  # (n, n_targets) or NULL
    Py_ssize_t n
    bint check_finite
    void* out                      # (n, n_outputs), written
    double* row_losses             # (n,), written if y is not NULL
    int failed                     # set if any thread finds an element that is not finite


cdef inline void apply_output_activation(
    const Plan* plan, real* outputs, Py_ssize_t stride, Py_ssize_t n_samples
) noexcept nogil:
    """Turn raw outputs (n_samples, stride) into predictions, in place. Padding elements between the
    rows may be computed along with them."""
    cdef Py_ssize_t r
    if plan.s.output_activation == Activation.SOFTMAX:
        for r in range(n_samples):
            softmax(outputs + r * stride, plan.s.n_outputs, stride)
    elif plan.s.output_activation != Activation.LINEAR:
        activate(plan.s.output_activation, <real> 0, outputs, n_samples * stride)


cdef inline void predict_rows(
    const Plan* plan, const real* params, real* work, PredictionRequest* request, int thread,
    int team_size
) noexcept nogil:
    """Predict the thread's part of the rows.

    Reads params (n_params,), request.X and request.y; writes the thread's rows of request.out and
    request.row_losses, and the thread's workspace `work`.
    """
    cdef Plan thread_plan = plan[0]
    cdef const Buffer* z = &plan.buffers[plan.layers[plan.n_layers - 1].output]
    cdef real* outputs = work + z.values
    cdef Py_ssize_t n = request.n
    cdef Py_ssize_t row = n // team_size * thread + n % team_size * thread // team_size
    cdef Py_ssize_t last = (
        n // team_size * (thread + 1) + n % team_size * (thread + 1) // team_size)
    cdef BatchRows rows = BatchRows(NULL, NULL, NULL, 1)
    cdef const real* X = NULL
    cdef Py_ssize_t size
    cdef SparseInputs inputs
    if plan.inputs != NULL:
        inputs = plan.inputs[0]
        thread_plan.inputs = &inputs
    thread_plan.panel = work + plan.s.panels
    while row < last:
        size = last - row if last - row < plan.s.microbatch_rows else plan.s.microbatch_rows
        if plan.inputs != NULL:
            inputs.first_row = row
        else:
            X = <const real*> request.X + row * plan.s.n_features
        if request.check_finite and not all_finite(X, size * plan.s.n_features):
            fn_swap(&request.failed, True)
            return
        forward(&thread_plan, params, X, work, 0, size, 0, 0, False, False)
        if request.y != NULL:
            rows.y = <const real*> request.y + row * plan.s.n_targets
            compute_row_losses(plan, &rows, outputs, work + z.gradient, z.stride,
                               request.row_losses + row, size)
        apply_output_activation(plan, outputs, z.stride, size)
        copy_rows(<real*> request.out + row * z.width, z.width, outputs, z.stride, z.width, size)
        row += size
