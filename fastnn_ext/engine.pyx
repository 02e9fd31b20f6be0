"""The functions that Python calls, and where threads begin. Written once, compiled once per level
of instructions.
"""

import warnings

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport parallel, threadid
cimport numpy as cnp

from fastnn_ext.activations cimport activate, scale_by_slope
from fastnn_ext.codes cimport Purpose
from fastnn_ext.plan cimport Buffer, Layer, Plan, Settings
from fastnn_ext.prediction cimport Request, predict_rows
from fastnn_ext.random cimport shuffle as shuffle_rows, stream
from fastnn_ext.real cimport real
from fastnn_ext.threads cimport (
    FN_OPENMP,
    fn_can_have_team,
    fn_is_child,
    fn_max_threads,
    fn_seconds,
    fn_swap,
    fn_team_size,
    fn_watch_forks,
)
from fastnn_ext.training cimport POLLS_PER_SECOND, Data, Run, run_steps

cnp.import_array()
if fn_watch_forks():
    raise MemoryError("fastnn could not ask to be called after forks")


cdef class CompiledPlan:
    """A plan as the kernels read it: made once for a network, as NumPy takes microseconds to show
    the fields of a structured array."""

    cdef Plan plan
    cdef object kept

    def __init__(
        self, const Layer[::1] layers, const Buffer[::1] buffers, const Settings[::1] settings
    ):
        self.plan.layers = &layers[0]
        self.plan.n_layers = layers.shape[0]
        self.plan.buffers = &buffers[0]
        self.plan.s = settings[0]
        self.plan.seed = 0
        self.plan.shared = False
        self.plan.sparse = False
        self.plan.panel = NULL
        self.kept = (layers, buffers)


cdef int possible_team(int n_threads) except -1:
    """The number of threads, or one where more cannot be had."""
    if n_threads == 1 or fn_is_child:
        return 1
    if not fn_can_have_team(n_threads):
        warnings.warn(
            f"n_threads: could not start {n_threads - 1} threads, because of a limit on processes "
            "or memory; one thread is used", RuntimeWarning)
        return 1
    return n_threads


# ---- training ----------------------------------------------------------------------------------

cdef void run_on_thread(
    const Plan* plan, const Data* data, real* params, real* slots, real* work, Run* run,
    int thread, int team
) noexcept nogil:
    """Compiled once, though it is called twice."""
    cdef Plan own = plan[0]
    own.panel = work + plan.s.panels + thread * plan.s.panel_stride
    run_steps(&own, data, params, slots, work, run, thread, team)


cdef void start_team(
    const Plan* plan, const Data* data, real* params, real* slots, real* work, Run* run,
    int n_threads
) noexcept nogil:
    """One thread never enters OpenMP: that costs more than a small step, and in a child process
    after fork it would hang."""
    if n_threads == 1:
        run_on_thread(plan, data, params, slots, work, run, 0, 1)
    else:
        with parallel(num_threads=n_threads):
            run_on_thread(plan, data, params, slots, work, run, threadid(), fn_team_size())


cdef class Trainer:
    """A training run bound to its plan, parameters and rows beforehand, so that a call looks at
    nothing but the steps to make.

    Trained on are the rows of X that `rows` names, all where that is None; `order` has their
    number. A call changes params, slots, work, order, row_losses and row_sums. Without
    `updates`, gradients are left in `work` and no parameter changes. `n_made` counts the steps of
    the last call: a return value would be lost where a signal's exception is raised as soon as the
    call returns. Whoever calls sets it to 0 before.
    """

    cdef Plan plan
    cdef Data data
    cdef Run start                 # what each call begins with
    cdef void* params
    cdef void* slots
    cdef void* work
    cdef int type_number
    cdef object check
    cdef object error              # of a signal's handler or of `check`, in the call in progress
    cdef object kept
    cdef public Py_ssize_t n_made

    def __init__(
        self, CompiledPlan plan not None, cnp.ndarray params, slots, work, X, y, sample_weight,
        const Py_ssize_t[::1] rows, Py_ssize_t[::1] order, double[::1] row_losses,
        double[::1] row_sums, *,
        Py_ssize_t batch_size, bint shuffles, Py_ssize_t seed, Py_ssize_t life_epoch,
        Py_ssize_t life_step, bint updates, bint drops, bint sparse, Py_ssize_t clock_every, check
    ):
        self.plan = plan.plan
        self.plan.seed = seed
        self.plan.sparse = sparse
        self.data.rows = NULL
        if rows is not None:
            self.data.rows = &rows[0]
        self.data.n = order.shape[0]
        self.data.batch_size = batch_size
        self.data.shuffles = shuffles
        self.type_number = cnp.PyArray_TYPE(params)
        if self.type_number == cnp.NPY_FLOAT:
            bind[float](self, params, slots, work, X, y, sample_weight)
        else:
            bind[double](self, params, slots, work, X, y, sample_weight)
        self.start.order = &order[0]
        self.start.row_losses = &row_losses[0]
        self.start.row_sums = &row_sums[0]
        self.start.life_epoch = life_epoch
        self.start.life_step = life_step
        self.start.clock_every = clock_every
        self.start.updates = updates
        self.start.drops = drops
        self.start.poll = is_stopped
        self.start.caller = <void*> self
        self.start.abandons = False
        self.start.done = 0
        self.start.looked_ahead = -1
        self.start.stops = False
        self.start.barrier.arrived = 0
        self.start.barrier.phase = 0
        self.check = check
        self.kept = (plan, params, slots, work, X, y, sample_weight, rows, order,
                     row_losses, row_sums)

    def run(
        self, const double[::1] rates, double[::1] losses, double[::1] totals,
        Py_ssize_t first_step, Py_ssize_t optimizer_step, double seconds, int n_threads
    ):
        """Make up to len(rates) steps from step `first_step` of the run on, of which the optimizer
        made `optimizer_step` updates before; fill losses and totals (the sum of each batch's sample
        weights).

        Fewer steps are made when `seconds` have passed or when a loss is not finite (then the last
        loss written is that one). In steps that take long, signals are handled and `check()` is
        called; an exception of theirs ends the call, with the step in progress undone.
        """
        cdef Run run = self.start
        n_threads = possible_team(n_threads)
        self.plan.shared = n_threads > 1
        run.rates = &rates[0]
        run.losses = &losses[0]
        run.totals = &totals[0]
        run.n_steps = rates.shape[0]
        run.first_step = first_step
        run.life_step += first_step
        run.optimizer_step = optimizer_step
        run.deadline = fn_seconds() + seconds
        run.next_poll = fn_seconds() + 1.0 / POLLS_PER_SECOND
        with nogil:
            if self.type_number == cnp.NPY_FLOAT:
                start_team(&self.plan, &self.data, <float*> self.params, <float*> self.slots,
                           <float*> self.work, &run, n_threads)
            else:
                start_team(&self.plan, &self.data, <double*> self.params, <double*> self.slots,
                           <double*> self.work, &run, n_threads)
        self.n_made = run.done
        if self.error is not None:
            error, self.error = self.error, None
            raise error


cdef int bind(
    Trainer trainer, real[::1] params, real[::1] slots, real[::1] work, const real[:, ::1] X,
    const real[:, ::1] y, const real[::1] sample_weight
) except -1:
    """Take the addresses of arrays of the network's dtype."""
    trainer.params = &params[0]
    # SGD without momentum keeps nothing: then no slot is ever touched.
    trainer.slots = &slots[0] if slots.shape[0] > 0 else &work[0]
    trainer.work = &work[0]
    trainer.data.X = &X[0, 0]
    trainer.data.y = &y[0, 0]
    trainer.data.sample_weight = NULL
    if sample_weight is not None:
        trainer.data.sample_weight = &sample_weight[0]
    return 0


cdef bint is_stopped(void* trainer) noexcept with gil:
    """Whether a signal's handler, or the trainer's check, raised an exception; it is kept."""
    cdef Trainer own = <Trainer> trainer
    try:
        PyErr_CheckSignals()
        own.check()
    except BaseException as error:
        own.error = error
        return True
    return False


# ---- prediction --------------------------------------------------------------------------------

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
    CompiledPlan plan not None, const real[::1] params, real[:, ::1] work,
    const real[:, ::1] X, const real[:, ::1] y, real[:, ::1] out, double[::1] row_losses
):
    """Fill `out` (n, n_outputs) with predictions and `row_losses` (n,) with the loss of each row,
    on as many threads as there are rows of `work`, if they can be had."""
    cdef int n_threads = possible_team(<int> work.shape[0])
    cdef Request request = Request(&X[0, 0], &y[0, 0], X.shape[0], False, &out[0, 0],
                                   &row_losses[0], False)
    with nogil:
        start_prediction(&plan.plan, &params[0], &work[0, 0], work.shape[1], &request, n_threads)


cdef class Predictor:
    """Prediction bound to a network's parameters beforehand, so that a call looks at nothing but
    its own arguments.

    `predictor(X, out, check_finite, n_threads)` answers for arrays as the engine reads them: the
    network's dtype and width, C-contiguous, `out` of the right shape or None. For anything else it
    returns None, and so it does where X is not finite: those go the way with all messages. Up to
    `small` rows are computed with the GIL held and without asking for threads; for more,
    `choose(n_threads, n)` returns their number and `record(threads, n, seconds)` is called with the
    time taken. After every `slice` rows of a thread, signals are handled and `check()` is called.
    `allocate(n_threads)` makes a workspace, which is kept.
    """

    cdef Plan plan
    cdef void* params
    cdef cnp.ndarray work          # (threads, numbers)
    cdef int type_number
    cdef int busy
    cdef Py_ssize_t small
    cdef Py_ssize_t slice
    cdef object choose
    cdef object record
    cdef object check
    cdef object allocate
    cdef object kept

    def __init__(self, CompiledPlan plan not None, cnp.ndarray params, Py_ssize_t small,
                 Py_ssize_t slice, choose, record, check, allocate):
        self.plan = plan.plan
        self.params = cnp.PyArray_DATA(params)
        self.type_number = cnp.PyArray_TYPE(params)
        self.small = small
        self.slice = slice
        self.choose = choose
        self.record = record
        self.check = check
        self.allocate = allocate
        self.work = allocate(1)
        self.kept = (plan, params)

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
        if not (n_threads is None and shape[0] <= self.small or is_one(n_threads)):
            team = possible_team(self.choose(n_threads, shape[0]))
        if out is None:
            answer = cnp.PyArray_EMPTY(2, shape, self.type_number, 0)
        elif not is_plain(out, self.type_number, shape[1]):
            return None
        else:
            answer = <cnp.ndarray> out
            if not suits(answer, <cnp.ndarray> X, <char*> self.params, self.plan.s.n_params):
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
                self.predict_slices(<const float*> self.params, work, request, team)
            else:
                self.predict_slices(<const double*> self.params, work, request, team)
        finally:
            if alone:
                fn_swap(&self.busy, 0)
        return 0

    cdef int predict_slices(
        self, const real* params, cnp.ndarray work, Request* whole, int team
    ) except -1:
        """A brief call keeps the GIL: to give it up and take it again costs as much as one row."""
        cdef bint brief = team == 1 and whole.n <= self.small
        cdef Request part = whole[0]
        cdef real* memory = <real*> cnp.PyArray_DATA(work)
        cdef Py_ssize_t size = cnp.PyArray_DIM(work, 1)
        cdef Py_ssize_t start = 0
        while start < whole.n and not whole.failed:
            if start > 0:
                PyErr_CheckSignals()
                self.check()
            part.X = <const real*> whole.X + start * self.plan.s.n_features
            part.out = <real*> whole.out + start * self.plan.s.n_outputs
            part.n = min(whole.n - start, self.slice * team)
            if brief:
                start_prediction(&self.plan, params, memory, size, &part, 1)
            else:
                with nogil:
                    start_prediction(&self.plan, params, memory, size, &part, team)
            whole.failed = part.failed
            start += part.n
        return 0


cdef inline bint is_one(n_threads) except -1:
    """Whether one thread is asked for: then nothing else needs to be."""
    return type(n_threads) is int and n_threads == 1


cdef inline bint is_plain(x, int type_number, Py_ssize_t width) noexcept:
    """Whether x is an array (n, width), n > 0, that kernels can read as it is."""
    if not cnp.PyArray_CheckExact(x):
        return False
    cdef cnp.ndarray array = <cnp.ndarray> x
    return (
        cnp.PyArray_TYPE(array) == type_number and cnp.PyArray_NDIM(array) == 2
        and cnp.PyArray_DIM(array, 0) > 0 and cnp.PyArray_DIM(array, 1) == width
        and cnp.PyArray_ISCARRAY_RO(array))


cdef inline bint suits(
    cnp.ndarray out, cnp.ndarray X, char* params, Py_ssize_t n_params
) noexcept:
    """Whether the answer for X can be written into a plain array."""
    cdef char* begin = <char*> cnp.PyArray_DATA(out)
    cdef char* x = <char*> cnp.PyArray_DATA(X)
    cdef char* params_end = params + n_params * cnp.PyArray_ITEMSIZE(out)
    return (
        cnp.PyArray_ISWRITEABLE(out) and cnp.PyArray_DIM(out, 0) == cnp.PyArray_DIM(X, 0)
        and (begin + cnp.PyArray_NBYTES(out) <= x or x + cnp.PyArray_NBYTES(X) <= begin)
        and (begin + cnp.PyArray_NBYTES(out) <= params or params_end <= begin))


# ---- for Python, which tests and draws with the same formulas ----------------------------------

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


def address(cnp.ndarray array not None):
    """Where an array begins in memory. NumPy's `__array_interface__` takes as long as a step, and
    crashes where it runs out of memory."""
    return <size_t> cnp.PyArray_DATA(array)


def max_threads():
    """What OpenMP would use by default: follows OMP_NUM_THREADS and threadpoolctl."""
    return fn_max_threads()


def is_child():
    """Whether this process was forked off from one that had imported this module: OpenMP's threads
    stayed with the parent, and to ask for them would wait for ever."""
    return bool(fn_is_child)


def has_openmp():
    """Whether this build can use more than one thread."""
    return bool(FN_OPENMP)
