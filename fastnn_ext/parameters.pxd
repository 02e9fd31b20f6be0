"""A thread's own share of the parameters: their gradients and update.

Decisions
  a. A share is a run of whole parameter rows, cut by the flat buffer alone.
  b. The gradient of some rows is summed over the whole block by their one owner and used at once:
     it lives in a piece of the workspace that stays in the cache, and the full gradient is never
     written. Only clipping by norm, a batch of several blocks or chunks, and a call that wants the
     gradient itself keep it whole.
  c. Where a network is narrow for its batch, the batch is cut into chunks. One thread carries the
     rows of a chunk forward and back and sums their gradient, for all parameters, while they are in
     its cache; the owners then add up the chunks' gradients, in order. What crosses between cores
     are a few gradients instead of all rows. Where the cuts are depends on the network and the
     batch alone, so the numbers still do not depend on the threads.
  d. A batch of one row (online SGD) is two passes over the weights: a product with the inputs, an
     update by them. Where one thread does both, the update of a few rows of the first layer's
     weights is followed by their product with the next step's row, before they leave the
     first-level cache, and no gradient is written: its rows are one input each times that of the
     outputs. 784-128-10 took 10.6 us a step instead of 19.1, which the outer cache's bandwidth for
     one pass bounds.
"""

from fastnn_ext.codes cimport Kind
from fastnn_ext.dense cimport dense_weight_gradient
from fastnn_ext.optimizers cimport Pace, update
from fastnn_ext.penalties cimport finish_gradients, finishes
from fastnn_ext.plan cimport Layer, Plan
from fastnn_ext.real cimport real
from fastnn_ext.tile cimport claim, copy_row, multiply_add

# Numbers in a piece (decision b); bytes of one that the first-level cache holds beside a row of
# inputs (decision d).
cdef enum:
    PIECE = 24 * 1024
    LONE_PIECE = 16 * 1024


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


cdef inline bint own_rows(
    const Plan* plan, const Layer* layer, int thread, int team, Py_ssize_t* first, Py_ssize_t* last
) noexcept nogil:
    """The layer's parameter rows first..last in the thread's share; false where there are none."""
    if layer.kind != Kind.DENSE:
        return False
    first[0] = own_row(plan, layer, thread, team)
    last[0] = own_row(plan, layer, thread + 1, team)
    return first[0] < last[0]


cdef inline Py_ssize_t own_start(const Plan* plan, int thread, int team) noexcept nogil:
    """Where the thread's own rows begin in the flat buffer; 0 where it has none."""
    cdef Py_ssize_t index, first, last
    for index in range(plan.n_layers):
        if own_rows(plan, &plan.layers[index], thread, team, &first, &last):
            return plan.layers[index].weights + first * plan.layers[index].n_out
    return 0


cdef inline void gradient_of_rows(
    const Plan* plan, const Layer* layer, const real* params, real* written, const real* work,
    real* g, double* row_sums, Py_ssize_t n_rows, Py_ssize_t first, Py_ssize_t last, bint adds,
    bint ends
) noexcept nogil:
    """Gradient rows first..last of one layer into g; whole once the batch's last block `ends`."""
    dense_weight_gradient(plan, layer, written, work, g, 0, n_rows, first, last, adds)
    if ends:
        finish_gradients(plan, layer, params, g, row_sums, first, last)


cdef inline void update_rows(
    const Plan* plan, const Layer* layer, const Pace* pace, real* params, real* slots,
    const real* g, real scale, Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """The optimizer on rows first..last of one layer, whose gradient is scale * g. All at once; or
    first the weights, which decay, and then the bias."""
    cdef Py_ssize_t weights_end = last if last < layer.n_in else layer.n_in
    cdef Py_ssize_t start = layer.weights + first * layer.n_out
    cdef Py_ssize_t end = layer.weights + last * layer.n_out
    cdef bint decays = plan.s.weight_decay != 0
    cdef Py_ssize_t n = (weights_end - first) * layer.n_out if decays else end - start
    while start < end:
        update(&plan.s, pace, params + start, g, &scale, slots + start, 1, n, decays)
        start += n
        g += n
        n = end - start
        decays = False


cdef inline void update_by_lone_row(
    const Plan* plan, const Layer* layer, const Pace* pace, real* params, real* slots, real* work,
    Py_ssize_t first, Py_ssize_t last, const real* next_x
) noexcept nogil:
    """The same where a batch has one row: the gradient of a row of weights is one input times the
    gradient of the outputs, or that of a lone output times the inputs. Where the next step's inputs
    are known, their product, which begins with the bias, is left where that step would compute it
    (decision d)."""
    cdef const real* x = work + plan.buffers[layer.input].values
    cdef const real* dy = work + plan.buffers[layer.output].gradient
    cdef real* z = work + plan.buffers[layer.saved].values
    cdef const real* begin = params + layer.bias if layer.bias >= 0 else NULL
    cdef const real* g
    cdef const real* scales
    cdef real one = 1
    cdef Py_ssize_t weights_end = last if last < layer.n_in else layer.n_in
    cdef Py_ssize_t most = LONE_PIECE // (sizeof(real) * layer.n_out) + 1
    cdef bint is_bias = last > layer.n_in
    cdef Py_ssize_t row, size, start
    while is_bias or first < weights_end:
        row = layer.n_in if is_bias else first
        size = 1 if is_bias else (most if most < weights_end - first else weights_end - first)
        start = layer.weights + row * layer.n_out
        g, scales = dy, x + row
        if is_bias:
            scales = &one
        elif layer.n_out == 1:
            g, scales = x + row, dy
        update(&plan.s, pace, params + start, g, scales, slots + start,
               1 if layer.n_out == 1 else size, size if layer.n_out == 1 else layer.n_out,
               not is_bias)
        if not is_bias:
            if next_x != NULL:
                multiply_add(z, 0, begin, 0, next_x + first, 0, 1, params + start, layer.n_out, 1,
                             layer.n_out, size, True, False, <real*> NULL)
                begin = z
            first += size
        is_bias = False


cdef inline void gradients_of_share(
    const Plan* plan, const real* params, real* work, double* row_sums, Py_ssize_t n_rows,
    bint adds, bint ends, int thread, int team
) noexcept nogil:
    """The block's part of the whole gradient, for the thread's own parameter rows."""
    cdef const Layer* layer
    cdef Py_ssize_t index, first, last
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        if own_rows(plan, layer, thread, team, &first, &last):
            gradient_of_rows(plan, layer, params, <real*> NULL, work,
                             work + plan.s.gradients + layer.weights + first * layer.n_out,
                             row_sums, n_rows, first, last, adds, ends)


cdef inline void gradient_of_chunk(
    const Plan* plan, real* work, Py_ssize_t chunk, Py_ssize_t row, Py_ssize_t n_rows
) noexcept nogil:
    """The gradient of all parameters from n_rows of the block from `row` on."""
    cdef const Layer* layer
    cdef real* g
    cdef Py_ssize_t index
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        g = work + plan.s.chunks + chunk * plan.s.chunk_stride + layer.weights
        if layer.kind == Kind.DENSE:
            dense_weight_gradient(plan, layer, g, work, g, row, n_rows, 0,
                                  layer.n_in + (layer.bias >= 0), False)


cdef inline void sum_of_chunks(
    const Plan* plan, const real* params, real* work, double* row_sums, Py_ssize_t n_chunks,
    int thread, int team
) noexcept nogil:
    """The whole gradient, for the thread's own parameter rows."""
    cdef const Layer* layer
    cdef const real* part
    cdef real* g
    cdef Py_ssize_t index, i, n, start, first, last
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        if not own_rows(plan, layer, thread, team, &first, &last):
            continue
        start = layer.weights + first * layer.n_out
        n = (last - first) * layer.n_out
        g = work + plan.s.gradients + start
        part = work + plan.s.chunks + start
        copy_row(g, part, n)
        for _ in range(1, n_chunks):
            part += plan.s.chunk_stride
            for i in range(n):
                g[i] += part[i]
        finish_gradients(plan, layer, params, g, row_sums, first, last)


cdef inline void update_share(
    const Plan* plan, const Pace* pace, real* params, real* slots, real* work, double clip,
    int thread, int team
) noexcept nogil:
    """The optimizer on the thread's own parameter rows, with the whole gradient times `clip`."""
    cdef const Layer* layer
    cdef real* g
    cdef Py_ssize_t index, first, last
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        if not own_rows(plan, layer, thread, team, &first, &last):
            continue
        g = work + plan.s.gradients + layer.weights + first * layer.n_out
        if plan.shared:
            claim(params + layer.weights + first * layer.n_out, (last - first) * layer.n_out)
        update_rows(plan, layer, pace, params, slots, g, <real> clip, first, last)


cdef inline void train_share(
    const Plan* plan, const Pace* pace, real* params, real* slots, real* work, double* row_sums,
    Py_ssize_t n_rows, const real* next_x, int thread, int team
) noexcept nogil:
    """Gradient and optimizer on the thread's own parameter rows, piece by piece (decision b). The
    first layer comes last: where the row of the next step is known, its outputs are begun."""
    cdef const Layer* layer
    cdef real* g = work + plan.s.gradients + own_start(plan, thread, team)
    cdef Py_ssize_t index, first, last, piece, rows_in_piece
    for index in range(plan.n_layers - 1, -1, -1):
        layer = &plan.layers[index]
        if not own_rows(plan, layer, thread, team, &first, &last):
            continue
        if n_rows == 1 and not finishes(plan, layer):
            update_by_lone_row(plan, layer, pace, params, slots, work, first, last,
                               next_x if index == 0 else <const real*> NULL)
            continue
        rows_in_piece = PIECE // layer.n_out + 1
        while first < last:
            piece = last if last - first < rows_in_piece else first + rows_in_piece
            gradient_of_rows(plan, layer, params, params + layer.weights + first * layer.n_out,
                             work, g, row_sums, n_rows, first, piece, False, True)
            update_rows(plan, layer, pace, params, slots, g, <real> 1, first, piece)
            first = piece
