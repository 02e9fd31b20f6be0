"""Optimizers: the update of a contiguous range of parameters, in place.

Symbols, as in fastnn/optimizers.py: w parameters (n,), g their gradient before scaling (n,),
d = scale * g, rate the learning rate of the step, mu momentum, rho and beta decay rates of running
means. w is changed in place, and so are the optimizer's slots: v (momentum), s (squares), m and v
(Adam); g is read.

Decisions
  a. Each optimizer is a loop over a flat range of parameters that one thread owns, and is
     independent of layers. Slot k of parameter i is slots[k * n_params + i].
  b. Adam's bias corrections are folded into the rate and epsilon, which leaves one square root
     and one division per parameter: rate' = rate * sqrt(1 - beta_2**t) / (1 - beta_1**t),
     epsilon' = epsilon * sqrt(1 - beta_2**t); the same formula, rearranged.
  c. The gradient is `scale * g`. Clipping by norm then needs no pass over the gradient, and a batch
     of one row needs no gradient in memory: for each row of weights it is one input times the
     gradient of the outputs.
  d. Fused multiply-adds are explicit, as `fma_` (simd.h, decision c): the range of a thread depends
     on the number of threads, and results must not.
"""

from libc.math cimport pow, sqrt

from fastnn_ext.codes cimport Optimizer
from fastnn_ext.plan cimport Settings
from fastnn_ext.real cimport fma_, real, sqrt_


cdef inline void sgd(real* w, const real* g, real scale, Py_ssize_t n, real rate) noexcept nogil:
    cdef Py_ssize_t i
    cdef real d
    for i in range(n):
        d = scale * g[i]
        w[i] = fma_(-rate, d, w[i])


cdef inline void momentum(
    real* w, const real* g, real scale, real* v, Py_ssize_t n, real rate, real mu
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real d
    for i in range(n):
        d = scale * g[i]
        v[i] = fma_(mu, v[i], -(rate * d))
        w[i] += v[i]


cdef inline void nesterov(
    real* w, const real* g, real scale, real* v, Py_ssize_t n, real rate, real mu
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real d
    for i in range(n):
        d = scale * g[i]
        v[i] = fma_(mu, v[i], -(rate * d))
        w[i] += fma_(mu, v[i], -(rate * d))


cdef inline void adagrad(
    real* w, const real* g, real scale, real* s, Py_ssize_t n, real rate, real epsilon
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real d
    for i in range(n):
        d = scale * g[i]
        s[i] = fma_(d, d, s[i])
        w[i] -= rate * d / (sqrt_(s[i]) + epsilon)


cdef inline void rmsprop(
    real* w, const real* g, real scale, real* s, Py_ssize_t n, real rate, real rho, real epsilon
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real d
    for i in range(n):
        d = scale * g[i]
        s[i] = fma_(rho, s[i], (<real> 1 - rho) * d * d)
        w[i] -= rate * d / (sqrt_(s[i]) + epsilon)


cdef inline void adam(
    real* w, const real* g, real scale, real* m, real* v, Py_ssize_t n,
    real rate, real decay_factor, real beta_1, real beta_2, real epsilon
) noexcept nogil:
    """`decay_factor` multiplies w: 1 - rate * weight_decay for AdamW, 1 for Adam."""
    cdef Py_ssize_t i
    cdef real d
    for i in range(n):
        d = scale * g[i]
        m[i] = fma_(beta_1, m[i], (<real> 1 - beta_1) * d)
        v[i] = fma_(beta_2, v[i], (<real> 1 - beta_2) * d * d)
        w[i] = fma_(decay_factor, w[i], -(rate * m[i] / (sqrt_(v[i]) + epsilon)))


# Hyperparameters of one step, with Adam's bias corrections (decision b). They are computed once per
# step, because the powers cost as much as the update of about fifty parameters.
cdef struct StepScalars:
    double rate
    double decay                   # rate * weight_decay, in AdamW
    double epsilon


cdef inline StepScalars compute_step_scalars(
    const Settings* s, double rate, double t
) noexcept nogil:
    """The scalars of update t, which counts from 1, with this learning rate."""
    cdef StepScalars scalars
    cdef double root
    scalars.rate = rate
    scalars.decay = rate * s.weight_decay
    scalars.epsilon = s.epsilon
    if s.optimizer == Optimizer.ADAM or s.optimizer == Optimizer.ADAMW:
        root = sqrt(1 - pow(s.beta_2, t))
        scalars.rate = rate * root / (1 - pow(s.beta_1, t))
        scalars.epsilon = s.epsilon * root
    return scalars


cdef inline void update(
    const Settings* s, const StepScalars* scalars, real* w, const real* g, const real* scales,
    real* slots, Py_ssize_t rows, Py_ssize_t n, double rate_factor, bint decays
) noexcept nogil:
    """Update w (rows, n), where the gradient of row r is scales[r] * g.

    Reads g (n,) and scales (rows,); changes w and its slots, the first of which is (rows, n) at
    `slots`. `rate_factor` multiplies the learning rate. `decays`: whether weight decay applies,
    which biases do not have.
    """
    cdef real rate = <real> (scalars.rate * rate_factor)
    cdef real epsilon = <real> scalars.epsilon
    cdef real mu = <real> s.momentum
    cdef real rho = <real> s.rho
    cdef real beta_1 = <real> s.beta_1
    cdef real beta_2 = <real> s.beta_2
    cdef real decay_factor = <real> (1 - scalars.decay * rate_factor if decays else 1)
    cdef real* squares = slots + s.n_params
    cdef Py_ssize_t r
    if s.optimizer == Optimizer.SGD:
        if s.momentum == 0:
            for r in range(rows):
                sgd(w + r * n, g, scales[r], n, rate)
        elif s.nesterov:
            for r in range(rows):
                nesterov(w + r * n, g, scales[r], slots + r * n, n, rate, mu)
        else:
            for r in range(rows):
                momentum(w + r * n, g, scales[r], slots + r * n, n, rate, mu)
    elif s.optimizer == Optimizer.ADAGRAD:
        for r in range(rows):
            adagrad(w + r * n, g, scales[r], slots + r * n, n, rate, epsilon)
    elif s.optimizer == Optimizer.RMSPROP:
        for r in range(rows):
            rmsprop(w + r * n, g, scales[r], slots + r * n, n, rate, rho, epsilon)
    elif s.optimizer == Optimizer.ADAM or s.optimizer == Optimizer.ADAMW:
        for r in range(rows):
            adam(w + r * n, g, scales[r], slots + r * n, squares + r * n, n, rate, decay_factor,
                 beta_1, beta_2, epsilon)
