"""Training on derivatives: the gradient of the mean squared error of a network's Jacobian.

W. Czarnecki and others, "Sobolev Training for Neural Networks", NeurIPS 2017, equation 1.

Decisions
  a. The Jacobian of a row comes from forward mode: one direction t for each feature. Where tz is
     the direction at a preactivation, t = f'(z) tz at the layer's output. Its gradient is followed
     back through the same layers; as f'(z) depends on z, each layer also passes a gradient
     sum_d t'_d tz_d f''(z) to the values. Both give gradients of the weights.
  b. A thread computes the gradient of a shard of the batch (parameters.pxd, decision c), some rows
     at a time, in a region of the workspace of its own. So there is one barrier less to think of,
     and results do not depend on the number of threads.
"""

from libc.string cimport memcpy, memset

from fastnn_ext.activations cimport scale_by_derivative, scale_by_second_derivative
from fastnn_ext.codes cimport Kind
from fastnn_ext.dense cimport copy_rows, multiply_by_weights
from fastnn_ext.network cimport add_or_copy
from fastnn_ext.objective cimport BatchRows, get_index, get_weight
from fastnn_ext.plan cimport Buffer, Layer, Plan
from fastnn_ext.real cimport real
from fastnn_ext.tile cimport multiply_add, multiply_add_packed

# The arrays of a thread, for the columns of all buffers side by side. Those for directions have
# rows * n_features rows, the others one row for each row of the block.
cdef enum Part:
    DIRECTIONS                     # t
    PREACTIVATIONS                 # tz
    GRADIENTS                      # of the loss by t
    VALUE_GRADIENTS                # of the loss by the layer's values
    SLOPES                         # f'(z)
    CURVATURES                     # f''(z)


cdef inline real* get_part(
    const Plan* plan, const real* dtype_tag, Part part, Py_ssize_t buffer
) noexcept nogil:
    """A part of the thread's region for one buffer. `dtype_tag` only selects the dtype."""
    cdef const Buffer* last = &plan.buffers[plan.n_buffers - 1]
    cdef Py_ssize_t width = last.column + last.stride
    cdef Py_ssize_t rows = plan.s.derivative_rows
    cdef Py_ssize_t directions = rows * plan.s.n_features
    cdef Py_ssize_t column = plan.buffers[buffer].column
    cdef real* region = <real*> plan.panel + plan.s.panel_stride
    if part < VALUE_GRADIENTS:
        return region + part * directions * width + directions * column
    return (region + VALUE_GRADIENTS * directions * width
            + (part - VALUE_GRADIENTS) * rows * width + rows * column)


cdef inline void follow_directions(
    const Plan* plan, const real* params, const real* work, Py_ssize_t row, Py_ssize_t rows
) noexcept nogil:
    """The slopes, curvatures and directions of all layers for rows row..row + rows of the
    workspace, from the unit vectors at the inputs."""
    cdef const Layer* layer
    cdef const Buffer* x
    cdef const Buffer* y
    cdef const Buffer* saved
    cdef Py_ssize_t n = plan.s.n_features
    cdef Py_ssize_t index, r, _r, d, _d, i
    cdef real* t = get_part(plan, params, DIRECTIONS, 0)
    cdef real* tz
    cdef real* slopes
    cdef real* curvatures
    x = &plan.buffers[0]
    memset(t, 0, rows * n * x.stride * sizeof(real))
    for r in range(rows):
        for d in range(n):
            t[(r * n + d) * x.stride + d] = 1
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        x = &plan.buffers[layer.input]
        y = &plan.buffers[layer.output]
        t = get_part(plan, params, DIRECTIONS, layer.output)
        if layer.kind != Kind.DENSE:
            memcpy(t, get_part(plan, params, DIRECTIONS, layer.input),
                   rows * n * y.stride * sizeof(real))
            if layer.kind == Kind.ADD:
                add_or_copy(t, get_part(plan, params, DIRECTIONS, layer.skip), rows * n * y.stride,
                            True)
            continue
        saved = &plan.buffers[layer.saved]
        slopes = get_part(plan, params, SLOPES, layer.output)
        curvatures = get_part(plan, params, CURVATURES, layer.output)
        for i in range(rows * y.stride):
            slopes[i] = curvatures[i] = <real> 1
        scale_by_derivative(layer.activation, <real> layer.parameter, slopes,
                            work + saved.values + row * saved.stride, rows * y.stride)
        scale_by_second_derivative(layer.activation, <real> layer.parameter, curvatures,
                                   work + saved.values + row * saved.stride, rows * y.stride)
        tz = get_part(plan, params, PREACTIVATIONS, layer.output)
        multiply_by_weights(plan, layer, params, <const real*> NULL,
                            get_part(plan, params, DIRECTIONS, layer.input), x.stride, tz,
                            y.stride, rows * n, False)
        for _r in range(rows):
            for _d in range(n):
                for i in range(y.stride):
                    t[i] = tz[i] * slopes[i]
                t += y.stride
                tz += y.stride
            slopes += y.stride


cdef inline void compare_jacobians(
    const Plan* plan, const BatchRows* batch, const real* targets, const real* dtype_tag,
    Py_ssize_t rows, double* row_losses
) noexcept nogil:
    """Add the error of the Jacobian to the weighted loss of each row, and set its gradient by the
    directions at the outputs.

    Reads targets (n, n_outputs, n_features), indexed as the rows of y are; adds to
    row_losses (rows,).
    """
    cdef Py_ssize_t output = plan.layers[plan.n_layers - 1].output
    cdef const Buffer* y = &plan.buffers[output]
    cdef Py_ssize_t n = plan.s.n_features
    cdef const real* t = get_part(plan, dtype_tag, DIRECTIONS, output)
    cdef real* g = get_part(plan, dtype_tag, GRADIENTS, output)
    cdef const real* target
    cdef double mean_factor = plan.s.gradient_weight / (n * y.width)
    cdef double weight, total
    cdef real scale, error
    cdef Py_ssize_t r, d, k
    memset(get_part(plan, dtype_tag, VALUE_GRADIENTS, output), 0, rows * y.stride * sizeof(real))
    memset(g, 0, rows * n * y.stride * sizeof(real))
    for r in range(rows):
        target = targets + get_index(batch, r) * n * y.width
        weight = get_weight(batch, r, dtype_tag) * mean_factor
        scale = <real> (2 * weight / batch.weight_sum)
        total = 0
        for d in range(n):
            for k in range(y.width):
                error = t[k] - target[k * n + d]
                total += <double> error * error
                g[k] = scale * error
            t += y.stride
            g += y.stride
        row_losses[r] += weight * total


cdef inline void scale_gradients(
    const Plan* plan, const Layer* layer, const real* dtype_tag, Py_ssize_t rows
) noexcept nogil:
    """From the gradients by a dense layer's outputs to those by its preactivations (decision a)."""
    cdef const Buffer* y = &plan.buffers[layer.output]
    cdef real* g = get_part(plan, dtype_tag, GRADIENTS, layer.output)
    cdef real* dz = get_part(plan, dtype_tag, VALUE_GRADIENTS, layer.output)
    cdef const real* tz = get_part(plan, dtype_tag, PREACTIVATIONS, layer.output)
    cdef const real* slopes = get_part(plan, dtype_tag, SLOPES, layer.output)
    cdef const real* curvatures = get_part(plan, dtype_tag, CURVATURES, layer.output)
    cdef Py_ssize_t _r, _d, i
    for _r in range(rows):
        for i in range(y.stride):
            dz[i] *= slopes[i]
        for _d in range(plan.s.n_features):
            for i in range(y.stride):
                dz[i] += g[i] * tz[i] * curvatures[i]
            for i in range(y.stride):
                g[i] *= slopes[i]
            g += y.stride
            tz += y.stride
        dz += y.stride
        slopes += y.stride
        curvatures += y.stride


cdef inline void add_products(
    const Layer* layer, const real* x, Py_ssize_t x_stride, const real* dz, Py_ssize_t stride,
    Py_ssize_t n, real* g
) noexcept nogil:
    """g (n_in, n_out) += x' dz, over n rows."""
    multiply_add(g, layer.n_out, <const real*> g, layer.n_out, x, 1, x_stride, dz, stride,
                 layer.n_in, layer.n_out, n, False, False, <real*> NULL)


cdef inline void pass_back(
    const Plan* plan, const Layer* layer, const real* params, Part part, Py_ssize_t n
) noexcept nogil:
    """dx = dz W', or dx += dz W' if `layer.adds_to_input`, for n rows of a part."""
    cdef const Buffer* x = &plan.buffers[layer.input]
    cdef const Buffer* y = &plan.buffers[layer.output]
    cdef real* dx = get_part(plan, params, part, layer.input)
    multiply_add_packed(dx, x.stride, <const real*> dx if layer.adds_to_input else NULL, x.stride,
                        get_part(plan, params, part, layer.output), y.stride, 1,
                        params + layer.weights, layer.n_out, n, layer.n_in, layer.n_out, True,
                        False, <real*> plan.panel, plan.s.panel_stride)


cdef inline void pass_through(
    const Plan* plan, const Layer* layer, const real* dtype_tag, Part part, Py_ssize_t n
) noexcept nogil:
    """The same for a layer without weights, which passes the gradient on unchanged."""
    cdef const real* dy = get_part(plan, dtype_tag, part, layer.output)
    cdef Py_ssize_t size = n * plan.buffers[layer.output].stride
    add_or_copy(get_part(plan, dtype_tag, part, layer.input), dy, size, layer.adds_to_input)
    if layer.kind == Kind.ADD:
        add_or_copy(get_part(plan, dtype_tag, part, layer.skip), dy, size, layer.adds_to_skip)


cdef inline void follow_gradients(
    const Plan* plan, const real* params, const real* work, Py_ssize_t row, Py_ssize_t rows,
    real* gradient
) noexcept nogil:
    """Follow the gradients of rows row..row + rows of the workspace back through all layers, and
    add those of the parameters to gradient (n_params,)."""
    cdef const Layer* layer
    cdef const Buffer* x
    cdef const Buffer* y
    cdef real* dz
    cdef Py_ssize_t n = rows * plan.s.n_features
    cdef Py_ssize_t index, r, i
    for index in range(plan.n_layers - 1, -1, -1):
        layer = &plan.layers[index]
        x = &plan.buffers[layer.input]
        y = &plan.buffers[layer.output]
        if layer.kind != Kind.DENSE:
            pass_through(plan, layer, params, GRADIENTS, n)
            pass_through(plan, layer, params, VALUE_GRADIENTS, rows)
            continue
        scale_gradients(plan, layer, params, rows)
        dz = get_part(plan, params, VALUE_GRADIENTS, layer.output)
        add_products(layer, get_part(plan, params, DIRECTIONS, layer.input), x.stride,
                     get_part(plan, params, GRADIENTS, layer.output), y.stride, n,
                     gradient + layer.weights)
        add_products(layer, work + x.values + row * x.stride, x.stride, dz, y.stride, rows,
                     gradient + layer.weights)
        if layer.bias >= 0:
            for r in range(rows):
                for i in range(layer.n_out):
                    gradient[layer.bias + i] += dz[r * y.stride + i]
        if layer.input != 0:
            pass_back(plan, layer, params, GRADIENTS, n)
            pass_back(plan, layer, params, VALUE_GRADIENTS, rows)


cdef inline void add_jacobian_gradient(
    const Plan* plan, const BatchRows* batch, const real* targets, const real* params,
    const real* work, Py_ssize_t first, Py_ssize_t last, real* gradient, double* row_losses
) noexcept nogil:
    """Add the error of the Jacobian of rows first..last of the workspace, whose values are known,
    to their row_losses (last - first,), and its gradient to gradient (n_params,).

    `batch` begins with row `first`. Uses the thread's region of the workspace.
    """
    cdef BatchRows rows = batch[0]
    cdef Py_ssize_t row = first
    cdef Py_ssize_t size
    while row < last:
        size = min(last - row, plan.s.derivative_rows)
        follow_directions(plan, params, work, row, size)
        compare_jacobians(plan, &rows, targets, params, size, row_losses + (row - first))
        follow_gradients(plan, params, work, row, size, gradient)
        rows.permutation += size
        row += size
