"""One run of the training loop: steps in order, each by all threads of a team.

Decisions
  a. The loop is a plain function of its arguments: a plan, flat buffers, a position. It holds no
     state, allocates nothing, knows no Python object and cannot fail; Python checks everything
     before and looks at the losses after.
  b. Two barriers per block, at any depth. First each thread carries its own rows through all
     layers, forward and back. After a barrier each thread owns a share of the parameter rows
     (parameters.pxd): it sums their gradients over all rows of the block, in order, and updates
     them while they are warm. No gradient is summed across threads, so every number is the same
     for any of them.
  c. A batch larger than `block_rows` goes through in blocks of fixed size, whose gradients are
     added up in order: the workspace stays bounded and the numbers stay independent of threads.
     In narrow networks the parts are chunks of fewer rows, each of one thread (parameters.pxd,
     decision c).
  d. Every thread computes a step's loss itself, in the same order, and all come to the same
     decision: a loss that is not finite makes no update and ends the run.
  e. A run returns after `seconds` at the latest plus one step: Python then handles signals
     (Ctrl-C), and calls again. The clock is read every `clock_every` steps. A step of several
     blocks can take seconds: between blocks, thread 0 asks `poll`, and when that says so the step
     is abandoned. Its gradient is still in the workspace then, so the parameters are those of the
     last whole step.
"""

from libc.math cimport isfinite, sqrt

from fastnn_ext.codes cimport Kind, Purpose
from fastnn_ext.network cimport backward, forward, gather
from fastnn_ext.objective cimport Rows, batch_total, losses_of_rows, ordered_sum
from fastnn_ext.optimizers cimport Pace, pace_of
from fastnn_ext.parameters cimport (
    gradient_of_chunk,
    gradients_of_share,
    sum_of_chunks,
    train_share,
    update_share,
)
from fastnn_ext.penalties cimport finishes
from fastnn_ext.plan cimport Buffer, Plan
from fastnn_ext.random cimport shuffle as shuffle_rows, stream
from fastnn_ext.real cimport real
from fastnn_ext.threads cimport fn_barrier, fn_seconds, fn_wait

cdef enum:
    POLLS_PER_SECOND = 20

# Whether to abandon the step in progress; called without the GIL.
ctypedef bint (*Poll)(void* caller) noexcept nogil

# The rows of one call. Their dtype is the call's `real`, which a struct cannot say.
cdef struct Data:
    const void* X                  # (n, n_features)
    const void* y                  # (n, n_targets)
    const void* sample_weight      # (n,) or NULL
    const Py_ssize_t* rows         # (n,): where these rows stand; NULL: 0..n-1
    Py_ssize_t n
    Py_ssize_t batch_size
    bint shuffles

# Where a run stands, shared by its threads; thread 0 alone writes, between two barriers.
cdef struct Run:
    Py_ssize_t* order              # (n,): which row stands where in this epoch
    double* row_losses             # (batch_size,)
    double* row_sums               # (2, n_rows): of squared gradients, of penalties
    const double* rates            # (n_steps,)
    double* losses                 # (n_steps,)
    double* totals                 # (n_steps,): sum of each batch's sample weights
    Py_ssize_t n_steps
    Py_ssize_t first_step          # of this fit
    Py_ssize_t life_epoch          # that the fit began with: shuffles never repeat
    Py_ssize_t life_step           # the same for dropout
    Py_ssize_t optimizer_step
    Py_ssize_t clock_every
    double deadline
    double next_poll
    Poll poll
    void* caller                   # what `poll` is called with
    bint abandons                  # the step in progress
    Py_ssize_t done
    Py_ssize_t looked_ahead        # to this step (parameters.pxd, decision d)
    bint stops
    bint updates                   # false: gradients are wanted, not training
    bint drops                     # dropout is active
    fn_barrier barrier


cdef inline void carry_rows(
    const Plan* plan, const Data* data, const Rows* batch, const real* params, real* work,
    Run* run, Py_ssize_t block, Py_ssize_t first, Py_ssize_t last, Py_ssize_t step
) noexcept nogil:
    """Rows first..last of the workspace, of which row r is the batch's row block + r, through all
    layers, forward and back, in the given step of the network's life."""
    cdef const Buffer* y = &plan.buffers[plan.layers[plan.n_layers - 1].output]
    cdef Rows rows = batch[0]
    rows.order += block + first
    gather(plan, <const real*> data.X, batch.order + block, work, first, last)
    forward(plan, params, <const real*> NULL, work, first, last, block + first, step, run.drops,
            run.life_step + run.looked_ahead == step)
    losses_of_rows(plan, &rows, work + y.values + first * y.stride,
                   work + y.gradient + first * y.stride, y.stride,
                   run.row_losses + block + first, last - first)
    backward(plan, params, work, first, last, block + first, step, run.drops)


cdef inline void gradient_by_chunks(
    const Plan* plan, const Data* data, const Rows* batch, Py_ssize_t n, const real* params,
    real* work, Run* run, Py_ssize_t step, int thread, int team
) noexcept nogil:
    """The whole gradient of the thread's own parameters, chunk by chunk (parameters.pxd, decision
    c). The workspace of a block gives a place to so many threads."""
    cdef Py_ssize_t n_chunks = (n + plan.s.chunk_rows - 1) // plan.s.chunk_rows
    cdef Py_ssize_t places = plan.s.block_rows // plan.s.chunk_rows
    cdef Py_ssize_t workers = team if team < places else places
    cdef Py_ssize_t row = thread * plan.s.chunk_rows
    cdef Py_ssize_t chunk, first, size
    if thread < workers:
        for chunk in range(n_chunks * thread // workers, n_chunks * (thread + 1) // workers):
            first = n * chunk // n_chunks
            size = n * (chunk + 1) // n_chunks - first
            carry_rows(plan, data, batch, params, work, run, first - row, row, row + size, step)
            gradient_of_chunk(plan, work, chunk, row, size)
    fn_wait(&run.barrier, team)
    sum_of_chunks(plan, params, work, run.row_sums, n_chunks, thread, team)


cdef inline void poll_between_blocks(Run* run) noexcept nogil:
    cdef double now = fn_seconds()
    if now >= run.next_poll:
        run.abandons = run.poll(run.caller)
        run.next_poll = now + 1.0 / POLLS_PER_SECOND


cdef inline bint gradient_by_blocks(
    const Plan* plan, const Data* data, const Rows* batch, Py_ssize_t n, const real* params,
    real* work, Run* run, Py_ssize_t step, bint whole, int thread, int team
) noexcept nogil:
    """What `change_share` needs: the whole gradient of the thread's own parameters, or the rows
    that it comes from. False if the step was abandoned."""
    cdef Py_ssize_t block = 0
    cdef Py_ssize_t size
    while block < n:
        size = n - block if n - block < plan.s.block_rows else plan.s.block_rows
        if block > 0:
            fn_wait(&run.barrier, team)
        carry_rows(plan, data, batch, params, work, run, block, size * thread // team,
                   size * (thread + 1) // team, step)
        if thread == 0 and size < n:
            poll_between_blocks(run)
        fn_wait(&run.barrier, team)
        if run.abandons:
            return False
        if whole:
            gradients_of_share(plan, params, work, run.row_sums, size, block > 0,
                               block + size == n, thread, team)
        block += size
    return True


cdef inline Py_ssize_t row_of_next_step(
    const Plan* plan, const Data* data, const Run* run, Py_ssize_t s, int team
) noexcept nogil:
    """The row that the next step is about, where this one can begin it (parameters.pxd, decision
    d); -1 where not."""
    cdef Py_ssize_t place = (run.first_step + s) % data.n + 1
    if data.batch_size > 1 or team > 1 or s + 1 == run.n_steps or place == data.n:
        return -1
    if plan.layers[0].kind != Kind.DENSE or finishes(plan, &plan.layers[0]):
        return -1
    return run.order[place]


cdef inline void change_share(
    const Plan* plan, const Data* data, real* params, real* slots, real* work, Run* run,
    Py_ssize_t s, Py_ssize_t n_rows, bint whole, int thread, int team
) noexcept nogil:
    """The update of the thread's own parameters; the gradient is there already where it is kept
    `whole`."""
    cdef Pace pace = pace_of(&plan.s, run.rates[s], <double> (run.optimizer_step + s + 1))
    cdef const real* next_x = NULL
    cdef Py_ssize_t next_row
    cdef double clip = 1
    cdef double length
    if plan.s.clip_norm > 0:
        length = sqrt(ordered_sum(run.row_sums, plan.s.n_rows))
        clip = plan.s.clip_norm / length if length > plan.s.clip_norm else 1
    if whole:
        update_share(plan, &pace, params, slots, work, clip, thread, team)
    else:
        next_row = row_of_next_step(plan, data, run, s, team)
        if next_row >= 0:
            next_x = <const real*> data.X + next_row * plan.s.n_features
            run.looked_ahead = s + 1
        train_share(plan, &pace, params, slots, work, run.row_sums, n_rows, next_x, thread,
                    team)


cdef inline bint step(
    const Plan* plan, const Data* data, real* params, real* slots, real* work, Run* run,
    Py_ssize_t s, int thread, int team
) noexcept nogil:
    """One minibatch: decision b, block by block. False if it was abandoned."""
    cdef Py_ssize_t n_batches = (data.n + data.batch_size - 1) // data.batch_size
    cdef Py_ssize_t start = (run.first_step + s) % n_batches * data.batch_size
    cdef Py_ssize_t n = data.n - start if data.n - start < data.batch_size else data.batch_size
    cdef Rows batch = Rows(run.order + start, data.y, data.sample_weight, 0)
    cdef bint chunked = 0 < plan.s.chunk_rows < n
    # Whether the gradient is needed whole before any parameter changes.
    cdef bint whole = (
        chunked or plan.s.clip_norm > 0 or n > plan.s.block_rows or not run.updates)
    cdef double loss = 0
    batch.total = batch_total(&batch, n, work)
    if batch.total > 0 and chunked:
        gradient_by_chunks(plan, data, &batch, n, params, work, run, run.life_step + s, thread,
                           team)
    elif batch.total > 0 and not gradient_by_blocks(
            plan, data, &batch, n, params, work, run, run.life_step + s, whole, thread, team):
        return False
    # The length of the gradient is that of all shares. A batch without weight has met nowhere yet,
    # and others may still read whether the step before was the last.
    if plan.s.clip_norm > 0 or batch.total <= 0:
        fn_wait(&run.barrier, team)
    if batch.total > 0:
        loss = ordered_sum(run.row_losses, n) / batch.total
        if run.updates and isfinite(loss):
            change_share(plan, data, params, slots, work, run, s, n, whole, thread, team)
    if thread == 0:
        run.done = s + 1
        run.stops = not isfinite(loss) or (
            (s + 1) % run.clock_every == 0 and fn_seconds() > run.deadline)
    fn_wait(&run.barrier, team)
    if thread == 0:  # the penalties are whole only now, and stay so until the next barrier
        run.totals[s] = batch.total
        run.losses[s] = loss
        if plan.s.penalized and batch.total > 0:
            run.losses[s] += ordered_sum(run.row_sums + plan.s.n_rows, plan.s.n_rows)
    return True


cdef inline void run_steps(
    const Plan* plan, const Data* data, real* params, real* slots, real* work, Run* run,
    int thread, int team
) noexcept nogil:
    """What each thread of a team does."""
    cdef Py_ssize_t n_batches = (data.n + data.batch_size - 1) // data.batch_size
    cdef Py_ssize_t s, epoch
    for s in range(run.n_steps):
        if data.shuffles and (run.first_step + s) % n_batches == 0:
            epoch = run.life_epoch + (run.first_step + s) // n_batches
            if thread == 0:
                shuffle_rows(run.order, data.rows, data.n,
                             stream(plan.seed, Purpose.SHUFFLE, epoch))
            fn_wait(&run.barrier, team)
        if not step(plan, data, params, slots, work, run, s, thread, team) or run.stops:
            break
