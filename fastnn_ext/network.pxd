"""One microbatch through all layers, forward and back.

A layer reads and writes the buffers whose indices the plan gives; skip connections and dropout are
layers of the plan like any other. Parameters are read here and never changed: see parameters.pxd.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from fastnn_ext.activations cimport scale_by_derivative
from fastnn_ext.codes cimport Kind, Purpose
from fastnn_ext.dense cimport copy_rows, dense_forward, dense_input_gradient
from fastnn_ext.plan cimport Buffer, Layer, Plan
from fastnn_ext.random cimport draw, extend_key, make_key
from fastnn_ext.real cimport real
from fastnn_ext.scale cimport multiply_by_factors
from fastnn_ext.tile cimport copy_row


cdef inline uint64_t make_dropout_key(
    const Plan* plan, const Layer* layer, Py_ssize_t step
) noexcept nogil:
    """The key of one layer's dropout mask in one step of the network."""
    return extend_key(make_key(plan.seed, Purpose.DROPOUT_MASK, layer.stream), step)


cdef inline void apply_dropout(
    const Plan* plan, const Layer* layer, const real* x, real* y, Py_ssize_t stride,
    Py_ssize_t rows, Py_ssize_t batch_row, Py_ssize_t step, bint accumulate
) noexcept nogil:
    """y = x / (1 - rate) for units that are kept, 0 for the others; y += that if `accumulate`.

    Reads x (rows, stride) and writes y (rows, stride): outputs in the forward pass, gradients in
    the backward pass. The draw of a unit is indexed by its position in the batch, in which the
    first row here is row `batch_row`.
    """
    cdef uint64_t key = make_dropout_key(plan, layer, step)
    cdef uint64_t threshold = <uint64_t> (layer.rate * 4294967296.0)
    cdef real scale = <real> (1 / (1 - layer.rate))
    cdef uint64_t unit
    cdef Py_ssize_t r, i
    for r in range(rows):
        unit = <uint64_t> (batch_row + r) * layer.n_out
        for i in range(layer.n_out):
            y[r * stride + i] = (y[r * stride + i] if accumulate else <real> 0) + (
                x[r * stride + i] * scale if (draw(key, unit + i) >> 32) >= threshold else <real> 0)


cdef inline void add_or_copy(
    real* y, const real* x, Py_ssize_t n, bint accumulate
) noexcept nogil:
    """y (n,) = x, or y += x if `accumulate`."""
    cdef Py_ssize_t i
    if accumulate:
        for i in range(n):
            y[i] += x[i]
    else:
        memcpy(y, x, n * sizeof(real))


cdef inline const real* get_rows(
    const Plan* plan, const real* X, const real* work, Py_ssize_t buffer, Py_ssize_t first,
    Py_ssize_t* stride
) noexcept nogil:
    """The rows of a buffer from `first` on; writes their stride. Buffer 0, the inputs, is X if that
    is not NULL: then inputs are read in place. Sparse inputs have no rows to point to: NULL."""
    cdef const Buffer* x = &plan.buffers[buffer]
    if buffer == 0 and (X != NULL or plan.inputs != NULL):
        stride[0] = x.width
        return X
    stride[0] = x.stride
    return work + x.values + first * x.stride


cdef inline void forward(
    const Plan* plan, const real* params, const real* X, real* work,
    Py_ssize_t first, Py_ssize_t last, Py_ssize_t batch_row, Py_ssize_t step, bint dropout_active,
    bint preactivation_ready
) noexcept nogil:
    """Rows first..last of the microbatch through all layers.

    Reads params (n_params,) and the inputs: X (last - first, n_features) or, if X is NULL, the
    gathered rows in work or the plan's sparse inputs. Writes the values of those rows in all other
    buffers. The first row is row `batch_row` of its batch; with `step`, it selects the dropout
    masks. `preactivation_ready`: see `dense_forward`; it applies to the first layer.
    """
    cdef const Layer* layer
    cdef const Buffer* out
    cdef const real* x
    cdef const real* skip
    cdef real* y
    cdef Py_ssize_t index, r, i, stride, skip_stride
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        x = get_rows(plan, X, work, layer.input, first, &stride)
        if layer.kind == Kind.DENSE:
            dense_forward(plan, layer, params, x, stride, work, first, last,
                          preactivation_ready and index == 0)
            continue
        out = &plan.buffers[layer.output]
        y = work + out.values + first * out.stride
        if layer.kind == Kind.SCALE:
            multiply_by_factors(params + layer.weights, x, stride, y, out.stride, last - first,
                                out.width, False)
            continue
        if layer.kind == Kind.DROPOUT and dropout_active:
            apply_dropout(plan, layer, x, y, out.stride, last - first, batch_row, step, False)
            continue
        copy_rows(y, out.stride, x, stride, out.width, last - first)
        if layer.kind == Kind.ADD:
            skip = get_rows(plan, X, work, layer.skip, first, &skip_stride)
            for r in range(last - first):
                for i in range(out.width):
                    y[r * out.stride + i] += skip[r * skip_stride + i]


cdef inline void backward(
    const Plan* plan, const real* params, real* work, Py_ssize_t first, Py_ssize_t last,
    Py_ssize_t batch_row, Py_ssize_t step, bint dropout_active
) noexcept nogil:
    """The gradients of all buffers for rows first..last, from the gradient of the last buffer.

    Reads params (n_params,) and the values in work; writes the gradients in work. `batch_row` and
    `step` select the dropout masks, as in `forward`.
    """
    cdef const Layer* layer
    cdef const Buffer* x
    cdef const Buffer* y
    cdef const Buffer* skip
    cdef const Buffer* saved
    cdef real* dy
    cdef Py_ssize_t index, n
    for index in range(plan.n_layers - 1, -1, -1):
        layer = &plan.layers[index]
        x = &plan.buffers[layer.input]
        y = &plan.buffers[layer.output]
        dy = work + y.gradient + first * y.stride
        n = (last - first) * y.stride
        if y.gradient < 0:
            continue
        if layer.kind == Kind.DENSE:
            saved = &plan.buffers[layer.saved]
            scale_by_derivative(layer.activation, <real> layer.parameter, dy,
                                work + saved.values + first * saved.stride, n)
            if x.gradient >= 0:
                dense_input_gradient(plan, layer, params, work, first, last)
            continue
        if x.gradient >= 0:
            if layer.kind == Kind.SCALE:
                multiply_by_factors(params + layer.weights, dy, y.stride,
                                    work + x.gradient + first * x.stride, x.stride, last - first,
                                    y.width, layer.adds_to_input)
            elif layer.kind == Kind.DROPOUT and dropout_active:
                apply_dropout(plan, layer, dy, work + x.gradient + first * x.stride, y.stride,
                              last - first, batch_row, step, layer.adds_to_input)
            else:
                add_or_copy(work + x.gradient + first * x.stride, dy, n, layer.adds_to_input)
        if layer.kind == Kind.ADD:
            skip = &plan.buffers[layer.skip]
            if skip.gradient >= 0:
                add_or_copy(work + skip.gradient + first * skip.stride, dy, n, layer.adds_to_skip)


cdef inline void gather(
    const Plan* plan, const real* X, const Py_ssize_t* permutation, real* work,
    Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """Copy rows permutation[first..last] of X into rows first..last of the input buffer in work. Of
    sparse inputs only the numbers of the rows are copied."""
    cdef const Buffer* x = &plan.buffers[0]
    cdef Py_ssize_t r
    if plan.inputs != NULL:
        memcpy(plan.inputs.rows + first, permutation + first, (last - first) * sizeof(Py_ssize_t))
        return
    for r in range(first, last):
        copy_row(work + x.values + r * x.stride, X + permutation[r] * x.width, x.width)
