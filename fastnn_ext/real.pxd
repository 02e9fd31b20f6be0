"""The fused type `real` (float or double) and its mathematical functions. This file and tile.pxd
are the only ones that distinguish the two precisions.

The functions are implemented in `simd.h` without branches or calls, so that the compiler can
vectorize loops over them.
"""

ctypedef fused real:
    float
    double

# One name for both precisions: a call is resolved by the type of its arguments.
cdef extern from "simd.h" nogil:
    float exp_ "fn_expf"(float x)
    double exp_ "fn_exp"(double x)
    float expm1_ "fn_expm1f"(float x)
    double expm1_ "fn_expm1"(double x)
    float log_ "fn_logf"(float x)  # x > 0
    double log_ "fn_log"(double x)
    float log1p_ "fn_log1pf"(float x)  # 0 <= x <= 1
    double log1p_ "fn_log1p"(double x)
    float tanh_ "fn_tanhf"(float x)
    double tanh_ "fn_tanh"(double x)
    float erf_ "fn_erff"(float x)
    double erf_ "fn_erf"(double x)
    float sqrt_ "fn_sqrtf"(float x)
    double sqrt_ "fn_sqrt"(double x)
    float fma_ "fn_fmaf"(float a, float b, float c)  # a * b + c, fused if the CPU has FMA
    double fma_ "fn_fma"(double a, double b, double c)
    bint all_finite "fn_all_finitef"(const float* x, Py_ssize_t n)
    bint all_finite "fn_all_finite"(const double* x, Py_ssize_t n)


cdef inline real abs_(real x) noexcept nogil:
    return -x if x < 0 else x


cdef inline real larger(real x, real low) noexcept nogil:
    """max(x, low); NaN if x is NaN."""
    return low if x < low else x


cdef inline real sign(real x) noexcept nogil:
    return <real> (x > 0) - <real> (x < 0)
