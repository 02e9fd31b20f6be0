"""From the losses of single outputs to the loss of a batch: rows, weights, sums.

Decisions
  a. Rows are scattered (a shuffle) and narrow (one output, often). Before an element-wise loss they
     are packed into a piece of contiguous numbers, so that its loop fills whole vectors, and its
     gradient is unpacked after: batch 32 of one output took 40 vectors' time instead of 32 calls.
  b. Sums are in double and in the order of the rows, whoever computed them: every thread that adds
     them up comes to the same bits.
"""

from fastnn_ext.losses cimport elementwise, row_loss, takes_rows
from fastnn_ext.plan cimport Plan
from fastnn_ext.real cimport real
from fastnn_ext.tile cimport claim, copy_row

# Numbers in a piece: four of them stay in the first-level cache.
cdef enum:
    PIECE = 256

# What the engine knows of the rows it is given: row r stands at order[r] (at r where that is NULL).
# Dtypes are the call's `real`, which a struct cannot say.
cdef struct Rows:
    const Py_ssize_t* order
    const void* y                  # (n, n_targets)
    const void* weights            # (n,) or NULL
    double total                   # the batch's sum of weights


cdef inline Py_ssize_t place(const Rows* rows, Py_ssize_t r) noexcept nogil:
    return r if rows.order == NULL else rows.order[r]


cdef inline double weight_of(const Rows* rows, Py_ssize_t r, const real* tag) noexcept nogil:
    return 1 if rows.weights == NULL else (<const real*> rows.weights)[place(rows, r)]


cdef inline double batch_total(const Rows* rows, Py_ssize_t n, const real* tag) noexcept nogil:
    """The sum of the weights of n rows."""
    cdef double total = 0
    cdef Py_ssize_t r
    if rows.weights == NULL:
        return n
    for r in range(n):
        total += weight_of(rows, r, tag)
    return total


cdef inline double ordered_sum(const double* values, Py_ssize_t n) noexcept nogil:
    """As eight sums, which need not wait for each other."""
    cdef double[8] totals
    cdef Py_ssize_t i, k
    for k in range(8):
        totals[k] = 0
    for i in range(n // 8):
        for k in range(8):
            totals[k] += values[8 * i + k]
    for k in range(n % 8):
        totals[k] += values[n - n % 8 + k]
    return (((totals[0] + totals[1]) + (totals[2] + totals[3]))
            + ((totals[4] + totals[5]) + (totals[6] + totals[7])))


cdef inline void losses_of_piece(
    const Plan* plan, const Rows* rows, const real* outputs, real* gradients, Py_ssize_t stride,
    double* row_losses, Py_ssize_t first, Py_ssize_t last, Py_ssize_t start, Py_ssize_t end
) noexcept nogil:
    """Outputs start..end of rows first..last: at most PIECE numbers."""
    cdef Py_ssize_t n = plan.s.n_outputs
    cdef Py_ssize_t m = end - start
    cdef real z[PIECE]
    cdef real t[PIECE]
    cdef real value[PIECE]
    cdef real slope[PIECE]
    cdef Py_ssize_t r, i, k
    cdef double part = 1.0 / n
    cdef real scale = <real> (part / rows.total)
    cdef double weight, total
    for r in range(first, last):
        k = (r - first) * m
        if m == 1:
            z[k] = outputs[r * stride + start]
            t[k] = (<const real*> rows.y)[place(rows, r) * n + start]
        else:
            copy_row(z + k, outputs + r * stride + start, m)
            copy_row(t + k, <const real*> rows.y + place(rows, r) * n + start, m)
    elementwise(plan.s.loss, plan.s.link, <real> plan.s.loss_parameter, z, t, (last - first) * m,
                value, slope)
    for k in range((last - first) * m):
        slope[k] *= scale
    for r in range(first, last):
        k = (r - first) * m
        weight = weight_of(rows, r, outputs)
        total = value[k]
        for i in range(1, m):
            total += value[k + i]
        row_losses[r] += weight * total * part
        if weight != 1:
            for i in range(m):
                slope[k + i] *= <real> weight
        if m == 1:
            gradients[r * stride + start] = slope[k]
        else:
            copy_row(gradients + r * stride + start, slope + k, m)


cdef inline void losses_of_rows(
    const Plan* plan, const Rows* rows, const real* outputs, real* gradients, Py_ssize_t stride,
    double* row_losses, Py_ssize_t n_rows
) noexcept nogil:
    """The weighted loss of each row, and the gradient of its outputs for the batch's mean."""
    cdef Py_ssize_t n = plan.s.n_outputs
    cdef Py_ssize_t rows_in_piece = PIECE // n if n < PIECE else 1
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t r, last, start
    cdef double weight
    if plan.shared:
        claim(gradients, n_rows * stride)
    if takes_rows(plan.s.loss):
        for r in range(n_rows):
            weight = weight_of(rows, r, outputs)
            row_losses[r] = weight * row_loss(
                plan.s.loss, <real> plan.s.loss_parameter, outputs + r * stride, n,
                <const real*> rows.y + place(rows, r) * plan.s.n_targets, plan.s.n_targets,
                <real> (weight / rows.total), gradients + r * stride)
        return
    while first < n_rows:
        last = first + rows_in_piece if first + rows_in_piece < n_rows else n_rows
        for r in range(first, last):
            row_losses[r] = 0
        start = 0
        while start < n:
            losses_of_piece(plan, rows, outputs, gradients, stride, row_losses, first, last,
                            start, start + PIECE if start + PIECE < n else n)
            start += PIECE
        first = last
