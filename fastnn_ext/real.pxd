"""The one place that tells float from double: everything else says `real`.

The functions are those of `simd.h`: no branch and no call, so that a loop over them becomes full
vectors.
"""

ctypedef fused real:
    float
    double

cdef extern from "simd.h" nogil:
    float fn_expf(float x)
    double fn_exp(double x)
    float fn_expm1f(float x)
    double fn_expm1(double x)
    float fn_logf(float x)
    double fn_log(double x)
    float fn_log1pf(float x)
    double fn_log1p(double x)
    float fn_tanhf(float x)
    double fn_tanh(double x)
    float fn_erff(float x)
    double fn_erf(double x)
    float fn_sqrtf(float x)
    double fn_sqrt(double x)
    float fn_fmaf(float a, float b, float c)
    double fn_fma(double a, double b, double c)
    bint fn_all_finitef(const float* x, Py_ssize_t n)
    bint fn_all_finite(const double* x, Py_ssize_t n)


cdef inline bint all_finite(const real* x, Py_ssize_t n) noexcept nogil:
    if real is float:
        return fn_all_finitef(x, n)
    else:
        return fn_all_finite(x, n)


cdef inline real exp_(real x) noexcept nogil:
    if real is float:
        return fn_expf(x)
    else:
        return fn_exp(x)


cdef inline real expm1_(real x) noexcept nogil:
    if real is float:
        return fn_expm1f(x)
    else:
        return fn_expm1(x)


cdef inline real log_(real x) noexcept nogil:
    """x > 0."""
    if real is float:
        return fn_logf(x)
    else:
        return fn_log(x)


cdef inline real log1p_(real x) noexcept nogil:
    """0 <= x <= 1."""
    if real is float:
        return fn_log1pf(x)
    else:
        return fn_log1p(x)


cdef inline real tanh_(real x) noexcept nogil:
    if real is float:
        return fn_tanhf(x)
    else:
        return fn_tanh(x)


cdef inline real erf_(real x) noexcept nogil:
    if real is float:
        return fn_erff(x)
    else:
        return fn_erf(x)


cdef inline real sqrt_(real x) noexcept nogil:
    if real is float:
        return fn_sqrtf(x)
    else:
        return fn_sqrt(x)


cdef inline real fma_(real a, real b, real c) noexcept nogil:
    """a * b + c, rounded once where the processor can."""
    if real is float:
        return fn_fmaf(a, b, c)
    else:
        return fn_fma(a, b, c)


cdef inline real abs_(real x) noexcept nogil:
    return -x if x < 0 else x


cdef inline real larger(real x, real low) noexcept nogil:
    """max(x, low); a NaN stays one."""
    return low if x < low else x


cdef inline real sign(real x) noexcept nogil:
    return <real> (x > 0) - <real> (x < 0)
