"""What the engine knows of a network: counts, codes and offsets, never an object or a pointer.

Every field has eight bytes, so the structs have no padding and a NumPy structured array with the
same fields is the same memory. `codes.pyx` hands these layouts to Python;
`fastnn/_engine/plan.py` fills them. Offsets count elements (not bytes) from the start of the buffer
named beside them; -1 is none.
"""

cdef struct Layer:
    Py_ssize_t kind                # codes.Kind
    Py_ssize_t n_in
    Py_ssize_t n_out
    Py_ssize_t activation          # codes.Activation, of a DENSE layer
    Py_ssize_t weights             # in params: (n_in, n_out), row-major
    Py_ssize_t bias                # in params: (n_out,)
    Py_ssize_t first_row           # this layer's first row among all parameter rows
    Py_ssize_t input               # index of a Buffer
    Py_ssize_t output              # index of a Buffer
    Py_ssize_t saved               # index of the Buffer that the slope is computed from
    Py_ssize_t skip                # index of the Buffer that an ADD layer adds
    Py_ssize_t adds_to_input       # 1: the input's gradient is already begun, add to it
    Py_ssize_t adds_to_skip        # the same for the skip's gradient
    Py_ssize_t stream              # number of a DROPOUT layer among its like
    double parameter               # of the activation: slope of leaky_relu, alpha of elu
    double rate                    # of a DROPOUT layer
    double l1
    double l2

cdef struct Buffer:
    Py_ssize_t width
    Py_ssize_t stride              # numbers from one row to the next: whole cache lines
    Py_ssize_t values              # in work: (block_rows, stride)
    Py_ssize_t gradient            # in work, the same shape

# One number per network; the hyperparameters carry the names of the dataclass fields in
# fastnn/optimizers.py, and those that an optimizer does not have are zero.
cdef struct Settings:
    Py_ssize_t n_features
    Py_ssize_t n_outputs
    Py_ssize_t n_targets
    Py_ssize_t n_params
    Py_ssize_t n_rows              # parameter rows: n_in + 1 of each DENSE layer with a bias
    Py_ssize_t gradients           # in work: (n_params,)
    Py_ssize_t block_rows          # rows that go through the network at a time
    Py_ssize_t chunk_rows          # 0, or the most rows whose gradient is summed for itself
    Py_ssize_t chunks              # in work: (chunks of a batch, chunk_stride), their gradients
    Py_ssize_t chunk_stride
    Py_ssize_t panels              # in work: (threads, panel_stride), of packed weights (tile.h)
    Py_ssize_t panel_stride        # 0: nothing is packed
    Py_ssize_t penalized           # 1: some layer has l1 or l2
    Py_ssize_t link                # codes.Activation that turns raw outputs into predictions
    Py_ssize_t loss                # codes.Loss
    Py_ssize_t optimizer           # codes.Optimizer
    Py_ssize_t nesterov
    double loss_parameter
    double momentum
    double rho
    double beta_1
    double beta_2
    double epsilon
    double weight_decay
    double clip_norm               # 0: off
    double clip_value              # 0: off

cdef struct Plan:
    const Layer* layers
    Py_ssize_t n_layers
    const Buffer* buffers
    Settings s
    Py_ssize_t seed                # of shuffles and dropout; 0 in prediction, which has neither
    bint shared                    # other threads read what one has written
    bint sparse                    # most inputs are zero
    void* panel                    # the calling thread's own
