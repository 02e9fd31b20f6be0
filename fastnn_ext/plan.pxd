"""The memory layout of a network: counts, codes and offsets, never a Python object.

Terms, used in all kernels
  microbatch       At most `microbatch_rows` rows of a batch, which go through the network together.
                   A larger batch is processed as a sequence of microbatches, whose gradients are
                   accumulated in order; that bounds the workspace.
  gradient shard   The gradient of all parameters over at most `shard_rows` rows of a batch. One
                   thread computes it alone; the shards are then summed in order.

Every field has eight bytes, so the structs have no padding and a NumPy structured array with the
same fields has the same memory layout. `codes.pyx` exports these layouts to Python as dtypes, and
`fastnn/_engine/plan.py` fills them. Offsets count elements (not bytes) from the start of the array
named in the field's comment; -1 means none.
"""

from libc.stdint cimport int32_t


cdef struct Layer:
    Py_ssize_t kind                # codes.Kind
    Py_ssize_t n_in                # rows of the weights: 1 for a SCALE layer, whatever its inputs
    Py_ssize_t n_out
    Py_ssize_t activation          # codes.Activation, of a DENSE layer
    Py_ssize_t weights             # in params: (n_in, n_out), row-major
    Py_ssize_t bias                # in params: (n_out,)
    Py_ssize_t first_row           # this layer's first row among all parameter rows
    Py_ssize_t input               # index of a Buffer
    Py_ssize_t output              # index of a Buffer
    Py_ssize_t saved               # index of the Buffer that the derivative is computed from
    Py_ssize_t skip                # index of the Buffer that an ADD layer adds
    Py_ssize_t adds_to_input       # 1: accumulate into the input's gradient; 0: overwrite it
    Py_ssize_t adds_to_skip        # 1: accumulate into the gradient of `skip`; 0: overwrite it
    Py_ssize_t reads_zeros         # 1: its inputs are 0 where the network's inputs are
    Py_ssize_t stream              # index of a DROPOUT layer among the DROPOUT layers
    double parameter               # of the activation: slope of leaky_relu, alpha of elu
    double rate                    # of a DROPOUT layer
    double l1
    double l2
    double weight_rate_factor      # of the learning rate, for the weights
    double bias_rate_factor

cdef struct Buffer:
    Py_ssize_t width
    Py_ssize_t stride              # elements from one row to the next: whole cache lines
    Py_ssize_t values              # in work: (microbatch_rows, stride)
    Py_ssize_t gradient            # in work: (microbatch_rows, stride)
    Py_ssize_t column              # its first column if all buffers stand side by side

# One value per network. Hyperparameters have the names of the dataclass fields in
# fastnn/optimizers.py; those that an optimizer does not have are zero.
cdef struct Settings:
    Py_ssize_t n_features
    Py_ssize_t n_outputs
    Py_ssize_t n_targets
    Py_ssize_t n_params
    Py_ssize_t n_parameter_rows    # sum over layers with weights of n_in, plus 1 for a bias
    Py_ssize_t gradients           # in work: (n_params,)
    Py_ssize_t microbatch_rows     # most rows of a microbatch
    Py_ssize_t bias_rows           # rows of which the gradient of a bias is summed at a time
    Py_ssize_t shard_rows          # most rows of a gradient shard; 0: no shards
    Py_ssize_t gradient_shards     # in work: (n_shards, shard_stride)
    Py_ssize_t shard_stride
    Py_ssize_t panels              # in work: (threads, thread_stride), the regions of the threads
    Py_ssize_t thread_stride       # packed weights (tile.h), and arrays for derivatives
    Py_ssize_t panel_stride        # elements of packed weights; 0: no weights are packed
    Py_ssize_t derivative_rows     # rows whose Jacobian a thread compares at a time; 0: none
    Py_ssize_t penalized           # 1: some layer has l1 or l2
    Py_ssize_t output_activation   # codes.Activation from raw outputs to predictions
    Py_ssize_t loss                # codes.Loss
    Py_ssize_t optimizer           # codes.Optimizer
    Py_ssize_t nesterov
    Py_ssize_t lazy                # 1: rows of weights without entries in the batch do not change
    double loss_parameter
    double momentum
    double rho
    double beta_1
    double beta_2
    double epsilon
    double weight_decay
    double gradient_weight         # of the error of the Jacobian (sobolev.pxd); 0: not compared
    double clip_norm               # 0: off
    double clip_value              # 0: off

# Inputs in compressed sparse row format, and what the calling thread needs to read them by columns
# (sparse.pxd). The values have the call's dtype `real`.
cdef struct SparseInputs:
    const void* values             # (n_entries,)
    const int32_t* columns         # (n_entries,): sorted in each row
    const Py_ssize_t* starts       # (n_X + 1,): the first entry of each row
    Py_ssize_t* rows               # (microbatch_rows,): rows of X in the microbatch; NULL:
    Py_ssize_t first_row           # all rows from this one on
    int32_t* column_starts         # (n_features + 1,)
    int32_t* entry_rows            # (capacity,): row of the microbatch of each entry, by columns
    void* entry_values             # (capacity,)
    Py_ssize_t capacity
    Py_ssize_t first_column        # of those that are sorted
    unsigned char* touched         # (n_features,), of all threads: has entries in the batch

cdef struct Plan:
    const Layer* layers
    Py_ssize_t n_layers
    const Buffer* buffers
    Py_ssize_t n_buffers
    Settings s
    Py_ssize_t seed                # of shuffles and dropout; 0 in prediction, which has neither
    bint multithreaded             # other threads read what this thread writes
    bint sparse                    # most inputs are zero
    SparseInputs* inputs           # of the calling thread; NULL: the inputs are dense
    void* panel                    # of the calling thread: (thread_stride,)
