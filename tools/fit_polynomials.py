"""Fit the polynomials of fastnn_ext/simd.h and print them in the form used there.

    python tools/fit_polynomials.py            print the block of coefficients (needs mpmath; 2 s)
    python tools/fit_polynomials.py --check    exit with 1 if the header's block differs

Each fit is the minimax polynomial P of its degree: it minimizes the maximum of |weight * (f - P)|
(exchange algorithm of E. Remez). The weight turns that into the relative error of the function that
is computed from P.
"""

import sys
import textwrap
from pathlib import Path

from mpmath import mp

HEADER = Path(__file__).parent.parent / "fastnn_ext" / "simd.h"
LN2_BITS = {24: 15, 53: 40}  # of the high part: its product with any exponent must be exact
GRID = 60  # points per coefficient

mp.dps = 60


def remez(f, weight, low, high, degree):
    """The coefficients of P, lowest degree first, and its largest weighted error."""
    count = degree + 2  # extrema of the error of the best P, equal in size, alternating in sign
    size = GRID * count
    xs = [low + (high - low) * (1 - mp.cos(mp.pi * (k + 0.5) / size)) / 2 for k in range(size)]
    fs = [f(x) for x in xs]
    ws = [abs(weight(x)) for x in xs]
    points = [(size - 1) * k // (count - 1) for k in range(count)]
    while True:
        rows = [
            [xs[j] ** k for k in range(degree + 1)] + [(-1) ** i / ws[j]]
            for i, j in enumerate(points)
        ]
        *p, level = mp.lu_solve(mp.matrix(rows), mp.matrix([fs[j] for j in points]))
        errors = [w * (y - mp.polyval(p[::-1], x)) for x, y, w in zip(xs, fs, ws, strict=True)]
        worst = max(map(abs, errors))
        if worst < 1.01 * abs(level):
            return p, worst
        points = [0]
        for j, error in enumerate(errors):
            if (error > 0) != (errors[points[-1]] > 0):
                points.append(j)
            elif abs(error) > abs(errors[points[-1]]):
                points[-1] = j
        while len(points) > count:
            points.pop(0 if abs(errors[points[0]]) < abs(errors[points[-1]]) else -1)


def exp_q(r):
    return (mp.expm1(r) - r) / r**2


def exp_weight(r):
    return r**2 / mp.expm1(r)


def log_q(z):
    s = mp.sqrt(z)
    return 2 * (mp.atanh(s) / s - 1) / z


def log_weight(z):
    s = mp.sqrt(z)
    return z * s / (2 * mp.atanh(s))


def erf_q(x):
    return -mp.log(mp.erfc(x)) / x - 1


def erf_weight(x):
    return x * mp.erfc(x) / mp.erf(x)


# Slightly more than |r| <= log(2)/2 and s <= (sqrt(2) - 1)/(sqrt(2) + 1); erf is 1 at its end.
EXP = (exp_q, exp_weight, -0.347, 0.347)
LOG = (log_q, log_weight, 0, 0.02945)
ERF_F = (erf_q, erf_weight, 0, 4)
ERF = (erf_q, erf_weight, 0, 6)
# Name, then fit and degree for float and for double. erf, the longest polynomial, has two chains.
FITS = [
    ("FN_EXP_Q", (EXP, 4), (EXP, 9), [""]),
    ("FN_LOG_Q", (LOG, 2), (LOG, 6), [""]),
    ("FN_ERF", (ERF_F, 8), (ERF, 23), ["_EVEN", "_ODD"]),
]


def format_literal(x, bits):
    """x, rounded to `bits` bits, as the shortest hexadecimal constant of C."""
    with mp.workprec(bits):
        digits, exponent = float(+x).hex().split("p")
    return f"{digits.rstrip('0').rstrip('.')}p{int(exponent)}{'f' if bits == 24 else ''}"


def wrap_arguments(words):
    """The last arguments of a macro, on indented lines of at most 100 columns."""
    lines = textwrap.wrap(", ".join(words) + ")", 94)
    return " \\\n".join("    " + line for line in lines)


def format_coefficients():
    """The block of coefficients in the header."""
    parts = []
    for suffix, bits in (("f", 24), ("", 53)):
        with mp.workprec(LN2_BITS[bits]):
            high = +mp.ln2
        parts += [
            f"#define FN_LN2_HIGH{suffix} {format_literal(high, bits)}",
            f"#define FN_LN2_LOW{suffix} {format_literal(mp.ln2 - high, bits)}",
        ]
    for name, for_float, for_double, chains in FITS:
        for suffix, bits, (fit, degree) in (("f", 24, for_float), ("", 53, for_double)):
            p, worst = remez(*fit, degree)
            parts.append(f"/* degree {degree}, error 2**{mp.nstr(mp.log(worst, 2), 3)} */")
            for k, chain in enumerate(chains):
                words = [format_literal(c, bits) for c in p[k :: len(chains)]]
                head = f"#define {name}{chain}{suffix}(x) FN_P{len(words)}(x, \\"
                parts += [head, wrap_arguments(words)]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(format_coefficients() not in HEADER.read_text())
    print(format_coefficients(), end="")
