"""The training loop, and the functions that Python calls. Written once, compiled once per level of
instructions.

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
     (Ctrl-C), and calls again. The clock is read every `clock_every` steps.
"""

from cython.parallel cimport parallel, threadid
from libc.math cimport isfinite, sqrt
cimport numpy as cnp

from fastnn_ext.activations cimport activate, scale_by_slope
from fastnn_ext.codes cimport Kind, Purpose
from fastnn_ext.network cimport backward, forward, gather
from fastnn_ext.objective cimport Rows, batch_total, losses_of_rows, ordered_sum
from fastnn_ext.optimizers cimport Pace, pace_of
from fastnn_ext.parameters cimport (
    finishes,
    gradient_of_chunk,
    gradients_of_share,
    sum_of_chunks,
    train_share,
    update_share,
)
from fastnn_ext.plan cimport Buffer, Layer, Plan, Settings
from fastnn_ext.prediction cimport Request, predict_rows
from fastnn_ext.random cimport shuffle as shuffle_rows, stream
from fastnn_ext.real cimport real

cdef extern from "threads.h" nogil:
    ctypedef struct fn_barrier:
        int arrived
        unsigned phase
    int FN_OPENMP
    void fn_wait(fn_barrier* barrier, int team)
    double fn_seconds()
    int fn_team_size()
    int fn_swap(int* flag, int value)
    int fn_max_threads()

cnp.import_array()

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
    Py_ssize_t done
    Py_ssize_t looked_ahead        # to this step (parameters.pxd, decision d)
    bint stops
    bint updates                   # false: gradients are wanted, not training
    bint drops                     # dropout is active
    fn_barrier barrier


# ---- one step, one run -------------------------------------------------------------------------

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


cdef inline void gradient_by_blocks(
    const Plan* plan, const Data* data, const Rows* batch, Py_ssize_t n, const real* params,
    real* work, Run* run, Py_ssize_t step, bint whole, int thread, int team
) noexcept nogil:
    """What `change_share` needs: the whole gradient of the thread's own parameters, or the rows
    that it comes from."""
    cdef Py_ssize_t block = 0
    cdef Py_ssize_t size
    while block < n:
        size = n - block if n - block < plan.s.block_rows else plan.s.block_rows
        if block > 0:
            fn_wait(&run.barrier, team)
        carry_rows(plan, data, batch, params, work, run, block, size * thread // team,
                   size * (thread + 1) // team, step)
        fn_wait(&run.barrier, team)
        if whole:
            gradients_of_share(plan, params, work, run.row_sums, size, block > 0,
                               block + size == n, thread, team)
        block += size


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


cdef void step(
    const Plan* plan, const Data* data, real* params, real* slots, real* work, Run* run,
    Py_ssize_t s, int thread, int team
) noexcept nogil:
    """One minibatch: decision b, block by block."""
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
    elif batch.total > 0:
        gradient_by_blocks(plan, data, &batch, n, params, work, run, run.life_step + s, whole,
                           thread, team)
    if plan.s.clip_norm > 0:  # the length of the gradient is that of all shares
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


cdef void run_steps(
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
        step(plan, data, params, slots, work, run, s, thread, team)
        if run.stops:
            break


cdef void start_team(
    const Plan* plan, const Data* data, real* params, real* slots, real* work, Run* run,
    int n_threads
) noexcept nogil:
    """One thread never enters OpenMP: that costs more than a small step, and in a child process
    after fork it would hang."""
    if n_threads == 1:
        run_steps(plan, data, params, slots, work, run, 0, 1)
    else:
        with parallel(num_threads=n_threads):
            run_steps(plan, data, params, slots, work, run, threadid(), fn_team_size())


# ---- what Python calls -------------------------------------------------------------------------

cdef inline Plan as_plan(
    const Layer[::1] layers, const Buffer[::1] buffers, const Settings[::1] settings
):
    cdef Plan plan
    plan.layers = &layers[0]
    plan.n_layers = layers.shape[0]
    plan.buffers = &buffers[0]
    plan.s = settings[0]
    plan.seed = 0
    plan.shared = False
    plan.sparse = False
    return plan


def train(
    const Layer[::1] layers, const Buffer[::1] buffers, const Settings[::1] settings,
    real[::1] params, real[::1] slots, real[::1] work,
    const real[:, ::1] X, const real[:, ::1] y, const real[::1] sample_weight,
    const Py_ssize_t[::1] rows, Py_ssize_t[::1] order, double[::1] row_losses, double[::1] row_sums,
    const double[::1] rates, double[::1] losses, double[::1] totals, Py_ssize_t[::1] done,
    Py_ssize_t batch_size, bint shuffle, Py_ssize_t seed, Py_ssize_t first_step,
    Py_ssize_t life_epoch, Py_ssize_t life_step, Py_ssize_t optimizer_step, bint updates,
    bint drops, bint sparse, double seconds, Py_ssize_t clock_every, int n_threads
):
    """Make up to len(rates) steps from step `first_step` of a fit on, and say in done[0] how many:
    a return value would be lost where a signal's exception is raised as soon as this returns.

    Trained on are the rows of X that `rows` names, all where that is None; `order` has their
    number. Changes params, slots, work, order, row_losses and row_sums; fills losses and totals.
    Fewer steps are made when `seconds` have passed or when a loss is not finite (then the last
    loss written is that one). With `updates` false, gradients are left in `work` and no
    parameter changes.
    """
    cdef Plan plan = as_plan(layers, buffers, settings)
    cdef Data data
    cdef Run run
    # SGD without momentum keeps nothing: then no slot is ever touched.
    cdef real* first_slot = &slots[0] if slots.shape[0] > 0 else &work[0]
    plan.seed = seed
    plan.shared = n_threads > 1
    plan.sparse = sparse
    data.X = &X[0, 0]
    data.y = &y[0, 0]
    data.sample_weight = NULL
    if sample_weight is not None:
        data.sample_weight = &sample_weight[0]
    data.rows = NULL
    if rows is not None:
        data.rows = &rows[0]
    data.n = order.shape[0]
    data.batch_size = batch_size
    data.shuffles = shuffle
    run.order = &order[0]
    run.row_losses = &row_losses[0]
    run.row_sums = &row_sums[0]
    run.rates = &rates[0]
    run.losses = &losses[0]
    run.totals = &totals[0]
    run.n_steps = rates.shape[0]
    run.first_step = first_step
    run.life_epoch = life_epoch
    run.life_step = life_step
    run.optimizer_step = optimizer_step
    run.clock_every = clock_every
    run.deadline = fn_seconds() + seconds
    run.done = 0
    run.looked_ahead = -1
    run.stops = False
    run.updates = updates
    run.drops = drops
    run.barrier.arrived = 0
    run.barrier.phase = 0
    with nogil:
        start_team(&plan, &data, &params[0], first_slot, &work[0], &run, n_threads)
    done[0] = run.done


cdef void start_prediction(
    const Plan* plan, const real* params, real* work, Py_ssize_t work_size, Request* request,
    int n_threads
) noexcept nogil:
    if n_threads == 1:
        predict_rows(plan, params, work, request, 0, 1)
    else:
        with parallel(num_threads=n_threads):
            predict_rows(plan, params, work + threadid() * work_size, request, threadid(),
                         fn_team_size())


def evaluate(
    const Layer[::1] layers, const Buffer[::1] buffers, const Settings[::1] settings,
    const real[::1] params, real[:, ::1] work, const real[:, ::1] X, const real[:, ::1] y,
    real[:, ::1] out, double[::1] row_losses
):
    """Fill `out` (n, n_outputs) with predictions and `row_losses` (n,) with the loss of each row,
    on as many threads as there are rows of `work`."""
    cdef Plan plan = as_plan(layers, buffers, settings)
    cdef Request request = Request(&X[0, 0], &y[0, 0], X.shape[0], False, &out[0, 0],
                                   &row_losses[0], False)
    with nogil:
        start_prediction(&plan, &params[0], &work[0, 0], work.shape[1], &request,
                         <int> work.shape[0])


cdef class Predictor:
    """Prediction bound to a network's parameters beforehand, so that a call looks at nothing but
    its own arguments.

    `predictor(X, out, check_finite, n_threads)` answers for arrays as the engine reads them: the
    network's dtype and width, C-contiguous, `out` of the right shape or None. For anything else it
    returns None, and so it does where X is not finite: those go the way with all messages. Up to
    `small` rows are computed with the GIL held and without asking for threads; for more,
    `choose(n_threads, n)` tells how many and `record(threads, n, seconds)` hears what they took.
    `allocate(n_threads)` makes a workspace, which is kept.
    """

    cdef Plan plan
    cdef void* params
    cdef cnp.ndarray work          # (threads, numbers)
    cdef int type_number
    cdef int busy
    cdef Py_ssize_t small
    cdef object choose
    cdef object record
    cdef object allocate
    cdef object kept

    def __init__(self, const Layer[::1] layers, const Buffer[::1] buffers,
                 const Settings[::1] settings, cnp.ndarray params, Py_ssize_t small, choose,
                 record, allocate):
        self.plan = as_plan(layers, buffers, settings)
        self.params = cnp.PyArray_DATA(params)
        self.type_number = cnp.PyArray_TYPE(params)
        self.small = small
        self.choose = choose
        self.record = record
        self.allocate = allocate
        self.work = allocate(1)
        self.kept = (layers, buffers, params)

    def __call__(self, X, out, check_finite, n_threads):
        cdef cnp.npy_intp[2] shape
        cdef cnp.ndarray answer
        cdef Request request
        cdef int team = 1
        cdef double began = 0
        if check_finite is not True and check_finite is not False:
            return None
        if not is_plain(X, self.type_number, self.plan.s.n_features):
            return None
        shape[0] = cnp.PyArray_DIM(<cnp.ndarray> X, 0)
        shape[1] = self.plan.s.n_outputs
        if n_threads is not None or shape[0] > self.small:
            team = self.choose(n_threads, shape[0])
        if out is None:
            answer = cnp.PyArray_EMPTY(2, shape, self.type_number, 0)
        elif not is_plain(out, self.type_number, shape[1]):
            return None
        else:
            answer = <cnp.ndarray> out
            if not suits(answer, <cnp.ndarray> X):
                return None
        request = Request(cnp.PyArray_DATA(<cnp.ndarray> X), NULL, shape[0], check_finite,
                          cnp.PyArray_DATA(answer), NULL, False)
        if n_threads is None and shape[0] > self.small:
            began = fn_seconds()
            self.answer(&request, team)
            self.record(team, shape[0], fn_seconds() - began)
        else:
            self.answer(&request, team)
        return None if request.failed else answer

    cdef int answer(self, Request* request, int team) except -1:
        """With the workspace that is kept, or, where another thread uses it just now, a new one."""
        cdef bint alone = fn_swap(&self.busy, 1) == 0
        cdef cnp.ndarray work
        try:
            if alone and cnp.PyArray_DIM(self.work, 0) < team:
                self.work = self.allocate(team)
            work = self.work if alone else self.allocate(team)
            if self.type_number == cnp.NPY_FLOAT:
                predict_request(&self.plan, <const float*> self.params, work, request, team,
                                request.n <= self.small)
            else:
                predict_request(&self.plan, <const double*> self.params, work, request, team,
                                request.n <= self.small)
        finally:
            if alone:
                fn_swap(&self.busy, 0)
        return 0


cdef inline bint is_plain(x, int type_number, Py_ssize_t width) noexcept:
    """Whether x is an array (n, width), n > 0, that kernels can read as it is."""
    if not cnp.PyArray_CheckExact(x):
        return False
    cdef cnp.ndarray array = <cnp.ndarray> x
    return (
        cnp.PyArray_TYPE(array) == type_number and cnp.PyArray_NDIM(array) == 2
        and cnp.PyArray_DIM(array, 0) > 0 and cnp.PyArray_DIM(array, 1) == width
        and cnp.PyArray_ISCARRAY_RO(array))


cdef inline bint suits(cnp.ndarray out, cnp.ndarray X) noexcept:
    """Whether the answer for X can be written into a plain array."""
    cdef char* begin = <char*> cnp.PyArray_DATA(out)
    cdef char* x = <char*> cnp.PyArray_DATA(X)
    return (
        cnp.PyArray_ISWRITEABLE(out) and cnp.PyArray_DIM(out, 0) == cnp.PyArray_DIM(X, 0)
        and (begin + cnp.PyArray_NBYTES(out) <= x or x + cnp.PyArray_NBYTES(X) <= begin))


cdef inline void predict_request(
    const Plan* plan, const real* params, cnp.ndarray work, Request* request, int team, bint brief
) noexcept:
    """A brief call keeps the GIL: to give it up and take it again costs as much as one row."""
    cdef real* memory = <real*> cnp.PyArray_DATA(work)
    cdef Py_ssize_t size = cnp.PyArray_DIM(work, 1)
    if brief and team == 1:
        start_prediction(plan, params, memory, size, request, 1)
    else:
        with nogil:
            start_prediction(plan, params, memory, size, request, team)


def shuffled(
    Py_ssize_t[::1] order, const Py_ssize_t[::1] rows, Py_ssize_t seed, Py_ssize_t epoch
):
    """Fill `order` with the order that the rows, or 0..n-1, have in this epoch of a network's
    life."""
    cdef const Py_ssize_t* first = NULL
    if rows is not None:
        first = &rows[0]
    with nogil:
        shuffle_rows(&order[0], first, order.shape[0], stream(seed, Purpose.SHUFFLE, epoch))


def activation(Py_ssize_t code, double parameter, real[::1] z):
    """z = activation(z)."""
    activate(code, <real> parameter, &z[0], z.shape[0])


def slope(Py_ssize_t code, double parameter, const real[::1] saved, real[::1] dy):
    """dy *= the slope that `saved` (outputs, or inputs for silu, gelu and mish) gives."""
    scale_by_slope(code, <real> parameter, &dy[0], &saved[0], dy.shape[0])


def max_threads():
    """What OpenMP would use by default: follows OMP_NUM_THREADS and threadpoolctl."""
    return fn_max_threads()


def has_openmp():
    """Whether this build can use more than one thread."""
    return bool(FN_OPENMP)
