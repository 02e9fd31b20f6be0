"""The engine's interface to Python, and the only place that starts threads. One source, compiled
once per instruction-set level.
"""

import warnings

from libc.stdint cimport int32_t

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport parallel, threadid
cimport numpy as cnp

from fastnn_ext.activations cimport activate, scale_by_derivative, scale_by_second_derivative
from fastnn_ext.arrays cimport is_native_array, is_valid_output
from fastnn_ext.codes cimport Derivative, Purpose
from fastnn_ext.derivatives cimport DerivativeRequest, differentiate_rows
from fastnn_ext.normal_equations cimport (
    PIECE,
    add_products,
    divide_by_triangle,
    factorize_triangle,
    invert_row,
    negate_columns,
    solve_factorized,
    subtract_products,
)
from fastnn_ext.plan cimport Buffer, Layer, Plan, Settings, SparseInputs
from fastnn_ext.prediction cimport PredictionRequest, predict_rows
from fastnn_ext.random cimport shuffle as shuffle_rows, make_key
from fastnn_ext.real cimport real
from fastnn_ext.threads cimport (
    FN_OPENMP,
    fn_can_start_team,
    fn_is_child,
    fn_max_threads,
    fn_seconds,
    fn_swap,
    fn_team_size,
    fn_register_fork_handler,
)
from fastnn_ext.training cimport POLLS_PER_SECOND, TrainingData, RunState, run_steps

cnp.import_array()

FACTOR_ROWS = PIECE
"""Rows that `factorize` computes at a time."""

if fn_register_fork_handler():
    raise MemoryError("fastnn: pthread_atfork failed")


cdef class CompiledPlan:
    """A plan in the form that the kernels read, made from the bytes of arrays of the dtypes LAYER,
    BUFFER and SETTINGS (1,). It takes bytes because NumPy's description of a structured array's
    fields takes several microseconds, and is an error if it runs out of memory."""

    cdef Plan plan
    cdef object references

    def __init__(
        self, const unsigned char[::1] layers, const unsigned char[::1] buffers,
        const unsigned char[::1] settings
    ):
        self.plan.layers = <const Layer*> &layers[0]
        self.plan.n_layers = layers.shape[0] // <Py_ssize_t> sizeof(Layer)
        self.plan.buffers = <const Buffer*> &buffers[0]
        self.plan.n_buffers = buffers.shape[0] // <Py_ssize_t> sizeof(Buffer)
        self.plan.s = (<const Settings*> &settings[0])[0]
        self.plan.seed = 0
        self.plan.multithreaded = False
        self.plan.sparse = False
        self.plan.inputs = NULL
        self.plan.panel = NULL
        self.references = (layers, buffers)


cdef class CompiledRows:
    """Rows in compressed sparse row format: the row i of X has the entries starts[i]..starts[i + 1]
    of values (n_entries,), in the columns of columns (n_entries,), which are sorted. The arrays
    have at least one element.

    To train, the other arrays are given, one row for each thread of those with two dimensions:
    rows (microbatch_rows,), touched (n_features,), column_starts (threads, n_features + 1), and
    entry_rows and entry_values, which have room for the entries of a microbatch. A call changes
    them.
    """

    cdef SparseInputs inputs
    cdef Py_ssize_t n
    cdef object references

    def __init__(
        self, cnp.ndarray values, const int32_t[::1] columns, const Py_ssize_t[::1] starts,
        Py_ssize_t[::1] rows=None, int32_t[:, ::1] column_starts=None,
        int32_t[:, ::1] entry_rows=None, cnp.ndarray entry_values=None,
        unsigned char[::1] touched=None
    ):
        self.n = starts.shape[0] - 1
        self.inputs.values = cnp.PyArray_DATA(values)
        self.inputs.columns = &columns[0]
        self.inputs.starts = &starts[0]
        self.inputs.rows = NULL
        self.inputs.first_row = 0
        if rows is not None:
            self.inputs.rows = &rows[0]
            self.inputs.column_starts = &column_starts[0, 0]
            self.inputs.entry_rows = &entry_rows[0, 0]
            self.inputs.entry_values = cnp.PyArray_DATA(entry_values)
            self.inputs.capacity = entry_rows.shape[1]
            self.inputs.touched = &touched[0]
        self.references = (values, columns, starts, rows, column_starts, entry_rows, entry_values,
                           touched)


cdef int choose_team_size(int n_threads) except -1:
    """n_threads, or 1 if that many threads cannot be started."""
    if n_threads == 1 or fn_is_child:
        return 1
    if not fn_can_start_team(n_threads):
        warnings.warn(
            f"n_threads: could not start {n_threads - 1} threads, because of a limit on processes "
            "or memory; one thread is used", RuntimeWarning)
        return 1
    return n_threads


# ---- training ----------------------------------------------------------------------------------

cdef void run_on_thread(
    const Plan* plan, const TrainingData* data, real* params, real* slots, real* work,
    RunState* run, int thread, int team_size
) noexcept nogil:
    """Run the steps on one thread of a team. Not inline: compiled once, called in two places."""
    cdef Plan thread_plan = plan[0]
    cdef SparseInputs inputs
    thread_plan.panel = work + plan.s.panels + thread * plan.s.thread_stride
    if plan.inputs != NULL:
        inputs = plan.inputs[0]
        inputs.column_starts += thread * (plan.s.n_features + 1)
        inputs.entry_rows += thread * inputs.capacity
        inputs.entry_values = <real*> inputs.entry_values + thread * inputs.capacity
        thread_plan.inputs = &inputs
    run_steps(&thread_plan, data, params, slots, work, run, thread, team_size)


cdef void run_on_team(
    const Plan* plan, const TrainingData* data, real* params, real* slots, real* work,
    RunState* run, int n_threads
) noexcept nogil:
    """Run the steps on n_threads threads. A single thread does not use OpenMP: a parallel region
    costs more than a small step, and in a child process after fork it would hang."""
    if n_threads == 1:
        run_on_thread(plan, data, params, slots, work, run, 0, 1)
    else:
        with parallel(num_threads=n_threads):
            run_on_thread(plan, data, params, slots, work, run, threadid(), fn_team_size())


cdef class Trainer:
    """A training run with its plan, parameters and data bound once, so that a call passes only the
    steps to make.

    `rows` (n,) selects the rows of X (n_X, n_features) or CompiledRows, y (n_X, n_targets), and,
    which may be None, sample_weight (n_X,) and gradient_targets (n_X, n_outputs, n_features) to
    train on; None selects all. `permutation` has n elements. A call changes params
    (n_params,), slots (flat), work, permutation, row_losses (batch_size,) and row_sums
    (2 * n_parameter_rows,); the other arrays are read. Without `apply_update`, gradients are left
    in `work` and no parameter changes. `n_steps_done` is the number of steps of the last call; a
    return value would be lost if a signal's exception were raised as soon as the call returns. The
    caller sets it to 0 before each call.
    """

    cdef Plan plan
    cdef TrainingData data
    cdef RunState start            # copied at the start of each call
    cdef void* params
    cdef void* slots
    cdef void* work
    cdef int type_number
    cdef object check
    cdef object error              # raised in this call by a signal handler or by `check`
    cdef object references         # keeps the bound arrays alive
    cdef public Py_ssize_t n_steps_done

    def __init__(
        self, CompiledPlan plan not None, cnp.ndarray params, slots, work, X, y, sample_weight,
        const Py_ssize_t[::1] rows, Py_ssize_t[::1] permutation, double[::1] row_losses,
        double[::1] row_sums, gradient_targets, *,
        Py_ssize_t batch_size, bint shuffle, Py_ssize_t seed, Py_ssize_t epoch_offset,
        Py_ssize_t step_offset, bint apply_update, bint dropout_active, bint sparse,
        Py_ssize_t clock_every, check
    ):
        self.plan = plan.plan
        self.plan.seed = seed
        self.plan.sparse = sparse
        self.data.rows = NULL
        if rows is not None:
            self.data.rows = &rows[0]
        self.data.n = permutation.shape[0]
        self.data.batch_size = batch_size
        self.data.shuffle = shuffle
        self.type_number = cnp.PyArray_TYPE(params)
        sparse_rows = X if isinstance(X, CompiledRows) else None
        dense_X = X if sparse_rows is None else None
        if self.type_number == cnp.NPY_FLOAT:
            bind_arrays[float](self, params, slots, work, dense_X, y, sample_weight,
                               gradient_targets)
        else:
            bind_arrays[double](self, params, slots, work, dense_X, y, sample_weight,
                                gradient_targets)
        if sparse_rows is not None:
            self.plan.inputs = &(<CompiledRows> sparse_rows).inputs
        self.start.permutation = &permutation[0]
        self.start.row_losses = &row_losses[0]
        self.start.row_sums = &row_sums[0]
        self.start.epoch_offset = epoch_offset
        self.start.step_offset = step_offset
        self.start.clock_every = clock_every
        self.start.apply_update = apply_update
        self.start.dropout_active = dropout_active
        self.start.poll = poll_python
        self.start.poll_argument = <void*> self
        self.start.abandoned = False
        self.start.n_done = 0
        self.start.prefetched_step = -1
        self.start.should_stop = False
        self.start.barrier.arrived = 0
        self.start.barrier.phase = 0
        self.check = check
        self.references = (plan, params, slots, work, X, y, sample_weight, rows, permutation,
                           row_losses, row_sums, gradient_targets)

    def run(
        self, const double[::1] rates, double[::1] losses, double[::1] batch_weights,
        Py_ssize_t first_step, Py_ssize_t optimizer_step, double seconds, int n_threads
    ):
        """Make up to n steps with the learning rates `rates` (n,), starting at step `first_step` of
        the run, after `optimizer_step` updates by the optimizer. Fills losses (n,) and
        batch_weights (n,), the sum of the sample weights of each batch.

        The call makes fewer steps if the time limit `seconds` is reached or a loss is not finite
        (which is then the last one written). During long steps, signals are handled and `check()`
        is called; if either raises, the step in progress is undone and the exception propagates.
        """
        cdef RunState run = self.start
        n_threads = choose_team_size(n_threads)
        self.plan.multithreaded = n_threads > 1
        run.rates = &rates[0]
        run.losses = &losses[0]
        run.batch_weights = &batch_weights[0]
        run.n_steps = rates.shape[0]
        run.first_step = first_step
        run.step_offset += first_step
        run.optimizer_step = optimizer_step
        run.deadline = fn_seconds() + seconds
        run.next_poll = fn_seconds() + 1.0 / POLLS_PER_SECOND
        with nogil:
            if self.type_number == cnp.NPY_FLOAT:
                run_on_team(&self.plan, &self.data, <float*> self.params, <float*> self.slots,
                            <float*> self.work, &run, n_threads)
            else:
                run_on_team(&self.plan, &self.data, <double*> self.params, <double*> self.slots,
                            <double*> self.work, &run, n_threads)
        self.n_steps_done = run.n_done
        if self.error is not None:
            error, self.error = self.error, None
            raise error


cdef int bind_arrays(
    Trainer trainer, real[::1] params, real[::1] slots, real[::1] work, const real[:, ::1] X,
    const real[:, ::1] y, const real[::1] sample_weight, const real[:, :, ::1] gradient_targets
) except -1:
    """Store the addresses of the arrays, which have the network's dtype."""
    trainer.params = &params[0]
    # SGD without momentum has no slots: this address is then never used.
    trainer.slots = &slots[0] if slots.shape[0] > 0 else &work[0]
    trainer.work = &work[0]
    trainer.data.X = NULL
    if X is not None:
        trainer.data.X = &X[0, 0]
    trainer.data.y = &y[0, 0]
    trainer.data.sample_weight = NULL
    if sample_weight is not None:
        trainer.data.sample_weight = &sample_weight[0]
    trainer.data.gradient_targets = NULL
    if gradient_targets is not None:
        trainer.data.gradient_targets = &gradient_targets[0, 0, 0]
    return 0


cdef bint poll_python(void* poll_argument) noexcept with gil:
    """Whether a signal handler or the trainer's `check` raised an exception, which is stored in the
    trainer."""
    cdef Trainer trainer = <Trainer> poll_argument
    try:
        PyErr_CheckSignals()
        trainer.check()
    except BaseException as error:
        trainer.error = error
        return True
    return False


# ---- prediction --------------------------------------------------------------------------------

cdef void predict_on_thread(
    const Plan* plan, const real* params, real* work, PredictionRequest* request, int thread,
    int team_size
) noexcept nogil:
    """Not inline: compiled once, called in two places."""
    predict_rows(plan, params, work, request, thread, team_size)


cdef void predict_on_team(
    const Plan* plan, const real* params, real* work, Py_ssize_t work_size,
    PredictionRequest* request, int n_threads
) noexcept nogil:
    """Predict on n_threads threads, each with its row of work (n_threads, work_size)."""
    if n_threads == 1:
        predict_on_thread(plan, params, work, request, 0, 1)
    else:
        with parallel(num_threads=n_threads):
            predict_on_thread(plan, params, work + threadid() * work_size, request, threadid(),
                              fn_team_size())


def evaluate(
    CompiledPlan plan not None, const real[::1] params, real[:, ::1] work,
    const real[:, ::1] X, const real[:, ::1] y, real[:, ::1] out, double[::1] row_losses
):
    """Fill `out` (n, n_outputs) with predictions for X (n, n_features), and `row_losses` (n,) with
    the loss of each row for the targets y (n, n_targets). Uses one thread for each row of
    `work`, or a single thread if these cannot be started."""
    cdef int n_threads = choose_team_size(<int> work.shape[0])
    cdef PredictionRequest request = PredictionRequest(
        &X[0, 0], &y[0, 0], X.shape[0], False, &out[0, 0], &row_losses[0], False)
    with nogil:
        predict_on_team(&plan.plan, &params[0], &work[0, 0], work.shape[1], &request, n_threads)


def predict_sparse(
    CompiledPlan plan not None, const real[::1] params, real[:, ::1] work, CompiledRows X not None,
    const real[:, ::1] y, Py_ssize_t first, Py_ssize_t last, real[:, ::1] out,
    double[::1] row_losses
):
    """Fill rows first..last of `out` (n, n_outputs) with predictions for these rows of X and,
    unless y (n, n_targets) is None, of `row_losses` (n,) with the losses of these rows. Threads as
    in `evaluate`."""
    cdef int n_threads = choose_team_size(<int> work.shape[0])
    cdef Plan sparse_plan = plan.plan
    cdef SparseInputs inputs = X.inputs
    cdef PredictionRequest request = PredictionRequest(
        NULL, NULL, last - first, False, &out[first, 0], NULL, False)
    inputs.starts += first
    sparse_plan.inputs = &inputs
    if y is not None:
        request.y = &y[first, 0]
        request.row_losses = &row_losses[first]
    with nogil:
        predict_on_team(&sparse_plan, &params[0], &work[0, 0], work.shape[1], &request, n_threads)


cdef class Predictor:
    """Prediction with a network's parameters bound once, so that a call validates only its own
    arguments.

    `predictor(X, out, check_finite, n_threads)` returns predictions if X has the network's dtype
    and width and is C-contiguous, and `out` is None or such an array of the right shape. Otherwise,
    and if `check_finite` finds NaN or infinity, it returns None; the caller then takes the general
    path, which converts or raises errors.

    Up to `small_rows` rows are computed with the GIL held and on one thread. For more,
    `choose(n_threads, n)` returns the number of threads, and `record(n_threads, n, seconds)` is
    called with the time taken. After every `slice_rows` rows of a thread, signals are handled and
    `check()` is called. `allocate(n_threads)` returns a workspace, which is kept for later calls.
    """

    cdef Plan plan
    cdef void* params
    cdef cnp.ndarray work          # (n_threads, work_size)
    cdef int type_number
    cdef int busy                  # 1: `work` is in use by a call on another thread
    cdef Py_ssize_t small_rows
    cdef Py_ssize_t slice_rows
    cdef object choose
    cdef object record
    cdef object check
    cdef object allocate
    cdef object references         # keeps plan and parameters alive

    def __init__(self, CompiledPlan plan not None, cnp.ndarray params, Py_ssize_t small_rows,
                 Py_ssize_t slice_rows, choose, record, check, allocate):
        self.plan = plan.plan
        self.params = cnp.PyArray_DATA(params)
        self.type_number = cnp.PyArray_TYPE(params)
        self.small_rows = small_rows
        self.slice_rows = slice_rows
        self.choose = choose
        self.record = record
        self.check = check
        self.allocate = allocate
        self.work = allocate(1)
        self.references = (plan, params)

    def __call__(self, X, out, check_finite, n_threads):
        cdef cnp.npy_intp[2] shape
        cdef cnp.ndarray predictions
        cdef PredictionRequest request
        cdef int team_size = 1
        cdef double began = 0
        if check_finite is not True and check_finite is not False:
            return None
        if not is_native_array(X, self.type_number, self.plan.s.n_features):
            return None
        shape[0] = cnp.PyArray_DIM(<cnp.ndarray> X, 0)
        shape[1] = self.plan.s.n_outputs
        if not (n_threads is None and shape[0] <= self.small_rows or is_one_thread(n_threads)):
            team_size = choose_team_size(self.choose(n_threads, shape[0]))
        if out is None:
            predictions = cnp.PyArray_EMPTY(2, shape, self.type_number, 0)
        elif not is_native_array(out, self.type_number, shape[1]):
            return None
        else:
            predictions = <cnp.ndarray> out
            if not is_valid_output(predictions, <cnp.ndarray> X, <char*> self.params,
                                   self.plan.s.n_params):
                return None
        request = PredictionRequest(
            cnp.PyArray_DATA(<cnp.ndarray> X), NULL, shape[0], check_finite,
            cnp.PyArray_DATA(predictions), NULL, False)
        if n_threads is None and shape[0] > self.small_rows:
            began = fn_seconds()
            self.compute(&request, team_size)
            self.record(team_size, shape[0], fn_seconds() - began)
        else:
            self.compute(&request, team_size)
        return None if request.failed else predictions

    cdef int compute(self, PredictionRequest* request, int team_size) except -1:
        """Predict with the kept workspace, or with a new one while another thread uses it."""
        cdef bint owns_workspace = fn_swap(&self.busy, 1) == 0
        cdef cnp.ndarray work
        try:
            if owns_workspace and cnp.PyArray_DIM(self.work, 0) < team_size:
                self.work = self.allocate(team_size)
            work = self.work if owns_workspace else self.allocate(team_size)
            if self.type_number == cnp.NPY_FLOAT:
                self.predict_slices(<const float*> self.params, work, request, team_size)
            else:
                self.predict_slices(<const double*> self.params, work, request, team_size)
        finally:
            if owns_workspace:
                fn_swap(&self.busy, 0)
        return 0

    cdef int predict_slices(
        self, const real* params, cnp.ndarray work, PredictionRequest* request, int team_size
    ) except -1:
        """Predict slice by slice. A small request keeps the GIL: releasing and reacquiring it costs
        as much as one row."""
        cdef bint keeps_gil = team_size == 1 and request.n <= self.small_rows
        cdef PredictionRequest part = request[0]
        cdef real* memory = <real*> cnp.PyArray_DATA(work)
        cdef Py_ssize_t size = cnp.PyArray_DIM(work, 1)
        cdef Py_ssize_t start = 0
        while start < request.n and not request.failed:
            if start > 0:
                PyErr_CheckSignals()
                self.check()
            part.X = <const real*> request.X + start * self.plan.s.n_features
            part.out = <real*> request.out + start * self.plan.s.n_outputs
            part.n = min(request.n - start, self.slice_rows * team_size)
            if keeps_gil:
                predict_on_team(&self.plan, params, memory, size, &part, 1)
            else:
                with nogil:
                    predict_on_team(&self.plan, params, memory, size, &part, team_size)
            request.failed = part.failed
            start += part.n
        return 0


# ---- derivatives -------------------------------------------------------------------------------

cdef void differentiate_on_thread(
    const Plan* plan, const real* params, real* work, DerivativeRequest* request, int thread,
    int team_size
) noexcept nogil:
    """Not inline: compiled once, called in two places."""
    differentiate_rows(plan, params, work, request, thread, team_size)


cdef void differentiate_on_team(
    const Plan* plan, const real* params, real* work, Py_ssize_t work_size,
    DerivativeRequest* request, int n_threads
) noexcept nogil:
    """Differentiate on n_threads threads, each with its row of work (n_threads, work_size)."""
    if n_threads == 1:
        differentiate_on_thread(plan, params, work, request, 0, 1)
    else:
        with parallel(num_threads=n_threads):
            differentiate_on_thread(plan, params, work + threadid() * work_size, request,
                                    threadid(), fn_team_size())


cdef class Differentiator:
    """Derivatives of one kind with a network's parameters bound once, as in `Predictor`.

    `kind` is a codes.Derivative. The directions are all unit vectors or, if `takes_seeds`, one for
    each row. `memory` holds the fields of DerivativeMemory; `block_rows` and `block_directions`
    bound a block. `shape` is that of the result of one row. The other arguments are those of
    `Predictor`.

    `differentiator(X, seeds, output, out, check_finite, n_threads)` returns the results
    (n, *shape) if X, and seeds (n, width) if they are taken, can be read in place. Otherwise, and
    if `check_finite` finds NaN or infinity in X, it returns None. `out`, if it is not None, and the
    shape of the seeds have been checked by the caller. With y (n, n_targets), the result is the
    gradient of the loss of each row, times sample_weight (n,) if that is not None.
    """

    cdef Plan plan
    cdef DerivativeRequest bound   # copied at the start of each call
    cdef void* params
    cdef cnp.ndarray work          # (n_threads, work_size)
    cdef int type_number
    cdef int busy                  # 1: `work` is in use by a call on another thread
    cdef int n_dims
    cdef cnp.npy_intp[4] shape
    cdef bint takes_seeds
    cdef Py_ssize_t small_rows
    cdef Py_ssize_t slice_rows
    cdef object choose
    cdef object record
    cdef object check
    cdef object allocate
    cdef object references         # keeps plan and parameters alive

    def __init__(
        self, CompiledPlan plan not None, cnp.ndarray params, Py_ssize_t kind, memory, tuple shape,
        *, bint takes_seeds, Py_ssize_t n_directions, Py_ssize_t block_rows,
        Py_ssize_t block_directions, Py_ssize_t small_rows, Py_ssize_t slice_rows, choose, record,
        check, allocate
    ):
        self.plan = plan.plan
        self.params = cnp.PyArray_DATA(params)
        self.type_number = cnp.PyArray_TYPE(params)
        self.bound.kind = kind
        self.bound.memory = memory
        self.bound.y = self.bound.sample_weight = self.bound.seeds = NULL
        self.bound.row_losses = NULL
        self.bound.n_directions = n_directions
        self.bound.block_rows = block_rows
        self.bound.block_directions = block_directions
        self.bound.row_size = 1
        self.n_dims = 1 + len(shape)
        for index, size in enumerate(shape, 1):
            self.shape[index] = size
            self.bound.row_size *= size
        self.takes_seeds = takes_seeds
        self.small_rows = small_rows
        self.slice_rows = slice_rows
        self.choose = choose
        self.record = record
        self.check = check
        self.allocate = allocate
        self.work = allocate(1)
        self.references = (plan, params)

    def __call__(
        self, X, seeds, Py_ssize_t output, out, check_finite, n_threads, y=None,
        sample_weight=None, cnp.ndarray row_losses=None
    ):
        cdef cnp.npy_intp[4] shape = self.shape
        cdef DerivativeRequest request = self.bound
        cdef int team_size = 1
        cdef double began = 0
        if check_finite is not True and check_finite is not False:
            return None
        if not is_native_array(X, self.type_number, self.plan.s.n_features):
            return None
        request.X = cnp.PyArray_DATA(<cnp.ndarray> X)
        request.n = shape[0] = cnp.PyArray_DIM(<cnp.ndarray> X, 0)
        if self.takes_seeds:
            if not is_native_array(seeds, self.type_number, cnp.PyArray_DIM(seeds, 1)):
                return None
            request.seeds = cnp.PyArray_DATA(<cnp.ndarray> seeds)
        if y is not None:
            request.y = cnp.PyArray_DATA(<cnp.ndarray> y)
            request.row_losses = <double*> cnp.PyArray_DATA(row_losses)
        if sample_weight is not None:
            request.sample_weight = cnp.PyArray_DATA(<cnp.ndarray> sample_weight)
        if not (n_threads is None and request.n <= self.small_rows or is_one_thread(n_threads)):
            team_size = choose_team_size(self.choose(n_threads, request.n))
        if out is None:
            out = cnp.PyArray_EMPTY(self.n_dims, shape, self.type_number, 0)
        request.out = cnp.PyArray_DATA(<cnp.ndarray> out)
        request.output = output
        request.check_finite = check_finite
        request.failed = False
        if n_threads is None and request.n > self.small_rows:
            began = fn_seconds()
            self.compute(&request, team_size)
            self.record(team_size, request.n, fn_seconds() - began)
        else:
            self.compute(&request, team_size)
        return None if request.failed else out

    cdef int compute(self, DerivativeRequest* request, int team_size) except -1:
        """Differentiate with the kept workspace, or with a new one while another thread uses it."""
        cdef bint owns_workspace = fn_swap(&self.busy, 1) == 0
        cdef cnp.ndarray work
        try:
            if owns_workspace and cnp.PyArray_DIM(self.work, 0) < team_size:
                self.work = self.allocate(team_size)
            work = self.work if owns_workspace else self.allocate(team_size)
            if self.type_number == cnp.NPY_FLOAT:
                self.differentiate_slices(<const float*> self.params, work, request, team_size)
            else:
                self.differentiate_slices(<const double*> self.params, work, request, team_size)
        finally:
            if owns_workspace:
                fn_swap(&self.busy, 0)
        return 0

    cdef int differentiate_slices(
        self, const real* params, cnp.ndarray work, DerivativeRequest* request, int team_size
    ) except -1:
        """Differentiate slice by slice; a small request keeps the GIL."""
        cdef bint keeps_gil = team_size == 1 and request.n <= self.small_rows
        cdef DerivativeRequest part = request[0]
        cdef real* memory = <real*> cnp.PyArray_DATA(work)
        cdef Py_ssize_t size = cnp.PyArray_DIM(work, 1)
        cdef Py_ssize_t left = request.n
        while left > 0 and not part.failed:
            part.n = min(left, self.slice_rows * team_size)
            if keeps_gil:
                differentiate_on_team(&self.plan, params, memory, size, &part, 1)
            else:
                with nogil:
                    differentiate_on_team(&self.plan, params, memory, size, &part, team_size)
            left -= part.n
            skip_rows(&self.plan, params, &part)
            if left > 0:
                PyErr_CheckSignals()
                self.check()
        request.failed = part.failed
        return 0


cdef inline void skip_rows(
    const Plan* plan, const real* dtype_tag, DerivativeRequest* request
) noexcept nogil:
    """Move the arrays of a request past its rows. `dtype_tag` only selects the dtype."""
    cdef Py_ssize_t n = request.n
    cdef Py_ssize_t width = plan.s.n_outputs
    if request.kind == Derivative.FORWARD:
        width = plan.s.n_features
    request.X = <const real*> request.X + n * plan.s.n_features
    request.out = <real*> request.out + n * request.row_size
    if request.seeds != NULL:
        request.seeds = <const real*> request.seeds + n * width
    if request.y != NULL:
        request.y = <const real*> request.y + n * plan.s.n_targets
        request.row_losses += n
    if request.sample_weight != NULL:
        request.sample_weight = <const real*> request.sample_weight + n


cdef inline bint is_one_thread(n_threads) except -1:
    """Whether n_threads is the int 1, which needs no call of `choose`."""
    return type(n_threads) is int and n_threads == 1


# ---- normal equations --------------------------------------------------------------------------

def accumulate_normal_equations(
    const double[:, ::1] J, const double[::1] r, double[:, ::1] A, double[::1] g,
    double[:, ::1] panels
):
    """A (p, stride) += J'J, its upper triangle, and g (stride,) += J'r, for J (n, p), which is
    followed by a readable cache line, and r (n,). Uses one thread for each row of `panels`, whose
    width is at least FACTOR_ROWS * n plus a panel of packed vectors."""
    cdef Py_ssize_t n = J.shape[0]
    cdef Py_ssize_t p = J.shape[1]
    cdef Py_ssize_t stride = A.shape[1]
    cdef Py_ssize_t width = panels.shape[1]
    cdef int n_threads = choose_team_size(<int> panels.shape[0])
    if n_threads == 1:
        with nogil:
            add_products(&J[0, 0], &r[0], n, p, &A[0, 0], stride, &g[0], &panels[0, 0],
                         width - PIECE * n, 0, 1)
    else:
        with nogil, parallel(num_threads=n_threads):
            add_products(&J[0, 0], &r[0], n, p, &A[0, 0], stride, &g[0],
                         &panels[0, 0] + threadid() * width, width - PIECE * n, threadid(),
                         fn_team_size())


def factorize(
    const double[:, ::1] A, const double[::1] diagonal, double[:, ::1] R, double[::1] negated,
    double[:, ::1] panels, check
):
    """Write the upper triangular R (p, stride) with R'R = A + diag(diagonal), given the upper
    triangle of A (p, stride); returns False if that matrix is not positive definite. `negated`
    (FACTOR_ROWS * p,) is overwritten. Uses one thread for each row of `panels`, packed vectors.
    After every block of rows, signals are handled and `check()` is called."""
    cdef Py_ssize_t p = A.shape[0]
    cdef Py_ssize_t stride = A.shape[1]
    cdef Py_ssize_t width = panels.shape[1]
    cdef Py_ssize_t rows, first = 0
    cdef int n_threads = choose_team_size(<int> panels.shape[0])
    while first < p:
        rows = min(PIECE, p - first)
        with nogil:
            negate_columns(&R[0, 0], stride, first, rows, &negated[0])
            if n_threads == 1:
                subtract_products(&A[0, 0], &negated[0], p, stride, first, rows, &R[0, 0],
                                  &panels[0, 0], width, 0, 1)
            else:
                with parallel(num_threads=n_threads):
                    subtract_products(&A[0, 0], &negated[0], p, stride, first, rows, &R[0, 0],
                                      &panels[0, 0] + threadid() * width, width, threadid(),
                                      fn_team_size())
        if not factorize_triangle(&R[0, 0], &diagonal[0], stride, first, rows):
            return False
        with nogil:
            if n_threads == 1:
                divide_by_triangle(&R[0, 0], p, stride, first, rows, 0, 1)
            else:
                with parallel(num_threads=n_threads):
                    divide_by_triangle(&R[0, 0], p, stride, first, rows, threadid(),
                                       fn_team_size())
        first += rows
        PyErr_CheckSignals()
        check()
    return True


def solve(const double[:, ::1] R, double[::1] x):
    """Replace x (p,) by the solution z of R'R z = x, for a result R (p, stride) of `factorize`."""
    with nogil:
        solve_factorized(&R[0, 0], R.shape[0], R.shape[1], &x[0])


def compute_inverse_diagonal(const double[:, ::1] R, double[:, ::1] inverse, check):
    """The diagonal (p,) of the inverse of R'R, for a result R (p, stride) of `factorize`: the sums
    of squares of the rows of the inverse of R, which is written to `inverse` (p, stride). Signals
    are handled, and `check()` is called, after each row."""
    cdef Py_ssize_t p = R.shape[0]
    cdef Py_ssize_t row
    diagonal = []
    for row in range(p - 1, -1, -1):
        diagonal.append(invert_row(&R[0, 0], p, R.shape[1], row, &inverse[0, 0]))
        PyErr_CheckSignals()
        check()
    return diagonal[::-1]


# ---- single kernels and facts about the build, for Python --------------------------------------

def fill_permutation(
    Py_ssize_t[::1] permutation, const Py_ssize_t[::1] rows, Py_ssize_t seed, Py_ssize_t epoch
):
    """Fill `permutation` (n,) with the order of rows (n,), or of 0..n-1 if rows is None, in this
    epoch. Epochs count all training of the network."""
    cdef const Py_ssize_t* first = NULL
    if rows is not None:
        first = &rows[0]
    with nogil:
        shuffle_rows(&permutation[0], first, permutation.shape[0],
                     make_key(seed, Purpose.SHUFFLE, epoch))


def apply_activation(Py_ssize_t code, double parameter, real[::1] z):
    """z (n,) = activation(z), in place; `code` is a codes.Activation."""
    activate(code, <real> parameter, &z[0], z.shape[0])


def apply_derivative(Py_ssize_t code, double parameter, const real[::1] saved, real[::1] dy):
    """dy (n,) *= derivative, in place, computed from `saved` (n,): the activation's outputs, or its
    inputs for silu, gelu and mish."""
    scale_by_derivative(code, <real> parameter, &dy[0], &saved[0], dy.shape[0])


def apply_second_derivative(Py_ssize_t code, double parameter, const real[::1] saved, real[::1] dy):
    """dy (n,) *= second derivative, in place; arguments as in `apply_derivative`."""
    scale_by_second_derivative(code, <real> parameter, &dy[0], &saved[0], dy.shape[0])


def get_address(cnp.ndarray array not None):
    """The memory address of an array's first element. NumPy's `__array_interface__` takes as long
    as a small training step, and crashes if it runs out of memory."""
    return <size_t> cnp.PyArray_DATA(array)


def get_max_threads():
    """OpenMP's default number of threads, which OMP_NUM_THREADS and threadpoolctl set."""
    return fn_max_threads()


def is_child():
    """Whether this process was forked after the import of this module. OpenMP's threads exist only
    in the parent, so a parallel region would wait for them for ever."""
    return bool(fn_is_child)


def has_openmp():
    """Whether this build can use several threads."""
    return bool(FN_OPENMP)
