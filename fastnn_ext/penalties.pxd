"""What a gradient needs besides the sum over its rows: slopes of penalties, clipping.

Clipping by norm, and the objective, need sums over all parameter rows. They are kept one number a
row, and added up in order by whoever needs them.
"""

from fastnn_ext.plan cimport Layer, Plan
from fastnn_ext.real cimport abs_, real, sign


cdef inline real size_of(real x, bint squared) noexcept nogil:
    return x * x if squared else abs_(x)


cdef inline real sum_of_sizes(const real* x, Py_ssize_t n, bint squared) noexcept nogil:
    """In eight sums, which a vector holds: a single one would wait for each addition, 7 us a step
    of 18 for the 4,736 weights of 64-64-10."""
    cdef real sums[8]
    cdef Py_ssize_t i, j
    for i in range(8):
        sums[i] = 0
    for j in range(0, n - 7, 8):
        for i in range(8):
            sums[i] += size_of(x[j + i], squared)
    for j in range(n - n % 8, n):
        sums[j % 8] += size_of(x[j], squared)
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]))


cdef inline void add_slopes(
    const Layer* layer, const real* w, real* g, Py_ssize_t n
) noexcept nogil:
    """The slopes of the penalties of n weights."""
    cdef real l1 = <real> layer.l1
    cdef real l2 = <real> layer.l2
    cdef Py_ssize_t j
    if l2 > 0:
        for j in range(n):
            g[j] += l2 * w[j]
    if l1 > 0:
        for j in range(n):
            g[j] += l1 * sign(w[j])


cdef inline void finish_gradient(
    const Plan* plan, const Layer* layer, const real* w, real* g, double* sums, bint is_weight
) noexcept nogil:
    """One parameter row: clipping by value, and the two sums that need all rows: squared
    gradients, penalties of the old weights."""
    cdef real limit = <real> plan.s.clip_value
    cdef double penalty = 0
    cdef double squares = 0
    cdef Py_ssize_t j
    if is_weight and layer.l2 > 0:
        penalty = layer.l2 / 2 * sum_of_sizes(w, layer.n_out, True)
    if is_weight and layer.l1 > 0:
        penalty += layer.l1 * sum_of_sizes(w, layer.n_out, False)
    if limit > 0:
        for j in range(layer.n_out):
            g[j] = limit if g[j] > limit else (-limit if g[j] < -limit else g[j])
    if plan.s.clip_norm > 0:
        for j in range(layer.n_out):
            squares += <double> g[j] * g[j]
    sums[0] = squares
    sums[plan.s.n_rows] = penalty


cdef inline bint finishes(const Plan* plan, const Layer* layer) noexcept nogil:
    """Whether a gradient is not done with the sum over its rows."""
    return layer.l1 > 0 or layer.l2 > 0 or plan.s.clip_value > 0 or plan.s.clip_norm > 0


cdef inline void finish_gradients(
    const Plan* plan, const Layer* layer, const real* params, real* g, double* row_sums,
    Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """Parameter rows first..last of one layer, once their gradient g is whole."""
    cdef const real* w = params + layer.weights + first * layer.n_out
    cdef Py_ssize_t weights_end = last if last < layer.n_in else layer.n_in
    cdef Py_ssize_t k
    if not finishes(plan, layer):
        return
    add_slopes(layer, w, g, (weights_end - first) * layer.n_out)
    for k in range(last - first):
        finish_gradient(plan, layer, w + k * layer.n_out, g + k * layer.n_out,
                        row_sums + layer.first_row + first + k, first + k < layer.n_in)
