"""The training loop: a sequence of minibatch steps, each made by all threads of a team.

Decisions
  a. The loop is a plain function of its arguments: a plan, flat arrays, a position. It holds no
     state, allocates nothing, uses no Python object and cannot fail; Python validates everything
     before the call and inspects the losses after it.
  b. Two barriers per microbatch, at any depth, one more per step for clip_norm and one per
     shuffle. First each thread propagates its own rows through all layers, forward and back.
     After a barrier, each thread owns a range of the parameter rows (parameters.pxd): it sums
     their gradients over all rows of the microbatch, in order, and updates them while they are in
     cache. Apart from shards (c), no gradient is summed across threads, so results are bit-
     identical for any number of threads.
  c. A batch larger than `microbatch_rows` is processed in microbatches of fixed size, whose
     gradients are accumulated in order: the workspace stays bounded, and results do not depend on
     the number of threads. In networks that are narrow for their batch, one thread computes the
     gradient of a shard of the batch instead (parameters.pxd, decision c).
  d. Every thread computes the loss of a step itself, in the same order, so all make the same
     decision: a loss that is not finite causes no update and ends the run.
  e. A run returns at the first reading of the clock after `seconds`; Python then handles signals
     (Ctrl-C) and calls again. The clock is read every `clock_every` steps. A step of several
     microbatches can take seconds: between them, thread 0 calls `poll`, and if that returns true
     the step is abandoned. At that point its gradient is still in the workspace, so the
     parameters are those of the last complete step.
"""

from libc.math cimport isfinite, sqrt

from fastnn_ext.codes cimport Kind, Purpose
from fastnn_ext.network cimport backward, forward, gather
from fastnn_ext.objective cimport BatchRows, compute_row_losses, sum_in_order, sum_weights
from fastnn_ext.optimizers cimport StepScalars, compute_step_scalars
from fastnn_ext.parameters cimport (
    compute_gradient_shard,
    compute_owned_gradients,
    sum_gradient_shards,
    train_owned_rows,
    update_owned_rows,
)
from fastnn_ext.penalties cimport has_penalty_or_clipping
from fastnn_ext.plan cimport Buffer, Plan
from fastnn_ext.random cimport make_key, shuffle as shuffle_rows
from fastnn_ext.real cimport real
from fastnn_ext.sobolev cimport add_jacobian_gradient
from fastnn_ext.threads cimport fn_barrier, fn_barrier_wait, fn_seconds

cdef enum:
    POLLS_PER_SECOND = 20

# Whether to abandon the step in progress; called without the GIL.
ctypedef bint (*Poll)(void* poll_argument) noexcept nogil

# The data of one call, read only. The arrays have the call's dtype `real`, which a struct cannot
# express.
cdef struct TrainingData:
    const void* X                  # (n_X, n_features); NULL if the plan has sparse inputs
    const void* y                  # (n_X, n_targets)
    const void* sample_weight      # (n_X,) or NULL
    const void* gradient_targets   # (n_X, n_outputs, n_features) or NULL
    const Py_ssize_t* rows         # (n,): rows of X to train on; NULL: 0..n-1
    Py_ssize_t n                   # rows in an epoch
    Py_ssize_t batch_size
    bint shuffle

# The state of a run, shared by its threads. Only thread 0 writes to it, between two barriers;
# threads write the elements of row_losses and row_sums that belong to their rows.
cdef struct RunState:
    Py_ssize_t* permutation        # (n,): row of X at each position of this epoch
    double* row_losses             # (batch_size,)
    double* row_sums               # (2, n_parameter_rows): squared gradients, penalties
    const double* rates            # (n_steps,)
    double* losses                 # (n_steps,)
    double* batch_weights          # (n_steps,): sum of the sample weights of each batch
    Py_ssize_t n_steps
    Py_ssize_t first_step          # of this call, counted from the start of the fit
    Py_ssize_t epoch_offset        # epochs trained before this fit: shuffles never repeat
    Py_ssize_t step_offset         # steps made before this fit: dropout masks never repeat
    Py_ssize_t optimizer_step      # updates made by the optimizer before this call
    Py_ssize_t clock_every         # steps between two readings of the clock
    double deadline
    double next_poll
    Poll poll
    void* poll_argument
    bint abandoned                 # the step in progress
    Py_ssize_t n_done              # steps made by this call
    Py_ssize_t prefetched_step     # whose first preactivation is ready (parameters.pxd, decision d)
    bint should_stop
    bint apply_update              # false: compute the gradient only
    bint dropout_active
    fn_barrier barrier


cdef inline void propagate_rows(
    const Plan* plan, const TrainingData* data, const BatchRows* batch, const real* params,
    real* work, RunState* run, Py_ssize_t offset, Py_ssize_t first, Py_ssize_t last,
    Py_ssize_t step
) noexcept nogil:
    """Rows first..last of the workspace through all layers, forward and back.

    Row r of the workspace is row offset + r of the batch. `step` counts all steps of the network
    and selects the dropout masks. Reads data and params; writes values and gradients of those rows
    in work, and their row_losses.
    """
    cdef const Buffer* y = &plan.buffers[plan.layers[plan.n_layers - 1].output]
    cdef BatchRows rows = batch[0]
    rows.permutation += offset + first
    gather(plan, <const real*> data.X, batch.permutation + offset, work, first, last)
    forward(plan, params, <const real*> NULL, work, first, last, offset + first, step,
            run.dropout_active, run.step_offset + run.prefetched_step == step)
    compute_row_losses(plan, &rows, work + y.values + first * y.stride,
                       work + y.gradient + first * y.stride, y.stride,
                       run.row_losses + offset + first, last - first)
    backward(plan, params, work, first, last, offset + first, step, run.dropout_active)


cdef inline void compute_gradient_by_shards(
    const Plan* plan, const TrainingData* data, const BatchRows* batch, Py_ssize_t n,
    const real* params, real* work, RunState* run, Py_ssize_t step, int thread, int team_size
) noexcept nogil:
    """The full gradient over n rows, for the parameter rows that the thread owns, by way of
    gradient shards (parameters.pxd, decision c).

    Writes to work and run.row_sums. The microbatch has room for `n_regions` shards, each in use by
    one thread; further threads wait.
    """
    cdef Py_ssize_t n_shards = (n + plan.s.shard_rows - 1) // plan.s.shard_rows
    cdef Py_ssize_t n_regions = plan.s.microbatch_rows // plan.s.shard_rows
    cdef Py_ssize_t n_workers = team_size if team_size < n_regions else n_regions
    cdef Py_ssize_t row = thread * plan.s.shard_rows
    cdef Py_ssize_t shard, first, size
    cdef BatchRows rows = batch[0]
    if thread < n_workers:
        for shard in range(n_shards * thread // n_workers, n_shards * (thread + 1) // n_workers):
            first = n * shard // n_shards
            size = n * (shard + 1) // n_shards - first
            propagate_rows(plan, data, batch, params, work, run, first - row, row, row + size, step)
            compute_gradient_shard(plan, work, shard, row, size)
            if data.gradient_targets != NULL:
                rows.permutation = batch.permutation + first
                add_jacobian_gradient(
                    plan, &rows, <const real*> data.gradient_targets, params, work, row, row + size,
                    work + plan.s.gradient_shards + shard * plan.s.shard_stride,
                    run.row_losses + first)
    fn_barrier_wait(&run.barrier, team_size)
    sum_gradient_shards(plan, params, work, run.row_sums, n_shards, thread, team_size)


cdef inline void poll_between_microbatches(RunState* run) noexcept nogil:
    """Call `poll` if it is due; sets run.abandoned and run.next_poll."""
    cdef double now = fn_seconds()
    if now >= run.next_poll:
        run.abandoned = run.poll(run.poll_argument)
        run.next_poll = now + 1.0 / POLLS_PER_SECOND


cdef inline bint compute_gradient_by_microbatches(
    const Plan* plan, const TrainingData* data, const BatchRows* batch, Py_ssize_t n,
    const real* params, real* work, RunState* run, Py_ssize_t step, bint full_gradient, int thread,
    int team_size
) noexcept nogil:
    """Propagate n rows, microbatch by microbatch; false if the step was abandoned.

    Writes values and gradients of the rows to work and, if `full_gradient`, accumulates the
    gradient of the parameter rows that the thread owns there. Otherwise `train_owned_rows` computes
    it from the single microbatch.
    """
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t size
    while start < n:
        size = n - start if n - start < plan.s.microbatch_rows else plan.s.microbatch_rows
        if start > 0:
            fn_barrier_wait(&run.barrier, team_size)
        propagate_rows(plan, data, batch, params, work, run, start, size * thread // team_size,
                       size * (thread + 1) // team_size, step)
        if thread == 0 and size < n:
            poll_between_microbatches(run)
        fn_barrier_wait(&run.barrier, team_size)
        if run.abandoned:
            return False
        if full_gradient:
            compute_owned_gradients(plan, params, work, run.row_sums, size, start > 0,
                                    start + size == n, thread, team_size)
        start += size
    return True


cdef inline Py_ssize_t find_next_row(
    const Plan* plan, const TrainingData* data, const RunState* run, Py_ssize_t s, int team_size
) noexcept nogil:
    """The row of X of the step after s, if step s may compute its first preactivation
    (parameters.pxd, decision d); otherwise -1."""
    cdef Py_ssize_t position = (run.first_step + s) % data.n + 1
    if data.batch_size > 1 or team_size > 1 or s + 1 == run.n_steps or position == data.n:
        return -1
    if plan.layers[0].kind != Kind.DENSE or has_penalty_or_clipping(plan, &plan.layers[0]):
        return -1
    if plan.inputs != NULL:
        return -1
    return run.permutation[position]


cdef inline void update_parameters(
    const Plan* plan, const TrainingData* data, real* params, real* slots, real* work,
    RunState* run, Py_ssize_t s, Py_ssize_t n_samples, bint full_gradient, int thread,
    int team_size
) noexcept nogil:
    """Update the parameter rows that the thread owns, in step s of this call.

    Changes those rows of params and slots. If `full_gradient`, their gradient is already in work;
    otherwise it is computed from the n_samples rows there.
    """
    cdef StepScalars scalars = compute_step_scalars(
        &plan.s, run.rates[s], <double> (run.optimizer_step + s + 1))
    cdef const real* next_x = NULL
    cdef Py_ssize_t next_row
    cdef double clip_factor = 1
    cdef double norm
    if plan.s.clip_norm > 0:
        norm = sqrt(sum_in_order(run.row_sums, plan.s.n_parameter_rows))
        clip_factor = plan.s.clip_norm / norm if norm > plan.s.clip_norm else 1
    if full_gradient:
        update_owned_rows(plan, &scalars, params, slots, work, clip_factor, thread, team_size)
    else:
        next_row = find_next_row(plan, data, run, s, team_size)
        if next_row >= 0:
            next_x = <const real*> data.X + next_row * plan.s.n_features
            run.prefetched_step = s + 1
        train_owned_rows(plan, &scalars, params, slots, work, run.row_sums, n_samples, next_x,
                         thread, team_size)


cdef inline bint run_step(
    const Plan* plan, const TrainingData* data, real* params, real* slots, real* work,
    RunState* run, Py_ssize_t s, int thread, int team_size
) noexcept nogil:
    """Step s of this call, on one minibatch (decision b); false if it was abandoned.

    Changes params (n_params,), slots (n_slots, n_params) and work; writes losses[s] and
    batch_weights[s].
    """
    cdef Py_ssize_t n_batches = (data.n + data.batch_size - 1) // data.batch_size
    cdef Py_ssize_t start = (run.first_step + s) % n_batches * data.batch_size
    cdef Py_ssize_t n = data.n - start if data.n - start < data.batch_size else data.batch_size
    cdef BatchRows batch = BatchRows(run.permutation + start, data.y, data.sample_weight, 0)
    cdef bint sharded = 0 < plan.s.shard_rows < n or data.gradient_targets != NULL
    # Whether the full gradient is needed before any parameter changes.
    cdef bint full_gradient = (
        sharded or plan.s.clip_norm > 0 or n > plan.s.microbatch_rows or not run.apply_update)
    cdef double loss = 0
    batch.weight_sum = sum_weights(&batch, n, work)
    if batch.weight_sum > 0 and sharded:
        compute_gradient_by_shards(plan, data, &batch, n, params, work, run, run.step_offset + s,
                                   thread, team_size)
    elif batch.weight_sum > 0 and not compute_gradient_by_microbatches(
            plan, data, &batch, n, params, work, run, run.step_offset + s, full_gradient, thread,
            team_size):
        return False
    # The norm of the gradient needs the rows of all threads. A batch without weight has passed no
    # barrier yet, and other threads may still be reading should_stop of the step before.
    if plan.s.clip_norm > 0 or batch.weight_sum <= 0:
        fn_barrier_wait(&run.barrier, team_size)
    if batch.weight_sum > 0:
        loss = sum_in_order(run.row_losses, n) / batch.weight_sum
        if run.apply_update and isfinite(loss):
            update_parameters(plan, data, params, slots, work, run, s, n, full_gradient, thread,
                              team_size)
    if thread == 0:
        run.n_done = s + 1
        run.should_stop = not isfinite(loss) or (
            (s + 1) % run.clock_every == 0 and fn_seconds() > run.deadline)
    fn_barrier_wait(&run.barrier, team_size)
    # The penalties of all threads are complete only now, and stay so until the next barrier.
    if thread == 0:
        run.batch_weights[s] = batch.weight_sum
        run.losses[s] = loss
        if plan.s.penalized and batch.weight_sum > 0:
            run.losses[s] += sum_in_order(run.row_sums + plan.s.n_parameter_rows,
                                          plan.s.n_parameter_rows)
    return True


cdef inline void run_steps(
    const Plan* plan, const TrainingData* data, real* params, real* slots, real* work,
    RunState* run, int thread, int team_size
) noexcept nogil:
    """The part of one thread in a run of up to run.n_steps steps; arguments as in `run_step`."""
    cdef Py_ssize_t n_batches = (data.n + data.batch_size - 1) // data.batch_size
    cdef Py_ssize_t s, epoch
    for s in range(run.n_steps):
        if data.shuffle and (run.first_step + s) % n_batches == 0:
            epoch = run.epoch_offset + (run.first_step + s) // n_batches
            if thread == 0:
                shuffle_rows(run.permutation, data.rows, data.n,
                             make_key(plan.seed, Purpose.SHUFFLE, epoch))
            fn_barrier_wait(&run.barrier, team_size)
        if not run_step(plan, data, params, slots, work, run, s, thread, team_size):
            break
        if run.should_stop:
            break
