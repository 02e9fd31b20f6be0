"""A thread's own share of the parameters: their gradients, penalties, clipping and update.

Decisions
  a. A share is a run of whole parameter rows, cut by the flat buffer alone. What is summed over all
     rows (norm, penalty) is kept one number a row and added up in order by whoever needs it.
  b. The gradient of a share is summed over all rows of the block by its one owner, and updated by
     the same owner right away.
"""

from libc.math cimport fabs

from fastnn_ext.codes cimport Kind
from fastnn_ext.dense cimport dense_weight_gradient, transpose
from fastnn_ext.optimizers cimport update
from fastnn_ext.plan cimport Layer, Plan
from fastnn_ext.real cimport real


cdef inline Py_ssize_t own_row(
    const Plan* plan, const Layer* layer, int thread, int team
) noexcept nogil:
    """The first parameter row of this layer whose start lies in the thread's share of the flat
    buffer; that of thread + 1 ends the share."""
    cdef Py_ssize_t whole = plan.s.n_params // team
    cdef Py_ssize_t start = whole * thread + plan.s.n_params % team * thread // team
    cdef Py_ssize_t row = (start - layer.weights + layer.n_out - 1) // layer.n_out
    cdef Py_ssize_t n_rows = layer.n_in + (layer.bias >= 0)
    if start <= layer.weights:
        return 0
    return row if row < n_rows else n_rows


cdef inline void finish_gradient(
    const Plan* plan, const Layer* layer, const real* w, real* g, double* sums, bint is_weight
) noexcept nogil:
    """One parameter row: penalties of the old weights, their slopes, clipping by value, and the
    two sums that need all rows."""
    cdef real l1 = <real> layer.l1
    cdef real l2 = <real> layer.l2
    cdef real limit = <real> plan.s.clip_value
    cdef double penalty = 0
    cdef double squares = 0
    cdef Py_ssize_t j
    if is_weight and (layer.l1 > 0 or layer.l2 > 0):
        for j in range(layer.n_out):
            penalty += layer.l1 * fabs(w[j]) + layer.l2 / 2 * w[j] * w[j]
            g[j] += l2 * w[j] + (l1 if w[j] > 0 else (-l1 if w[j] < 0 else <real> 0))
    if limit > 0:
        for j in range(layer.n_out):
            g[j] = limit if g[j] > limit else (-limit if g[j] < -limit else g[j])
    if plan.s.clip_norm > 0:
        for j in range(layer.n_out):
            squares += <double> g[j] * g[j]
    sums[0] = squares
    sums[plan.s.n_rows] = penalty


cdef inline void gradients_of_share(
    const Plan* plan, const real* params, real* work, double* row_sums, Py_ssize_t n_rows,
    bint begins, bint ends, int thread, int team
) noexcept nogil:
    """The block's part of the gradients of the thread's own parameter rows."""
    cdef const Layer* layer
    cdef real* g
    cdef Py_ssize_t index, k, first, last
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        if layer.kind != Kind.DENSE:
            continue
        first = own_row(plan, layer, thread, team)
        last = own_row(plan, layer, thread + 1, team)
        if first >= last:
            continue
        g = work + plan.s.gradients + layer.weights
        dense_weight_gradient(plan, layer, work, g, n_rows, first, last, begins)
        if ends:
            for k in range(first, last):
                finish_gradient(plan, layer, params + layer.weights + k * layer.n_out,
                                g + k * layer.n_out, row_sums + layer.first_row + k,
                                k < layer.n_in)


cdef inline void update_share(
    const Plan* plan, real* params, real* slots, real* work, double rate, double t,
    double clip, int thread, int team
) noexcept nogil:
    """The optimizer on the thread's own parameter rows, their gradients scaled by `clip`."""
    cdef const Layer* layer
    cdef real* g
    cdef Py_ssize_t index, i, first, last, weights_end, start
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        if layer.kind != Kind.DENSE:
            continue
        first = own_row(plan, layer, thread, team)
        last = own_row(plan, layer, thread + 1, team)
        weights_end = last if last < layer.n_in else layer.n_in
        if first >= last:
            continue
        start = layer.weights + first * layer.n_out
        g = work + plan.s.gradients + start
        if clip != 1:
            for i in range((last - first) * layer.n_out):
                g[i] *= <real> clip
        if first < weights_end:
            update(&plan.s, params + start, g, slots + start,
                   (weights_end - first) * layer.n_out, rate, t, True)
            if layer.transposed >= 0:
                transpose(work + layer.transposed, params + layer.weights, layer,
                          first, weights_end)
        if last > layer.n_in:
            update(&plan.s, params + layer.bias, work + plan.s.gradients + layer.bias,
                   slots + layer.bias, layer.n_out, rate, t, False)


cdef inline void refresh_transposed(
    const Plan* plan, const real* params, real* work
) noexcept nogil:
    cdef const Layer* layer
    cdef Py_ssize_t index
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        if layer.kind == Kind.DENSE and layer.transposed >= 0:
            transpose(work + layer.transposed, params + layer.weights, layer, 0, layer.n_in)
