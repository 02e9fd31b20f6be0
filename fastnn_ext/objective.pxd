"""The loss of a batch, from the losses of single outputs: targets, sample weights and sums.

Decisions
  a. The rows of a batch are scattered in memory (shuffling) and often narrow (one output). Outputs
     and targets are packed into contiguous arrays before an element-wise loss, so that its loop
     fills whole vectors; gradients are unpacked afterwards. A batch of 32 rows with one output then
     costs about as much as 40 vectors, instead of 32 calls.
  b. Sums are in double and in the order of the rows, whichever threads computed the terms: every
     thread that sums them gets bit-identical results.
"""

from fastnn_ext.losses cimport compute_elementwise_loss, compute_row_loss, needs_full_rows
from fastnn_ext.plan cimport Plan
from fastnn_ext.real cimport real
from fastnn_ext.tile cimport acquire_lines, copy_row

# Elements of a packed array; four such arrays fit into L1.
cdef enum:
    PACKED_ELEMENTS = 256

# Rows of a batch. Row r of the batch is row permutation[r] of y and sample_weight, or row r where
# permutation is NULL. The arrays have the call's dtype `real`, which a struct cannot express.
cdef struct BatchRows:
    const Py_ssize_t* permutation
    const void* y                  # (n, n_targets)
    const void* sample_weight      # (n,) or NULL
    double weight_sum              # sum of the sample weights of the whole batch


cdef inline Py_ssize_t get_index(const BatchRows* rows, Py_ssize_t r) noexcept nogil:
    """The index into y and sample_weight of row r of the batch."""
    return r if rows.permutation == NULL else rows.permutation[r]


cdef inline double get_weight(
    const BatchRows* rows, Py_ssize_t r, const real* dtype_tag
) noexcept nogil:
    """The sample weight of row r. `dtype_tag` only selects the dtype and is not read."""
    if rows.sample_weight == NULL:
        return 1
    return (<const real*> rows.sample_weight)[get_index(rows, r)]


cdef inline double sum_weights(
    const BatchRows* rows, Py_ssize_t n, const real* dtype_tag
) noexcept nogil:
    """The sum of the sample weights of n rows."""
    cdef double total = 0
    cdef Py_ssize_t r
    if rows.sample_weight == NULL:
        return n
    for r in range(n):
        total += get_weight(rows, r, dtype_tag)
    return total


cdef inline double sum_in_order(const double* values, Py_ssize_t n) noexcept nogil:
    """The sum of values (n,), as eight partial sums that do not wait for each other."""
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


cdef inline void compute_packed_losses(
    const Plan* plan, const BatchRows* rows, const real* outputs, real* gradients,
    Py_ssize_t stride, double* row_losses, Py_ssize_t first, Py_ssize_t last, Py_ssize_t start,
    Py_ssize_t end
) noexcept nogil:
    """Outputs start..end of rows first..last, at most PACKED_ELEMENTS elements.

    Reads outputs (n, stride); writes those elements of gradients (n, stride) and adds to
    row_losses (n,).
    """
    cdef Py_ssize_t n = plan.s.n_outputs
    cdef Py_ssize_t m = end - start
    cdef real z[PACKED_ELEMENTS]
    cdef real t[PACKED_ELEMENTS]
    cdef real value[PACKED_ELEMENTS]
    cdef real derivative[PACKED_ELEMENTS]
    cdef Py_ssize_t r, i, k
    cdef double output_scale = 1.0 / n
    cdef real scale = <real> (output_scale / rows.weight_sum)
    cdef double weight, total
    for r in range(first, last):
        k = (r - first) * m
        if m == 1:
            z[k] = outputs[r * stride + start]
            t[k] = (<const real*> rows.y)[get_index(rows, r) * n + start]
        else:
            copy_row(z + k, outputs + r * stride + start, m)
            copy_row(t + k, <const real*> rows.y + get_index(rows, r) * n + start, m)
    compute_elementwise_loss(plan.s.loss, plan.s.output_activation, <real> plan.s.loss_parameter,
                             z, t, (last - first) * m, value, derivative)
    for k in range((last - first) * m):
        derivative[k] *= scale
    for r in range(first, last):
        k = (r - first) * m
        weight = get_weight(rows, r, outputs)
        total = value[k]
        for i in range(1, m):
            total += value[k + i]
        row_losses[r] += weight * total * output_scale
        if weight != 1:
            for i in range(m):
                derivative[k + i] *= <real> weight
        if m == 1:
            gradients[r * stride + start] = derivative[k]
        else:
            copy_row(gradients + r * stride + start, derivative + k, m)


cdef inline void compute_row_losses(
    const Plan* plan, const BatchRows* rows, const real* outputs, real* gradients,
    Py_ssize_t stride, double* row_losses, Py_ssize_t n_samples
) noexcept nogil:
    """The weighted loss of each row, and the gradient of the batch's weighted mean loss.

    Reads outputs (n_samples, stride); writes row_losses (n_samples,) and gradients
    (n_samples, stride).
    """
    cdef Py_ssize_t n = plan.s.n_outputs
    cdef Py_ssize_t rows_per_pack = PACKED_ELEMENTS // n if n < PACKED_ELEMENTS else 1
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t r, last, start
    cdef double weight
    if plan.multithreaded:
        acquire_lines(gradients, n_samples * stride)
    if needs_full_rows(plan.s.loss):
        for r in range(n_samples):
            weight = get_weight(rows, r, outputs)
            row_losses[r] = weight * compute_row_loss(
                plan.s.loss, <real> plan.s.loss_parameter, outputs + r * stride, n,
                <const real*> rows.y + get_index(rows, r) * plan.s.n_targets, plan.s.n_targets,
                <real> (weight / rows.weight_sum), gradients + r * stride)
        return
    while first < n_samples:
        last = first + rows_per_pack if first + rows_per_pack < n_samples else n_samples
        for r in range(first, last):
            row_losses[r] = 0
        start = 0
        while start < n:
            compute_packed_losses(
                plan, rows, outputs, gradients, stride, row_losses, first, last, start,
                start + PACKED_ELEMENTS if start + PACKED_ELEMENTS < n else n)
            start += PACKED_ELEMENTS
        first = last
