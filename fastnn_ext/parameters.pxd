"""Gradient and update of the parameter rows that a thread owns.

Decisions
  a. A thread owns a contiguous range of whole parameter rows; the ranges depend only on the size of
     the flat parameter array and the number of threads.
  b. The owner of a parameter row sums its gradient over the whole microbatch and uses it right
     away: a few rows of the gradient are in a part of the workspace that stays in cache, and the
     full gradient is never written. It is kept only for clipping by norm, for a batch of several
     microbatches or gradient shards, and when the caller requests the gradient itself.
  c. If a network is narrow for its batch, the batch is split into gradient shards. One thread
     propagates the rows of a shard forward and back and sums their gradient over all parameters,
     while the rows are in its cache; the owners then sum the shards in order. A few gradients move
     between the cores, instead of all rows. The split depends only on the network and the batch, so
     results do not depend on the number of threads.
  d. A batch of one row (online SGD) reads the weights twice: for the product with the inputs and
     for the update. Where one thread does both, the update of a few rows of the first layer's
     weights is followed by their product with the inputs of the next step, before they leave L1,
     and no gradient is written: each row of it is one input times the gradient of the outputs.
     784-128-10 took 10.6 us a step instead of 19.1; one pass at the bandwidth of the outer caches
     is the lower bound.
"""

from fastnn_ext.codes cimport Kind, Optimizer
from fastnn_ext.dense cimport dense_weight_gradient
from fastnn_ext.optimizers cimport StepScalars, update
from fastnn_ext.penalties cimport finish_gradient_rows, has_penalty_or_clipping
from fastnn_ext.plan cimport Layer, Plan
from fastnn_ext.real cimport real
from fastnn_ext.scale cimport factor_gradient
from fastnn_ext.sparse cimport is_touched, mark_touched, reads_sparse, sort_columns
from fastnn_ext.tile cimport acquire_lines, copy_row, multiply_add

cdef enum:
    PIECE_ELEMENTS = 24 * 1024     # of the gradient that is summed before an update (decision b)
    BATCH_OF_ONE_BYTES = 16 * 1024  # of the weights in L1, next to a row of inputs (decision d)


cdef inline Py_ssize_t find_owned_row(
    const Plan* plan, const Layer* layer, int thread, int team_size
) noexcept nogil:
    """The first parameter row of this layer whose start is in the thread's range of the flat
    array. The range of `thread` ends where that of `thread + 1` begins."""
    cdef Py_ssize_t whole = plan.s.n_params // team_size
    cdef Py_ssize_t start = whole * thread + plan.s.n_params % team_size * thread // team_size
    cdef Py_ssize_t row = (start - layer.weights + layer.n_out - 1) // layer.n_out
    cdef Py_ssize_t n_parameter_rows = layer.n_in + (layer.bias >= 0)
    if start <= layer.weights:
        return 0
    return row if row < n_parameter_rows else n_parameter_rows


cdef inline bint find_owned_rows(
    const Plan* plan, const Layer* layer, int thread, int team_size, Py_ssize_t* first,
    Py_ssize_t* last
) noexcept nogil:
    """Set first and last to the layer's parameter rows that the thread owns; false if it owns none.
    """
    if layer.weights < 0:
        return False
    first[0] = find_owned_row(plan, layer, thread, team_size)
    last[0] = find_owned_row(plan, layer, thread + 1, team_size)
    return first[0] < last[0]


cdef inline Py_ssize_t find_owned_start(const Plan* plan, int thread, int team_size) noexcept nogil:
    """The offset of the thread's first owned row in the flat array; 0 if it owns none."""
    cdef Py_ssize_t index, first, last
    for index in range(plan.n_layers):
        if find_owned_rows(plan, &plan.layers[index], thread, team_size, &first, &last):
            return plan.layers[index].weights + first * plan.layers[index].n_out
    return 0


cdef inline void weight_gradient(
    const Plan* plan, const Layer* layer, real* next_write, const real* work, real* g,
    Py_ssize_t row, Py_ssize_t n_samples, Py_ssize_t first, Py_ssize_t last, bint accumulate
) noexcept nogil:
    """Parameter rows first..last of a layer's gradient over rows row..row + n_samples of the
    microbatch; arguments as in `dense_weight_gradient`."""
    if layer.kind == Kind.SCALE:
        factor_gradient(plan, layer, work, g, row, n_samples, accumulate)
    else:
        dense_weight_gradient(plan, layer, next_write, work, g, row, n_samples, first, last,
                              accumulate)


cdef inline void compute_row_gradients(
    const Plan* plan, const Layer* layer, const real* params, real* next_write, const real* work,
    real* g, double* row_sums, Py_ssize_t n_samples, Py_ssize_t first, Py_ssize_t last,
    bint accumulate, bint is_last
) noexcept nogil:
    """The gradient of parameter rows first..last of one layer over n_samples rows.

    Reads params and work; writes g (last - first, n_out), or adds to it if `accumulate`. With the
    last microbatch of the batch (`is_last`), penalties and clipping complete it and row_sums is
    written. `next_write`: see `dense_weight_gradient`.
    """
    weight_gradient(plan, layer, next_write, work, g, 0, n_samples, first, last, accumulate)
    if is_last:
        finish_gradient_rows(plan, layer, params, g, row_sums, first, last)


cdef inline void update_rows(
    const Plan* plan, const Layer* layer, const StepScalars* scalars, real* params, real* slots,
    const real* g, real scale, Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """Apply the optimizer to parameter rows first..last of one layer, with the gradient scale * g.

    Reads g (last - first, n_out); changes those rows of params and slots. With weight decay or a
    learning rate of its own, the bias is updated after the weights.
    """
    cdef Py_ssize_t weights_end = last if last < layer.n_in else layer.n_in
    cdef Py_ssize_t start = layer.weights + first * layer.n_out
    cdef Py_ssize_t end = layer.weights + last * layer.n_out
    cdef bint decays = plan.s.weight_decay != 0
    cdef bint splits = decays or layer.bias_rate_factor != layer.weight_rate_factor
    cdef Py_ssize_t n = (weights_end - first) * layer.n_out if splits else end - start
    update(&plan.s, scalars, params + start, g, &scale, slots + start, 1, n,
           layer.weight_rate_factor, decays)
    if start + n < end:
        update(&plan.s, scalars, params + start + n, g + n, &scale, slots + start + n, 1,
               end - start - n, layer.bias_rate_factor, False)


cdef inline void update_from_batch_of_one(
    const Plan* plan, const Layer* layer, const StepScalars* scalars, real* params, real* slots,
    real* work, Py_ssize_t first, Py_ssize_t last, const real* next_x
) noexcept nogil:
    """Apply the optimizer to parameter rows first..last of one layer after a batch of one row.

    The gradient of a row of weights is one input times the gradient of the outputs; with a single
    output, the whole gradient is that output's gradient times the inputs. Reads x and dy in work;
    changes those rows of params and slots. If next_x (n_in,), the inputs of the next step, is not
    NULL, their preactivation, which begins with the bias, is written to the layer's buffer `saved`
    (decision d).
    """
    cdef const real* x = work + plan.buffers[layer.input].values
    cdef const real* dy = work + plan.buffers[layer.output].gradient
    cdef real* z = work + plan.buffers[layer.saved].values
    cdef const real* begin = params + layer.bias if layer.bias >= 0 else NULL
    cdef const real* g
    cdef const real* scales
    cdef real one = 1
    cdef Py_ssize_t weights_end = last if last < layer.n_in else layer.n_in
    cdef Py_ssize_t most = BATCH_OF_ONE_BYTES // (sizeof(real) * layer.n_out) + 1
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
        update(&plan.s, scalars, params + start, g, scales, slots + start,
               1 if layer.n_out == 1 else size, size if layer.n_out == 1 else layer.n_out,
               layer.bias_rate_factor if is_bias else layer.weight_rate_factor, not is_bias)
        if not is_bias:
            if next_x != NULL:
                multiply_add(z, 0, begin, 0, next_x + first, 0, 1, params + start, layer.n_out, 1,
                             layer.n_out, size, True, False, <real*> NULL)
                begin = z
            first += size
        is_bias = False


cdef inline void sort_owned_columns(
    const Plan* plan, const Layer* layer, const real* work, Py_ssize_t row, Py_ssize_t n_samples,
    Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """Sort the columns of parameter rows first..last, for the gradients over rows
    row..row + n_samples of the microbatch, if the layer's inputs are sparse."""
    if reads_sparse(plan, layer):
        sort_columns(plan, work, row, n_samples, first, min(last, layer.n_in))


cdef inline bint leaves_untouched_rows(const Plan* plan, const Layer* layer) noexcept nogil:
    """Whether a parameter row whose inputs are all zero in the batch does not change: its gradient
    is zero, and the optimizer moves no parameter on account of earlier gradients, or is lazy."""
    if layer.l1 > 0 or layer.l2 > 0:
        return False
    return plan.s.lazy or plan.s.optimizer == Optimizer.ADAGRAD or (
        plan.s.optimizer == Optimizer.SGD and plan.s.momentum == 0)


cdef inline void train_touched_rows(
    const Plan* plan, const Layer* layer, const StepScalars* scalars, real* params, real* slots,
    real* work, real* g, double* row_sums, Py_ssize_t n_samples, Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """Gradient and update of those of the parameter rows first..last that have entries in the
    batch, and of the bias, one by one. `g` has room for one row."""
    cdef Py_ssize_t row
    for row in range(first, last):
        if row < layer.n_in and not is_touched(plan.inputs, row):
            continue
        compute_row_gradients(plan, layer, params, <real*> NULL, work, g, row_sums, n_samples, row,
                              row + 1, False, True)
        update_rows(plan, layer, scalars, params, slots, g, <real> 1, row, row + 1)


cdef inline void compute_owned_gradients(
    const Plan* plan, const real* params, real* work, double* row_sums, Py_ssize_t n_samples,
    bint accumulate, bint is_last, int thread, int team_size
) noexcept nogil:
    """The gradient of a microbatch of n_samples rows for the parameter rows that the thread owns.

    Reads params; writes those rows of `gradients` in work, or adds to them if `accumulate`, and
    row_sums with the last microbatch of the batch (`is_last`).
    """
    cdef const Layer* layer
    cdef Py_ssize_t index, first, last
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        if find_owned_rows(plan, layer, thread, team_size, &first, &last):
            sort_owned_columns(plan, layer, work, 0, n_samples, first, last)
            if plan.s.lazy and reads_sparse(plan, layer):
                mark_touched(plan.inputs, first, min(last, layer.n_in), accumulate)
            compute_row_gradients(plan, layer, params, <real*> NULL, work,
                                  work + plan.s.gradients + layer.weights + first * layer.n_out,
                                  row_sums, n_samples, first, last, accumulate, is_last)


cdef inline void compute_gradient_shard(
    const Plan* plan, real* work, Py_ssize_t shard, Py_ssize_t row, Py_ssize_t n_samples
) noexcept nogil:
    """The gradient of all parameters over rows row..row + n_samples of the microbatch, written to
    gradient shard `shard` in work."""
    cdef const Layer* layer
    cdef real* g
    cdef Py_ssize_t index
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        g = work + plan.s.gradient_shards + shard * plan.s.shard_stride + layer.weights
        if layer.weights >= 0:
            sort_owned_columns(plan, layer, work, row, n_samples, 0, layer.n_in)
            weight_gradient(plan, layer, g, work, g, row, n_samples, 0,
                            layer.n_in + (layer.bias >= 0), False)


cdef inline void sum_gradient_shards(
    const Plan* plan, const real* params, real* work, double* row_sums, Py_ssize_t n_shards,
    int thread, int team_size
) noexcept nogil:
    """The full gradient of the parameter rows that the thread owns: the sum of all shards, then
    penalties and clipping by value.

    Reads params and the shards in work; writes those rows of `gradients` in work, and row_sums.
    """
    cdef const Layer* layer
    cdef const real* part
    cdef real* g
    cdef Py_ssize_t index, i, n, start, first, last
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        if not find_owned_rows(plan, layer, thread, team_size, &first, &last):
            continue
        start = layer.weights + first * layer.n_out
        n = (last - first) * layer.n_out
        g = work + plan.s.gradients + start
        part = work + plan.s.gradient_shards + start
        copy_row(g, part, n)
        for _ in range(1, n_shards):
            part += plan.s.shard_stride
            for i in range(n):
                g[i] += part[i]
        finish_gradient_rows(plan, layer, params, g, row_sums, first, last)


cdef inline void update_touched_rows(
    const Plan* plan, const Layer* layer, const StepScalars* scalars, real* params, real* slots,
    const real* g, real scale, Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """`update_rows` for those of the parameter rows first..last that are marked as touched, and for
    the bias."""
    cdef Py_ssize_t row
    for row in range(first, last):
        if row == layer.n_in or plan.inputs.touched[row]:
            update_rows(plan, layer, scalars, params, slots, g + (row - first) * layer.n_out, scale,
                        row, row + 1)


cdef inline void update_owned_rows(
    const Plan* plan, const StepScalars* scalars, real* params, real* slots, real* work,
    double clip_factor, int thread, int team_size
) noexcept nogil:
    """Apply the optimizer to the parameter rows that the thread owns, with the full gradient in
    work times `clip_factor`. Changes those rows of params and slots."""
    cdef const Layer* layer
    cdef real* g
    cdef Py_ssize_t index, start, first, last
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        if not find_owned_rows(plan, layer, thread, team_size, &first, &last):
            continue
        start = layer.weights + first * layer.n_out
        g = work + plan.s.gradients + start
        if plan.s.lazy and reads_sparse(plan, layer):
            update_touched_rows(plan, layer, scalars, params, slots, g, <real> clip_factor, first,
                                last)
            continue
        if plan.multithreaded:
            acquire_lines(params + start, (last - first) * layer.n_out)
        update_rows(plan, layer, scalars, params, slots, g, <real> clip_factor, first, last)


cdef inline void train_owned_rows(
    const Plan* plan, const StepScalars* scalars, real* params, real* slots, real* work,
    double* row_sums, Py_ssize_t n_samples, const real* next_x, int thread, int team_size
) noexcept nogil:
    """Gradient and update of the parameter rows that the thread owns, a few rows at a time
    (decision b).

    Changes those rows of params and slots; writes row_sums and the gradient's part of work. The
    first layer comes last: if next_x (n_features,), the inputs of the next step, is not NULL, its
    preactivations for them are computed too (decision d).
    """
    cdef const Layer* layer
    cdef real* g = work + plan.s.gradients + find_owned_start(plan, thread, team_size)
    cdef Py_ssize_t index, first, last, piece_end, rows_per_piece
    for index in range(plan.n_layers - 1, -1, -1):
        layer = &plan.layers[index]
        if not find_owned_rows(plan, layer, thread, team_size, &first, &last):
            continue
        sort_owned_columns(plan, layer, work, 0, n_samples, first, last)
        if reads_sparse(plan, layer) and leaves_untouched_rows(plan, layer):
            train_touched_rows(plan, layer, scalars, params, slots, work, g, row_sums, n_samples,
                               first, last)
            continue
        if n_samples == 1 and layer.kind == Kind.DENSE and not (
                reads_sparse(plan, layer) or has_penalty_or_clipping(plan, layer)):
            update_from_batch_of_one(plan, layer, scalars, params, slots, work, first, last,
                                     next_x if index == 0 else <const real*> NULL)
            continue
        rows_per_piece = PIECE_ELEMENTS // layer.n_out + 1
        while first < last:
            piece_end = last if last - first < rows_per_piece else first + rows_per_piece
            compute_row_gradients(
                plan, layer, params, params + layer.weights + first * layer.n_out, work, g,
                row_sums, n_samples, first, piece_end, False, True)
            update_rows(plan, layer, scalars, params, slots, g, <real> 1, first, piece_end)
            first = piece_end
