"""Activations: each formula with its first and second derivative next to it, and the loops that
apply them.

Decisions
  a. Formulas are scalar and have no branches, so that the compiler vectorizes the loops. The
     activation is selected outside the loop: inside, the selection costs ten times the work itself.
  b. A derivative is computed from the output y, which the forward pass keeps anyway. Only silu,
     gelu and mish need the input z; for them the plan keeps it (`DERIVATIVE_FROM_INPUT` in
     fastnn/_engine/lowering.py).
  c. Comparisons propagate NaN (relu(NaN) is NaN): a network that diverges must show it in its loss.
  d. Constants are cast to `real`, integers too: Cython writes a bare 1 as 1.0, and the formula
     would be computed in double, at half the speed. A test checks the machine code for this.
"""

from fastnn_ext.codes cimport Activation
from fastnn_ext.real cimport (
    abs_,
    erf_,
    exp_,
    expm1_,
    fma_,
    larger,
    log1p_,
    real,
    sign,
    tanh_,
)


cdef inline real step(real z) noexcept nogil:
    return <real> 1 if z > 0 else (<real> 0 if z <= 0 else z)


cdef inline real sigmoid(real z) noexcept nogil:
    return <real> 1 / (<real> 1 + exp_(-z))


cdef inline real sigmoid_derivative(real y) noexcept nogil:
    return y * (<real> 1 - y)


cdef inline real sigmoid_second_derivative(real y) noexcept nogil:
    return y * (<real> 1 - y) * (<real> 1 - <real> 2 * y)


cdef inline real tanh_derivative(real y) noexcept nogil:
    return <real> 1 - y * y


cdef inline real tanh_second_derivative(real y) noexcept nogil:
    return <real> -2 * y * (<real> 1 - y * y)


cdef inline real relu(real z) noexcept nogil:
    return larger(z, 0)


cdef inline real relu_derivative(real y) noexcept nogil:
    return <real> 1 if y > 0 else <real> 0


cdef inline real leaky_relu(real z, real slope) noexcept nogil:
    return z if z > 0 else slope * z


cdef inline real leaky_relu_derivative(real y, real slope) noexcept nogil:
    return <real> 1 if y > 0 else slope


cdef inline real elu(real z, real alpha) noexcept nogil:
    return z if z > 0 else alpha * expm1_(z)


cdef inline real elu_derivative(real y, real alpha) noexcept nogil:
    return <real> 1 if y > 0 else y + alpha


cdef inline real elu_second_derivative(real y, real alpha) noexcept nogil:
    return <real> 0 if y > 0 else y + alpha


# The fixed point of G. Klambauer and others, NeurIPS 2017, equation 14.
cdef inline real selu(real z) noexcept nogil:
    return <real> 1.0507009873554805 * elu(z, <real> 1.6732632423543772)


cdef inline real selu_derivative(real y) noexcept nogil:
    return <real> 1.0507009873554805 if y > 0 else y + <real> 1.7580993408473766


cdef inline real selu_second_derivative(real y) noexcept nogil:
    return <real> 0 if y > 0 else y + <real> 1.7580993408473766


cdef inline real softplus(real z) noexcept nogil:
    return larger(z, 0) + log1p_(exp_(-abs_(z)))


cdef inline real softplus_derivative(real y) noexcept nogil:
    return -expm1_(-y)


cdef inline real softplus_second_derivative(real y) noexcept nogil:
    return -expm1_(-y) * exp_(-y)


cdef inline real softsign(real z) noexcept nogil:
    return z / (<real> 1 + abs_(z))


cdef inline real softsign_derivative(real y) noexcept nogil:
    return (<real> 1 - abs_(y)) * (<real> 1 - abs_(y))


cdef inline real softsign_second_derivative(real y) noexcept nogil:
    cdef real rest = <real> 1 - abs_(y)
    return <real> -2 * sign(y) * rest * rest * rest


cdef inline real silu(real z) noexcept nogil:
    return z * sigmoid(z)


cdef inline real silu_derivative(real z) noexcept nogil:
    cdef real s = sigmoid(z)
    return s * (<real> 1 + z * (<real> 1 - s))


cdef inline real silu_second_derivative(real z) noexcept nogil:
    cdef real s = sigmoid(z)
    return s * (<real> 1 - s) * (<real> 2 + z * (<real> 1 - <real> 2 * s))


# P(N <= z) of a standard normal N.
cdef inline real normal_cdf(real z) noexcept nogil:
    return <real> 0.5 * (<real> 1 + erf_(z * <real> 0.7071067811865476))


cdef inline real gelu(real z) noexcept nogil:
    return z * normal_cdf(z)


cdef inline real gelu_derivative(real z) noexcept nogil:
    return fma_(z * <real> 0.3989422804014327, exp_(<real> -0.5 * z * z), normal_cdf(z))


cdef inline real gelu_second_derivative(real z) noexcept nogil:
    return <real> 0.3989422804014327 * exp_(<real> -0.5 * z * z) * (<real> 2 - z * z)


# tanh(softplus(z)) = n / (n + 2) with n = e**z * (e**z + 2); above z = 20 it rounds to 1 in both
# precisions.
cdef inline real mish_gate(real z) noexcept nogil:
    cdef real e = exp_(<real> 20 if z > 20 else z)
    cdef real n = e * (e + <real> 2)
    return n / (n + <real> 2)


cdef inline real mish(real z) noexcept nogil:
    return z * mish_gate(z)


cdef inline real mish_derivative(real z) noexcept nogil:
    cdef real gate = mish_gate(z)
    return gate + z * (<real> 1 - gate * gate) * sigmoid(z)


cdef inline real mish_second_derivative(real z) noexcept nogil:
    cdef real gate = mish_gate(z)
    cdef real s = sigmoid(z)
    return (<real> 1 - gate * gate) * s * (
        <real> 2 + z * ((<real> 1 - s) - <real> 2 * gate * s))


cdef inline real hard_sigmoid(real z) noexcept nogil:
    cdef real y = larger(z / <real> 6 + <real> 0.5, 0)
    return <real> 1 if y > 1 else y


cdef inline real hard_sigmoid_derivative(real y) noexcept nogil:
    return <real> (1.0 / 6) if (y > 0) & (y < 1) else <real> 0


cdef inline void softmax(real* y, Py_ssize_t n, Py_ssize_t room) noexcept nogil:
    """y (n,) = exp(y - max y) / sum(exp(y - max y)), in place. `room` >= n elements are writable;
    the padding is computed too, so that the loops have whole vectors."""
    cdef real top = y[0]
    cdef real total = 0
    cdef Py_ssize_t i
    for i in range(1, n):
        top = y[i] if y[i] > top else top
    for i in range(room):
        y[i] = exp_(y[i] - top)
    for i in range(n):
        total += y[i]
    for i in range(room):
        y[i] /= total


cdef inline void activate(Py_ssize_t code, real a, real* y, Py_ssize_t n) noexcept nogil:
    """y (n,) = activation(y), in place; `a` is the activation's parameter."""
    cdef Py_ssize_t i
    if code == Activation.STEP:
        for i in range(n):
            y[i] = step(y[i])
    elif code == Activation.SIGMOID:
        for i in range(n):
            y[i] = sigmoid(y[i])
    elif code == Activation.TANH:
        for i in range(n):
            y[i] = tanh_(y[i])
    elif code == Activation.RELU:
        for i in range(n):
            y[i] = relu(y[i])
    elif code == Activation.LEAKY_RELU:
        for i in range(n):
            y[i] = leaky_relu(y[i], a)
    elif code == Activation.ELU:
        for i in range(n):
            y[i] = elu(y[i], a)
    elif code == Activation.SELU:
        for i in range(n):
            y[i] = selu(y[i])
    elif code == Activation.SOFTPLUS:
        for i in range(n):
            y[i] = softplus(y[i])
    elif code == Activation.SOFTSIGN:
        for i in range(n):
            y[i] = softsign(y[i])
    elif code == Activation.SILU:
        for i in range(n):
            y[i] = silu(y[i])
    elif code == Activation.GELU:
        for i in range(n):
            y[i] = gelu(y[i])
    elif code == Activation.MISH:
        for i in range(n):
            y[i] = mish(y[i])
    elif code == Activation.HARD_SIGMOID:
        for i in range(n):
            y[i] = hard_sigmoid(y[i])
    elif code == Activation.EXP:
        for i in range(n):
            y[i] = exp_(y[i])


cdef inline void scale_by_derivative(
    Py_ssize_t code, real a, real* dy, const real* s, Py_ssize_t n
) noexcept nogil:
    """dy (n,) *= derivative, in place. s (n,) holds the outputs or inputs that the derivative is
    computed from (decision b); `a` is the activation's parameter."""
    cdef Py_ssize_t i
    if code == Activation.SIGMOID:
        for i in range(n):
            dy[i] *= sigmoid_derivative(s[i])
    elif code == Activation.TANH:
        for i in range(n):
            dy[i] *= tanh_derivative(s[i])
    elif code == Activation.RELU:
        for i in range(n):
            dy[i] *= relu_derivative(s[i])
    elif code == Activation.LEAKY_RELU:
        for i in range(n):
            dy[i] *= leaky_relu_derivative(s[i], a)
    elif code == Activation.ELU:
        for i in range(n):
            dy[i] *= elu_derivative(s[i], a)
    elif code == Activation.SELU:
        for i in range(n):
            dy[i] *= selu_derivative(s[i])
    elif code == Activation.SOFTPLUS:
        for i in range(n):
            dy[i] *= softplus_derivative(s[i])
    elif code == Activation.SOFTSIGN:
        for i in range(n):
            dy[i] *= softsign_derivative(s[i])
    elif code == Activation.SILU:
        for i in range(n):
            dy[i] *= silu_derivative(s[i])
    elif code == Activation.GELU:
        for i in range(n):
            dy[i] *= gelu_derivative(s[i])
    elif code == Activation.MISH:
        for i in range(n):
            dy[i] *= mish_derivative(s[i])
    elif code == Activation.HARD_SIGMOID:
        for i in range(n):
            dy[i] *= hard_sigmoid_derivative(s[i])
    elif code == Activation.EXP:
        for i in range(n):
            dy[i] *= s[i]
    elif code == Activation.STEP:
        for i in range(n):
            dy[i] = 0


cdef inline bint has_second_derivative(Py_ssize_t code) noexcept nogil:
    """Whether the second derivative is not zero everywhere. At the corner of a piecewise linear
    activation, where it does not exist, it is taken as zero."""
    return not (code == Activation.LINEAR or code == Activation.STEP or code == Activation.RELU
                or code == Activation.LEAKY_RELU or code == Activation.HARD_SIGMOID)


cdef inline void scale_by_second_derivative(
    Py_ssize_t code, real a, real* dy, const real* s, Py_ssize_t n
) noexcept nogil:
    """dy (n,) *= second derivative, in place; arguments as in `scale_by_derivative`."""
    cdef Py_ssize_t i
    if code == Activation.SIGMOID:
        for i in range(n):
            dy[i] *= sigmoid_second_derivative(s[i])
    elif code == Activation.TANH:
        for i in range(n):
            dy[i] *= tanh_second_derivative(s[i])
    elif code == Activation.ELU:
        for i in range(n):
            dy[i] *= elu_second_derivative(s[i], a)
    elif code == Activation.SELU:
        for i in range(n):
            dy[i] *= selu_second_derivative(s[i])
    elif code == Activation.SOFTPLUS:
        for i in range(n):
            dy[i] *= softplus_second_derivative(s[i])
    elif code == Activation.SOFTSIGN:
        for i in range(n):
            dy[i] *= softsign_second_derivative(s[i])
    elif code == Activation.SILU:
        for i in range(n):
            dy[i] *= silu_second_derivative(s[i])
    elif code == Activation.GELU:
        for i in range(n):
            dy[i] *= gelu_second_derivative(s[i])
    elif code == Activation.MISH:
        for i in range(n):
            dy[i] *= mish_second_derivative(s[i])
    elif code == Activation.EXP:
        for i in range(n):
            dy[i] *= s[i]
    else:
        for i in range(n):
            dy[i] = 0
