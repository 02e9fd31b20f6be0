"""Derivatives of each row's outputs: by the inputs in forward and in reverse mode, second
derivatives by the inputs, and derivatives by the parameters.

Decisions
  a. A block of rows goes forward once. Its f'(z), the slopes, are computed once and serve all
     directions. In forward mode a direction is a change of the inputs, which is followed to the
     outputs; in reverse mode it is a combination of the outputs, whose gradient is followed to the
     inputs. The directions of all rows of a block are the rows of one matrix, so in both modes a
     layer is one GEMM with many rows.
  b. The Hessian of a network of affine maps and element-wise activations is the sum over layers of
     J' diag(g f''(z)) J, where J is the Jacobian of the layer's preactivation (forward mode, all
     directions) and g the gradient of the output by the layer's output (reverse mode, one
     direction). Forward over reverse mode would also follow all directions back, at twice the cost.
  c. The result of a row depends neither on other rows nor on the blocks: each element is one chain
     of additions in the order of the layer's inputs or outputs (tile.h, decision d).
"""

from libc.string cimport memcpy, memset

from fastnn_ext.activations cimport (
    has_second_derivative,
    scale_by_derivative,
    scale_by_second_derivative,
)
from fastnn_ext.codes cimport Activation, Derivative, Kind
from fastnn_ext.dense cimport copy_rows, multiply_by_weights
from fastnn_ext.network cimport add_or_copy, backward, forward, get_rows
from fastnn_ext.objective cimport BatchRows, compute_row_losses
from fastnn_ext.plan cimport Buffer, Layer, Plan
from fastnn_ext.prediction cimport apply_output_activation
from fastnn_ext.real cimport all_finite, real
from fastnn_ext.scale cimport multiply_by_factors
from fastnn_ext.threads cimport fn_swap
from fastnn_ext.tile cimport copy_row, multiply_add_packed

# Where a thread keeps its arrays, in elements from the start of its workspace. The slopes f'(z) and
# the curvatures, f''(z) times a gradient, have the layout of the values.
cdef struct DerivativeMemory:
    Py_ssize_t slopes
    Py_ssize_t curvatures
    Py_ssize_t directions          # for each buffer: (block rows * directions, stride)
    Py_ssize_t scaled              # (n_features, widest stride)
    Py_ssize_t hessians            # (block rows, n_features, stride of the inputs)

# The arguments of a call, shared by all threads. The arrays have the call's dtype `real`.
cdef struct DerivativeRequest:
    Py_ssize_t kind                # codes.Derivative
    const void* X                  # (n, n_features)
    const void* y                  # (n, n_targets), of the gradients of a loss; otherwise NULL
    const void* sample_weight      # (n,) or NULL
    const void* seeds              # (n, n_features or n_outputs), or NULL: the unit vectors
    Py_ssize_t n
    Py_ssize_t n_directions        # 1 with seeds, otherwise n_features or n_outputs
    Py_ssize_t output              # the output whose Hessian is computed
    bint check_finite
    Py_ssize_t block_rows          # most rows of a block
    Py_ssize_t block_directions    # most directions of a block; all of them for a Hessian
    DerivativeMemory memory
    void* out                      # (n, row_size), written
    Py_ssize_t row_size            # elements of the result of a row
    double* row_losses             # (n,), written if y is not NULL
    int failed                     # set if any thread finds an element that is not finite


cdef inline Py_ssize_t find_directions(
    const Plan* plan, const DerivativeRequest* request, Py_ssize_t buffer
) noexcept nogil:
    """Where the directions at a buffer begin in the workspace."""
    cdef Py_ssize_t rows = request.block_rows * request.block_directions
    return request.memory.directions + plan.buffers[buffer].column * rows


cdef inline real* get_directions(
    const Plan* plan, const DerivativeRequest* request, real* work, Py_ssize_t buffer
) noexcept nogil:
    """The directions at a buffer."""
    return work + find_directions(plan, request, buffer)


cdef inline Py_ssize_t get_output_buffer(const Plan* plan) noexcept nogil:
    """The index of the buffer of the raw outputs."""
    return plan.layers[plan.n_layers - 1].output


cdef inline void compute_slopes(
    const Plan* plan, const DerivativeRequest* request, real* work, Py_ssize_t rows
) noexcept nogil:
    """The slopes of all dense layers, and for a Hessian f''(z), for `rows` rows."""
    cdef const Layer* layer
    cdef const Buffer* y
    cdef const Buffer* saved
    cdef real* slopes
    cdef real* curvatures
    cdef Py_ssize_t index, i, n
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        if layer.kind != Kind.DENSE:
            continue
        y = &plan.buffers[layer.output]
        saved = &plan.buffers[layer.saved]
        n = rows * y.stride
        if layer.activation != Activation.LINEAR:
            slopes = work + request.memory.slopes + y.values
            for i in range(n):
                slopes[i] = <real> 1
            scale_by_derivative(layer.activation, <real> layer.parameter, slopes,
                                work + saved.values, n)
        if request.kind == Derivative.HESSIAN and has_second_derivative(layer.activation):
            curvatures = work + request.memory.curvatures + y.values
            for i in range(n):
                curvatures[i] = <real> 1
            scale_by_second_derivative(layer.activation, <real> layer.parameter, curvatures,
                                       work + saved.values, n)


cdef inline void scale_by_slopes(
    const Plan* plan, const DerivativeRequest* request, const Layer* layer, real* work,
    Py_ssize_t rows, Py_ssize_t directions
) noexcept nogil:
    """Multiply the directions at a dense layer's output by its slopes."""
    cdef const Buffer* y = &plan.buffers[layer.output]
    cdef real* t = get_directions(plan, request, work, layer.output)
    cdef const real* slopes = work + request.memory.slopes + y.values
    cdef Py_ssize_t _r, _d, i
    if layer.activation == Activation.LINEAR:
        return
    for _r in range(rows):
        for _d in range(directions):
            for i in range(y.stride):
                t[i] *= slopes[i]
            t += y.stride
        slopes += y.stride


cdef inline void scale_by_softmax(
    const Plan* plan, const DerivativeRequest* request, real* work, Py_ssize_t rows,
    Py_ssize_t directions
) noexcept nogil:
    """Multiply the directions t at the raw outputs by the derivative of softmax, p (t - p't) with
    the probabilities p. It is a symmetric matrix, the same in both modes."""
    cdef const Buffer* z = &plan.buffers[get_output_buffer(plan)]
    cdef const real* p = work + z.values
    cdef real* t = get_directions(plan, request, work, get_output_buffer(plan))
    cdef real mean
    cdef Py_ssize_t _r, _d, i
    if plan.s.output_activation != Activation.SOFTMAX:
        return
    for _r in range(rows):
        for _d in range(directions):
            mean = 0
            for i in range(z.width):
                mean += p[i] * t[i]
            for i in range(z.width):
                t[i] = p[i] * (t[i] - mean)
            t += z.stride
        p += z.stride


cdef inline void set_seeds(
    const Plan* plan, const DerivativeRequest* request, real* work, Py_ssize_t buffer,
    Py_ssize_t row, Py_ssize_t rows, Py_ssize_t first, Py_ssize_t directions
) noexcept nogil:
    """The directions at a buffer: `directions` unit vectors from `first` on for each of the rows,
    or the seeds of rows row..row + rows."""
    cdef const Buffer* x = &plan.buffers[buffer]
    cdef real* t = get_directions(plan, request, work, buffer)
    cdef Py_ssize_t r, d
    if request.seeds != NULL:
        copy_rows(t, x.stride, <const real*> request.seeds + row * x.width, x.width, x.width, rows)
        return
    memset(t, 0, rows * directions * x.stride * sizeof(real))
    for r in range(rows):
        for d in range(directions):
            t[(r * directions + d) * x.stride + first + d] = 1


cdef inline void add_curvature(
    const Plan* plan, const DerivativeRequest* request, const Layer* layer, real* work,
    Py_ssize_t rows
) noexcept nogil:
    """Add J' diag(curvatures) J of one dense layer to the Hessian of each row, where the columns of
    J are the directions at the layer's preactivation (decision b)."""
    cdef const Buffer* y = &plan.buffers[layer.output]
    cdef const real* t = get_directions(plan, request, work, layer.output)
    cdef const real* curvatures = work + request.memory.curvatures + y.values
    cdef real* scaled = work + request.memory.scaled
    cdef Py_ssize_t n = plan.s.n_features
    cdef Py_ssize_t stride = plan.buffers[0].stride
    cdef real* hessian = work + request.memory.hessians
    cdef Py_ssize_t _r, d, i
    for _r in range(rows):
        for d in range(n):
            for i in range(y.stride):
                scaled[d * y.stride + i] = t[d * y.stride + i] * curvatures[i]
        multiply_add_packed(hessian, stride, <const real*> hessian, stride, scaled, y.stride, 1, t,
                            y.stride, n, n, layer.n_out, True, False, <real*> plan.panel,
                            plan.s.panel_stride)
        t += n * y.stride
        curvatures += y.stride
        hessian += n * stride


cdef inline void write_parameter_derivatives(
    const Plan* plan, const Layer* layer, const real* X, const real* work, const real* dz,
    Py_ssize_t n_directions, Py_ssize_t rows, Py_ssize_t directions, real* out
) noexcept nogil:
    """The derivatives by one layer's parameters: dW = x dz', db = dz for each direction dz of a
    dense layer, ds = x dz of a scale layer.

    Reads dz (rows * directions, stride of the layer's output) and the layer's inputs; writes
    out (rows, n_directions, n_params), of which it is given the first direction.
    """
    cdef Py_ssize_t stride = plan.buffers[layer.output].stride
    cdef Py_ssize_t n_out = layer.n_out
    cdef Py_ssize_t x_stride, r, d, i, j
    cdef const real* x = get_rows(plan, X, work, layer.input, 0, &x_stride)
    cdef real* g
    for r in range(rows):
        for d in range(directions):
            g = out + (r * n_directions + d) * plan.s.n_params + layer.weights
            if layer.kind == Kind.SCALE:
                for j in range(n_out):
                    g[j] = x[r * x_stride + j] * dz[j]
                dz += stride
                continue
            for i in range(layer.n_in):
                for j in range(n_out):
                    g[i * n_out + j] = x[r * x_stride + i] * dz[j]
            if layer.bias >= 0:
                copy_row(g + layer.bias - layer.weights, dz, n_out)
            dz += stride


cdef inline void follow_forward(
    const Plan* plan, const DerivativeRequest* request, const real* params, real* work,
    Py_ssize_t rows, Py_ssize_t first, Py_ssize_t directions
) noexcept nogil:
    """The directions at all buffers, from those at the inputs; for a Hessian, `add_curvature` of
    each layer is applied on the way. Unit vectors need no product with the first layer's weights:
    its rows are the result."""
    cdef const Layer* layer
    cdef const Buffer* x
    cdef const Buffer* y
    cdef real* from_t
    cdef real* t
    cdef Py_ssize_t index, r, n = rows * directions
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        x = &plan.buffers[layer.input]
        y = &plan.buffers[layer.output]
        from_t = get_directions(plan, request, work, layer.input)
        t = get_directions(plan, request, work, layer.output)
        if layer.kind == Kind.DENSE:
            if layer.input == 0 and request.seeds == NULL:
                for r in range(rows):
                    copy_rows(t + r * directions * y.stride, y.stride,
                              params + layer.weights + first * layer.n_out, layer.n_out,
                              layer.n_out, directions)
            else:
                multiply_by_weights(plan, layer, params, <const real*> NULL, from_t, x.stride, t,
                                    y.stride, n, False)
            if request.kind == Derivative.HESSIAN and has_second_derivative(layer.activation):
                add_curvature(plan, request, layer, work, rows)
            scale_by_slopes(plan, request, layer, work, rows, directions)
            continue
        if layer.kind == Kind.SCALE:
            multiply_by_factors(params + layer.weights, from_t, x.stride, t, y.stride, n, y.width,
                                False)
            continue
        memcpy(t, from_t, n * y.stride * sizeof(real))
        if layer.kind == Kind.ADD:
            add_or_copy(t, get_directions(plan, request, work, layer.skip), n * y.stride, True)


cdef inline void follow_back(
    const Plan* plan, const DerivativeRequest* request, const real* params, const real* X,
    real* work, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t first, Py_ssize_t directions
) noexcept nogil:
    """The directions at all buffers, from those at the raw outputs. For a Hessian, the curvatures
    are multiplied by the gradient on the way; derivatives by the parameters are written."""
    cdef const Layer* layer
    cdef const Buffer* x
    cdef const Buffer* y
    cdef real* into
    cdef real* t
    cdef const real* begin
    cdef real* curvatures
    cdef Py_ssize_t index, i, n = rows * directions
    for index in range(plan.n_layers - 1, -1, -1):
        layer = &plan.layers[index]
        x = &plan.buffers[layer.input]
        y = &plan.buffers[layer.output]
        into = get_directions(plan, request, work, layer.input)
        t = get_directions(plan, request, work, layer.output)
        if layer.kind == Kind.DENSE:
            if request.kind == Derivative.HESSIAN and has_second_derivative(layer.activation):
                curvatures = work + request.memory.curvatures + y.values
                for i in range(rows * y.stride):
                    curvatures[i] *= t[i]
            scale_by_slopes(plan, request, layer, work, rows, directions)
            if request.kind == Derivative.PARAMETERS:
                write_parameter_derivatives(plan, layer, X, work, t, request.n_directions, rows,
                                            directions, <real*> request.out + (
                                                row * request.n_directions + first)
                                            * plan.s.n_params)
            if layer.input == 0 and request.kind != Derivative.REVERSE:
                continue
            begin = into if layer.adds_to_input else NULL
            multiply_add_packed(into, x.stride, begin, x.stride, t, y.stride, 1,
                                params + layer.weights, layer.n_out, n, layer.n_in, layer.n_out,
                                True, plan.multithreaded, <real*> plan.panel, plan.s.panel_stride)
            continue
        if layer.kind == Kind.SCALE:
            if request.kind == Derivative.PARAMETERS:
                write_parameter_derivatives(plan, layer, X, work, t, request.n_directions, rows,
                                            directions, <real*> request.out + (
                                                row * request.n_directions + first)
                                            * plan.s.n_params)
            multiply_by_factors(params + layer.weights, t, y.stride, into, x.stride, n, y.width,
                                layer.adds_to_input)
            continue
        add_or_copy(into, t, n * y.stride, layer.adds_to_input)
        if layer.kind == Kind.ADD:
            add_or_copy(get_directions(plan, request, work, layer.skip), t, n * y.stride,
                        layer.adds_to_skip)


cdef inline void add_softmax_curvature(
    const Plan* plan, const DerivativeRequest* request, real* work, Py_ssize_t rows
) noexcept nogil:
    """Add J' S J to the Hessian of each row, where the columns of J are the directions t at the raw
    outputs, and S holds the second derivatives of the probability p_k by them:
    t' S u = p_k ((t_k - p't)(u_k - p'u) - sum_j p_j t_j u_j + (p't)(p'u))."""
    cdef const Buffer* z = &plan.buffers[get_output_buffer(plan)]
    cdef const real* p = work + z.values
    cdef const real* t = get_directions(plan, request, work, get_output_buffer(plan))
    cdef real* means = work + request.memory.scaled
    cdef Py_ssize_t n = plan.s.n_features
    cdef Py_ssize_t k = request.output
    cdef Py_ssize_t stride = plan.buffers[0].stride
    cdef real* hessian = work + request.memory.hessians
    cdef real product
    cdef Py_ssize_t _r, d, e, j
    for _r in range(rows):
        for d in range(n):
            means[d] = 0
            for j in range(z.width):
                means[d] += p[j] * t[d * z.stride + j]
        for d in range(n):
            for e in range(n):
                product = 0
                for j in range(z.width):
                    product += p[j] * t[d * z.stride + j] * t[e * z.stride + j]
                hessian[d * stride + e] += p[k] * (
                    (t[d * z.stride + k] - means[d]) * (t[e * z.stride + k] - means[e])
                    - product + means[d] * means[e])
        p += z.stride
        t += n * z.stride
        hessian += n * stride


cdef inline void write_hessians(
    const Plan* plan, const DerivativeRequest* request, const real* work, Py_ssize_t row,
    Py_ssize_t rows
) noexcept nogil:
    """Write the Hessians of rows row..row + rows, exactly symmetric."""
    cdef Py_ssize_t n = plan.s.n_features
    cdef Py_ssize_t stride = plan.buffers[0].stride
    cdef const real* hessian = work + request.memory.hessians
    cdef real* out = <real*> request.out + row * request.row_size
    cdef Py_ssize_t _r, d, e
    for _r in range(rows):
        for d in range(n):
            for e in range(n):
                out[d * n + e] = hessian[d * stride + e if d <= e else e * stride + d]
        hessian += n * stride
        out += n * n


cdef inline void write_directions(
    const Plan* plan, const DerivativeRequest* request, const real* work, Py_ssize_t row,
    Py_ssize_t rows, Py_ssize_t first, Py_ssize_t directions
) noexcept nogil:
    """Write the directions at the outputs (forward mode) or at the inputs (reverse mode) of rows
    row..row + rows, for `directions` directions from `first` on."""
    cdef bint is_forward = request.kind == Derivative.FORWARD
    cdef Py_ssize_t end = get_output_buffer(plan) if is_forward else 0
    cdef const Buffer* x = &plan.buffers[end]
    cdef const real* t = work + find_directions(plan, request, end)
    cdef real* out = <real*> request.out + row * request.row_size
    cdef Py_ssize_t _r, d, i
    for _r in range(rows):
        if is_forward:
            for d in range(directions):
                for i in range(x.width):
                    out[i * request.n_directions + first + d] = t[d * x.stride + i]
        else:
            copy_rows(out + first * x.width, x.width, t, x.stride, x.width, directions)
        t += directions * x.stride
        out += request.row_size


cdef inline void compute_directions(
    const Plan* plan, const DerivativeRequest* request, const real* params, const real* X,
    real* work, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t first, Py_ssize_t directions
) noexcept nogil:
    """Write the results of rows row..row + rows for `directions` directions from `first` on. A
    Hessian follows one output back, and then all features forward."""
    cdef bint is_hessian = request.kind == Derivative.HESSIAN
    cdef Py_ssize_t raw = get_output_buffer(plan)
    if request.kind != Derivative.FORWARD:
        set_seeds(plan, request, work, raw, row, rows, request.output if is_hessian else first,
                  1 if is_hessian else directions)
        scale_by_softmax(plan, request, work, rows, 1 if is_hessian else directions)
        follow_back(plan, request, params, X, work, row, rows, first,
                    1 if is_hessian else directions)
    if is_hessian:
        memset(work + request.memory.hessians, 0,
               rows * plan.s.n_features * plan.buffers[0].stride * sizeof(real))
    if request.kind == Derivative.FORWARD or is_hessian:
        set_seeds(plan, request, work, 0, row, rows, first, directions)
        follow_forward(plan, request, params, work, rows, first, directions)
    if is_hessian:
        if plan.s.output_activation == Activation.SOFTMAX:
            add_softmax_curvature(plan, request, work, rows)
        write_hessians(plan, request, work, row, rows)
    elif request.kind == Derivative.FORWARD:
        scale_by_softmax(plan, request, work, rows, directions)
    if request.kind == Derivative.FORWARD or request.kind == Derivative.REVERSE:
        write_directions(plan, request, work, row, rows, first, directions)


cdef inline void compute_loss_gradients(
    const Plan* plan, const DerivativeRequest* request, const real* params, const real* X,
    real* work, Py_ssize_t row, Py_ssize_t rows
) noexcept nogil:
    """Write the gradients of the loss of each of rows row..row + rows by the parameters. The plan
    has gradients of a loss."""
    cdef const Layer* layer
    cdef const Buffer* z = &plan.buffers[get_output_buffer(plan)]
    cdef BatchRows batch = BatchRows(
        NULL, <const real*> request.y + row * plan.s.n_targets, NULL, 1)
    cdef Py_ssize_t index
    if request.sample_weight != NULL:
        batch.sample_weight = <const real*> request.sample_weight + row
    compute_row_losses(plan, &batch, work + z.values, work + z.gradient, z.stride,
                       request.row_losses + row, rows)
    backward(plan, params, work, 0, rows, 0, 0, False)
    for index in range(plan.n_layers):
        layer = &plan.layers[index]
        if layer.weights >= 0:
            write_parameter_derivatives(
                plan, layer, X, work, work + plan.buffers[layer.output].gradient, 1, rows, 1,
                <real*> request.out + row * request.row_size)


cdef inline void differentiate_rows(
    const Plan* plan, const real* params, real* work, DerivativeRequest* request, int thread,
    int team_size
) noexcept nogil:
    """Differentiate the thread's part of the rows, block by block.

    Reads params (n_params,) and the arrays of the request; writes the thread's rows of request.out
    and the thread's workspace `work`.
    """
    cdef Plan thread_plan = plan[0]
    cdef const Buffer* z = &plan.buffers[get_output_buffer(plan)]
    cdef Py_ssize_t n = request.n
    cdef Py_ssize_t row = n // team_size * thread + n % team_size * thread // team_size
    cdef Py_ssize_t last = (
        n // team_size * (thread + 1) + n % team_size * (thread + 1) // team_size)
    cdef const real* X
    cdef Py_ssize_t rows, first
    thread_plan.panel = work + plan.s.panels
    while row < last:
        rows = min(last - row, request.block_rows)
        X = <const real*> request.X + row * plan.s.n_features
        if request.check_finite and not all_finite(X, rows * plan.s.n_features):
            fn_swap(&request.failed, True)
            return
        forward(&thread_plan, params, X, work, 0, rows, 0, 0, False, False)
        if request.y != NULL:
            compute_loss_gradients(&thread_plan, request, params, X, work, row, rows)
        else:
            apply_output_activation(plan, work + z.values, z.stride, rows)
            compute_slopes(plan, request, work, rows)
            first = 0
            while first < request.n_directions:
                compute_directions(&thread_plan, request, params, X, work, row, rows, first,
                                   min(request.n_directions - first, request.block_directions))
                first += request.block_directions
        row += rows
