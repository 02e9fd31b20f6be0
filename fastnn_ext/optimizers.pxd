"""Optimizers: the update of a run of parameters, in place.

Decisions
  a. Each is a loop over the flat run [0, n) of one thread's share: no optimizer knows a layer.
     Slot k of parameter i is slots[k * n_params + i].
  b. Adam's bias corrections are folded into the rate and epsilon, which leaves one square root
     and one division per parameter: rate' = rate * sqrt(1 - beta_2**t) / (1 - beta_1**t),
     epsilon' = epsilon * sqrt(1 - beta_2**t); the same numbers, reordered.
  c. The gradient is `scale * g`: clipping by norm is no pass of its own, nor is the gradient of a
     lone row, whose part for a row of weights is an input times the gradient of the outputs.
  d. Fused products are written as `fma_` (simd.h, decision c): where a share begins depends on
     the number of threads, and no number may.
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
    real rate, real shrink, real beta_1, real beta_2, real epsilon
) noexcept nogil:
    """`shrink` is AdamW's decay of this step, 1 - rate * weight_decay; 1 for Adam."""
    cdef Py_ssize_t i
    cdef real d
    for i in range(n):
        d = scale * g[i]
        m[i] = fma_(beta_1, m[i], (<real> 1 - beta_1) * d)
        v[i] = fma_(beta_2, v[i], (<real> 1 - beta_2) * d * d)
        w[i] = fma_(shrink, w[i], -(rate * m[i] / (sqrt_(v[i]) + epsilon)))


# What a step's number and rate make of the hyperparameters: once a step, as powers take as long as
# the update of some fifty parameters.
cdef struct Pace:
    double rate
    double shrink                  # AdamW's decay of weights
    double epsilon


cdef inline Pace pace_of(const Settings* s, double rate, double t) noexcept nogil:
    """For step number t, from 1."""
    cdef Pace pace
    cdef double root
    pace.rate = rate
    pace.shrink = 1 - rate * s.weight_decay
    pace.epsilon = s.epsilon
    if s.optimizer == Optimizer.ADAM or s.optimizer == Optimizer.ADAMW:
        root = sqrt(1 - pow(s.beta_2, t))
        pace.rate = rate * root / (1 - pow(s.beta_1, t))
        pace.epsilon = s.epsilon * root
    return pace


cdef inline void update(
    const Settings* s, const Pace* pace, real* w, const real* g, const real* scales, real* slots,
    Py_ssize_t rows, Py_ssize_t n, bint decays
) noexcept nogil:
    """Rows of n parameters one after another, the gradient of row r being scales[r] * g; `slots`
    points at their first slot."""
    cdef real rate = <real> pace.rate
    cdef real epsilon = <real> pace.epsilon
    cdef real mu = <real> s.momentum
    cdef real rho = <real> s.rho
    cdef real beta_1 = <real> s.beta_1
    cdef real beta_2 = <real> s.beta_2
    cdef real shrink = <real> (pace.shrink if decays else 1)
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
            adam(w + r * n, g, scales[r], slots + r * n, squares + r * n, n, rate, shrink, beta_1,
                 beta_2, epsilon)
