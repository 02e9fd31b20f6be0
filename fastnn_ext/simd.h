/* exp, expm1, log, log1p, tanh, erf and sqrt without a branch or a call, in float (suffix f) and in
 * double, so that the compiler vectorizes loops over them at every instruction-set level.
 *
 *          valid for                    ulp at most      ns per element, float / double
 *                                       float  double    SSE4.2       AVX2         AVX-512
 *   exp    x > -86.98, x > -708.04      1.4    1.6       0.98 / 3.2   0.31 / 0.91  0.26 / 0.72
 *   expm1  every x                      1.7    2.2       0.98 / 3.3   0.32 / 0.95  0.26 / 0.72
 *   log    normal x > 0                 1.0    1.3       0.84 / 2.8   0.30 / 0.87  0.21 / 0.60
 *   log1p  -0.29 <= x <= 1.82           1.6    1.9       0.64 / 2.4   0.24 / 0.74  0.18 / 0.55
 *   tanh   every x                      2.5    2.6       1.2 / 3.9    0.39 / 1.1   0.27 / 0.77
 *   erf    every x                      2.2    2.1       2.1 / 9.6    0.59 / 2.6   0.41 / 1.7
 *   sqrt   every x                      0.5    0.5       0.34 / 1.1   0.17 / 0.57  0.17 / 0.54
 *
 * Measured at the three levels: errors on every 97th float against double and on 8 to 12 million
 * doubles against long double, times on 4096 numbers and one core of an AMD EPYC, with gcc 12.
 *
 * Decisions
 *   a. NaN propagates: clamps are written `x > top ? top : x`, where a comparison with NaN is
 *      false. Infinite x give the limit: exp 0 and inf, expm1 -1 and inf, log inf, tanh and erf
 *      -1 and 1.
 *   b. Outside the valid range: exp is 0 below it, and inf exactly where it overflows; log is
 *      -inf for x <= 0 (which shows in a loss) and about -88 or -709 for subnormal x; expm1(-0)
 *      is +0; log1p is for the e^-|z| of a softplus, a range for which two blends replace a
 *      logarithm's split.
 *   c. Fused multiply-adds are explicit, and the compiler forms none of its own
 *      (-ffp-contract=off). Otherwise a sum of two products was fused one way in a vector and the
 *      other way in the remainder of the loop, and a result depended on its position. With this
 *      flag, an element gets the same bits in a vector, in a remainder and by itself, and AVX2
 *      and AVX-512 agree; SSE, which has no fused multiply-add, differs in the last digits.
 *   d. Numbers are converted between double and int64 by their bits: before AVX-512 there is no
 *      vector instruction for it.
 *   e. Inlining is forced instead of left to gcc's limits on the growth of a function: a loop
 *      that contains a call is not vectorized.
 *   f. erf is one formula for all x, 1 - e^-y with a fitted y: it is shorter than two formulas
 *      and a blend, both of which would be computed for each x.
 *   g. Degrees are the smallest for which rounding dominates the error: one more for exp costs 6
 *      % and saves 0.3 ulp. In erf, which has the longest polynomial, even and odd powers are two
 *      chains that overlap.
 */
#ifndef FASTNN_SIMD_H
#define FASTNN_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define FN_INLINE static inline __attribute__((always_inline))

/* a b + c, fused if the CPU has FMA; a call of libm would not be vectorized. */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
FN_INLINE float fn_fmaf(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
FN_INLINE double fn_fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
FN_INLINE float fn_fmaf(float a, float b, float c) { return a * b + c; }
FN_INLINE double fn_fma(double a, double b, double c) { return a * b + c; }
#endif
#define FN_FMA(a, b, c) _Generic((a), float: fn_fmaf, double: fn_fma)(a, b, c)

/* a + b x + c x^2 + ... */
#define FN_P1(x, a) (a)
#define FN_P2(x, a, ...) FN_FMA((x), FN_P1(x, __VA_ARGS__), (a))
#define FN_P3(x, a, ...) FN_FMA((x), FN_P2(x, __VA_ARGS__), (a))
#define FN_P4(x, a, ...) FN_FMA((x), FN_P3(x, __VA_ARGS__), (a))
#define FN_P5(x, a, ...) FN_FMA((x), FN_P4(x, __VA_ARGS__), (a))
#define FN_P6(x, a, ...) FN_FMA((x), FN_P5(x, __VA_ARGS__), (a))
#define FN_P7(x, a, ...) FN_FMA((x), FN_P6(x, __VA_ARGS__), (a))
#define FN_P8(x, a, ...) FN_FMA((x), FN_P7(x, __VA_ARGS__), (a))
#define FN_P9(x, a, ...) FN_FMA((x), FN_P8(x, __VA_ARGS__), (a))
#define FN_P10(x, a, ...) FN_FMA((x), FN_P9(x, __VA_ARGS__), (a))
#define FN_P11(x, a, ...) FN_FMA((x), FN_P10(x, __VA_ARGS__), (a))
#define FN_P12(x, a, ...) FN_FMA((x), FN_P11(x, __VA_ARGS__), (a))

/* Whether all elements are finite: only infinities and NaN have all bits of the exponent set. */
#define FN_ALL_FINITE(real, uint, S, EXPONENT) \
    static inline int fn_all_finite##S(const real *x, ptrdiff_t n) { \
        uint found = 0; \
        for (ptrdiff_t i = 0; i < n; i++) found |= (fn_bits##S(x[i]) & EXPONENT) == EXPONENT; \
        return !found; \
    }

/* The coefficients, as printed by tools/fit_polynomials.py: the degree, and the largest relative
 * error that the fit adds to the function. */
#define FN_LN2_HIGHf 0x1.62e4p-1f
#define FN_LN2_LOWf 0x1.7f7d1cp-20f
#define FN_LN2_HIGH 0x1.62e42fefa4p-1
#define FN_LN2_LOW -0x1.8432a1b0e2634p-43
/* degree 4, error 2**-26.2 */
#define FN_EXP_Qf(x) FN_P5(x, \
    0x1.fffffep-2f, 0x1.5554bp-3f, 0x1.555678p-5f, 0x1.12280cp-7f, 0x1.6be9b8p-10f)
/* degree 9, error 2**-55.6 */
#define FN_EXP_Q(x) FN_P10(x, \
    0x1.0000000000005p-1, 0x1.5555555555539p-3, 0x1.5555555552243p-5, 0x1.11111111190dbp-7, \
    0x1.6c16c17efc0acp-10, 0x1.a01a0174c556ap-13, 0x1.a019a7077c6b9p-16, 0x1.71de886d4e193p-19, \
    0x1.28a24cb256f97p-22, 0x1.ae6b95a083e01p-26)
/* degree 2, error 2**-30.2 */
#define FN_LOG_Qf(x) FN_P3(x, \
    0x1.55557ap-1f, 0x1.995ecp-2f, 0x1.31e28ap-2f)
/* degree 6, error 2**-59.5 */
#define FN_LOG_Q(x) FN_P7(x, \
    0x1.5555555555592p-1, 0x1.999999997fe7fp-2, 0x1.24924941e8478p-2, 0x1.c71c520ea2814p-3, \
    0x1.74663e398dd11p-3, 0x1.39a1c2676b403p-3, 0x1.2f05751a040e2p-3)
/* degree 8, error 2**-27.9 */
#define FN_ERF_EVENf(x) FN_P5(x, \
    0x1.06eba8p-3f, 0x1.a4fa5ep-4f, -0x1.5066c8p-13f, -0x1.4bca78p-11f, -0x1.369634p-17f)
#define FN_ERF_ODDf(x) FN_P4(x, \
    0x1.45f2fap-1f, -0x1.39cdbep-6f, 0x1.b5010ap-10f, 0x1.ed6cc8p-14f)
/* degree 23, error 2**-55.4 */
#define FN_ERF_EVEN(x) FN_P12(x, \
    0x1.06eba8214db68p-3, 0x1.a4f4e2a1a9b43p-4, -0x1.b6b6a1cb370a9p-13, -0x1.35663be368826p-11, \
    0x1.0e32f617eed0cp-14, 0x1.a96dd2d345ac9p-19, -0x1.116c701797547p-19, -0x1.91f19120ffda3p-27, \
    0x1.2918ad2afa624p-25, 0x1.447127ed2bcbfp-29, 0x1.7a68da1f52e23p-35, 0x1.6ba8e61685a87p-43)
#define FN_ERF_ODD(x) FN_P12(x, \
    0x1.45f306dc9c8d9p-1, -0x1.396685908d229p-6, 0x1.bca691e044b69p-10, 0x1.b29af8b275c22p-16, \
    -0x1.f03294b813addp-16, 0x1.a47edf8b48fccp-19, 0x1.3258ba3e5dbb5p-21, -0x1.1a57f107d8143p-24, \
    -0x1.722fc69f2121bp-27, -0x1.9d83ee82f7966p-32, -0x1.d98497a9d641ap-39, \
    -0x1.02dcdcb227d11p-48)

#define FN_BITS(real, uint, S) \
    FN_INLINE uint fn_bits##S(real x) { \
        union { real x; uint bits; } u = {.x = x}; \
        return u.bits; \
    } \
    FN_INLINE real fn_real##S(uint bits) { \
        union { uint bits; real x; } u = {.bits = bits}; \
        return u.x; \
    } \
    FN_INLINE real fn_sqrt##S(real x) { return __builtin_sqrt##S(x); }
FN_BITS(float, uint32_t, f)
FN_BITS(double, uint64_t, )

FN_ALL_FINITE(float, uint32_t, f, 0x7f800000u)
FN_ALL_FINITE(double, uint64_t, , 0x7ff0000000000000u)

/* e^x = 2^n e^r with n = round(x / ln 2) and r = x - n ln 2. Returns e^r - 1 = r + r^2 Q(r), and
 * half = 2^(n-1), because 2^n overflows before e^x does. Adding ROUND = 1.5 * 2^MANTISSA rounds
 * x / ln 2 to an integer and leaves n in the lowest bits of the sum. ln 2 is in two parts, the
 * high one short enough that n times it is exact. */
#define FN_EXP_PARTS(real, S, ROUND, MANTISSA, BIAS) \
    FN_INLINE real fn_exp_parts##S(real x, real *half) { \
        real shifted = FN_FMA(x, (real)0x1.71547652b82fep0, ROUND); \
        real n = shifted - ROUND; \
        real r = FN_FMA(-n, FN_LN2_LOW##S, FN_FMA(-n, FN_LN2_HIGH##S, x)); \
        *half = fn_real##S((fn_bits##S(shifted) + (BIAS - 1)) << MANTISSA); \
        return FN_FMA(r * r, FN_EXP_Q##S(r), r); \
    }
FN_EXP_PARTS(float, f, 0x1.8p23f, 23, 127)
FN_EXP_PARTS(double, , 0x1.8p52, 52, 1023)

/* e^x = 2 half (1 + p), e^x - 1 = 2 (half p + (half - 1/2)), which for n = 0 is p itself.
 * At LOW all bits of half are zero, and half with them; at HIGH only the doubling overflows. */
#define FN_EXP(real, S, LOW, HIGH) \
    FN_INLINE real fn_exp_clamped##S(real x, real *half) { \
        x = x < LOW ? LOW : x; \
        x = x > HIGH ? HIGH : x; \
        return fn_exp_parts##S(x, half); \
    } \
    FN_INLINE real fn_exp##S(real x) { \
        real half, p = fn_exp_clamped##S(x, &half); \
        return 2 * FN_FMA(half, p, half); \
    } \
    FN_INLINE real fn_expm1##S(real x) { \
        real half, p = fn_exp_clamped##S(x, &half); \
        return 2 * FN_FMA(half, p, half - (real)0.5); \
    }
FN_EXP(float, f, -87.3f, 89.0f)
FN_EXP(double, , -708.7, 710.0)

/* tanh a = g / (g + 1) with g = (e^2a - 1) / 2 and a = |x|. With 2a instead of -2a in the exponent,
 * errors of g matter less the larger it is. At 2a = TOP, g + 1 has become g. */
#define FN_TANH(real, S, TOP) \
    FN_INLINE real fn_tanh##S(real x) { \
        real a2 = 2 * __builtin_fabs##S(x); \
        a2 = a2 > TOP ? TOP : a2; \
        real half, p = fn_exp_parts##S(a2, &half); \
        real g = FN_FMA(half, p, half - (real)0.5); \
        return __builtin_copysign##S(g / (g + 1), x); \
    }
FN_TANH(float, f, 20)
FN_TANH(double, , 40)

/* erf a = 1 - e^-y with y = -log(1 - erf a) = a + a Q(a) and a = |x|; at TOP it is 1. */
#define FN_ERF(real, S, TOP) \
    FN_INLINE real fn_erf##S(real x) { \
        real a = __builtin_fabs##S(x); \
        a = a > TOP ? TOP : a; \
        real a2 = a * a; \
        real q = FN_FMA(a, FN_ERF_ODD##S(a2), FN_ERF_EVEN##S(a2)); \
        real half, p = fn_exp_parts##S(-FN_FMA(a, q, a), &half); \
        return __builtin_copysign##S(2 * FN_FMA(half, p, half - (real)0.5), x); \
    }
FN_ERF(float, f, 4)
FN_ERF(double, , 6)

/* log(2^e (1 + f)) = e ln 2 + log(1 + f) for sqrt(1/2) <= 1 + f < sqrt(2). With s = f / (2 + f):
 * log(1 + f) = 2 atanh s = 2 s + s R = f + s (R - f) and R = s^2 Q(s^2). The form in f keeps the
 * rounding of s out of the leading term. */
#define FN_LOG_SUM(real, S) \
    FN_INLINE real fn_log_sum##S(real e, real f) { \
        real s = f / (2 + f), s2 = s * s; \
        real log_f = FN_FMA(s, FN_FMA(s2, FN_LOG_Q##S(s2), -f), f); \
        return FN_FMA(e, (real)FN_LN2_HIGH##S, FN_FMA(e, (real)FN_LN2_LOW##S, log_f)); \
    }
FN_LOG_SUM(float, f)
FN_LOG_SUM(double, )

/* x / sqrt(1/2), by subtracting bits, has the exponent e, and its mantissa tells 1 + f. The whole
 * number e + BIAS becomes real as the lowest bits of WHOLE = 2^MANTISSA. */
#define FN_LOG(real, uint, S, MANTISSA, BIAS, WHOLE, ONE, ROOT) \
    FN_INLINE real fn_log##S(real x) { \
        uint bits = fn_bits##S(x) + (ONE - ROOT); \
        real e = fn_real##S(bits >> MANTISSA | fn_bits##S(WHOLE)) - (WHOLE + BIAS); \
        real f = fn_real##S((bits & (((uint)1 << MANTISSA) - 1)) + ROOT) - 1; \
        real y = x < (real)INFINITY ? fn_log_sum##S(e, f) : x; \
        return x <= 0 ? -(real)INFINITY : y; \
    }
FN_LOG(float, uint32_t, f, 23, 127, 0x1p23f, 0x3f800000u, 0x3f3504f3u)
FN_LOG(double, uint64_t, , 52, 1023, 0x1p52, 0x3ff0000000000000u, 0x3fe6a09e667f3bcdu)

/* 1 + u = 2^0 (1 + u), and from sqrt(2) on 2^1 (1 + (u - 1) / 2): 1 + u itself is never rounded. */
#define FN_LOG1P(real, S) \
    FN_INLINE real fn_log1p##S(real u) { \
        real e = u > (real)0.4142 ? 1 : 0; \
        real f = u > (real)0.4142 ? (u - 1) / 2 : u; \
        return fn_log_sum##S(e, f); \
    }
FN_LOG1P(float, f)
FN_LOG1P(double, )

#endif
