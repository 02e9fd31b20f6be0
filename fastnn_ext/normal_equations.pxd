"""The normal equations of a least-squares problem: J'J, J'r and their Cholesky factorization.

Decisions
  a. A (p, stride) holds the upper triangle of J'J, row-major; the factor R with R'R = A + D has the
     same layout. D is diagonal: damping and penalties.
  b. Pieces of fixed size are distributed over the threads: PIECE rows of J'J, or PIECE columns of a
     block row of R. Each is computed by one thread and in the same order, so that results do not
     depend on the number of threads. OpenBLAS's products and factorizations do, from about 100
     columns on.
  c. A block row of R is its part of A minus the product of all block rows above it
     ("left-looking"): the accumulators of `multiply_add` begin with A, which remains unchanged for
     another damping.
  d. Both factors of a product are packed: rows of J and R lie whole pages apart, and the address
     translation of so many pages does not fit in the TLB. A thread's `panel` holds the packed
     columns of J, then the packed vectors of `multiply_add_packed`.
"""

from libc.math cimport sqrt

from fastnn_ext.tile cimport copy_row, multiply_add, multiply_add_packed

cdef enum:
    PIECE = 48                     # rows or columns: whole tiles and whole cache lines


cdef inline void add_products(
    const double* J, const double* r, Py_ssize_t n, Py_ssize_t p, double* A, Py_ssize_t stride,
    double* g, double* panel, Py_ssize_t panel_size, int thread, int team_size
) noexcept nogil:
    """A += J'J (its upper triangle) and g += J'r, for the thread's pieces.

    Reads J (n, p), followed by a readable vector, and r (n,); changes A (p, stride), g (stride,)
    and panel (PIECE * n + panel_size,).
    """
    cdef Py_ssize_t first = thread * PIECE
    cdef Py_ssize_t rows, k
    while first < p:
        rows = min(PIECE, p - first)
        for k in range(n):
            copy_row(panel + k * PIECE, J + k * p + first, rows)
        multiply_add_packed(A + first * stride + first, stride, A + first * stride + first, stride,
                            panel, 1, PIECE, J + first, p, rows, p - first, n, False, False,
                            panel + PIECE * n, panel_size)
        multiply_add(g + first, 0, g + first, 0, r, 0, 1, panel, PIECE, 1, rows, n, False, False,
                     <double*> NULL)
        first += team_size * PIECE


cdef inline void negate_columns(
    const double* R, Py_ssize_t stride, Py_ssize_t first, Py_ssize_t rows, double* negated
) noexcept nogil:
    """negated (first, rows) = -R[:first, first:first + rows]."""
    cdef Py_ssize_t i, j
    for i in range(first):
        for j in range(rows):
            negated[i * rows + j] = -R[i * stride + first + j]


cdef inline void subtract_products(
    const double* A, const double* negated, Py_ssize_t p, Py_ssize_t stride, Py_ssize_t first,
    Py_ssize_t rows, double* R, double* panel, Py_ssize_t panel_size, int thread, int team_size
) noexcept nogil:
    """The thread's pieces of rows first..first + rows of R, before they are divided by the
    triangle on the diagonal."""
    cdef Py_ssize_t column = first + thread * PIECE
    cdef Py_ssize_t i
    while column < p:
        if first == 0:
            for i in range(rows):
                copy_row(R + i * stride + column, A + i * stride + column, min(PIECE, p - column))
        multiply_add_packed(R + first * stride + column, stride, A + first * stride + column,
                            stride, negated, 1, rows, R + column, stride, rows,
                            min(PIECE, p - column), first, False, False, panel, panel_size)
        column += team_size * PIECE


cdef inline bint factorize_triangle(
    double* R, const double* diagonal, Py_ssize_t stride, Py_ssize_t first, Py_ssize_t rows
) noexcept nogil:
    """Factorize the block on the diagonal, after `diagonal` (p,) is added; false if it is not
    positive definite."""
    cdef double* block = R + first * stride + first
    cdef double pivot
    cdef Py_ssize_t i, j, k
    for i in range(rows):
        block[i * stride + i] += diagonal[first + i]
    for i in range(rows):
        for k in range(i):
            for j in range(i, rows):
                block[i * stride + j] -= block[k * stride + i] * block[k * stride + j]
        if not block[i * stride + i] > 0:  # also if it is NaN
            return False
        pivot = sqrt(block[i * stride + i])
        for j in range(i, rows):
            block[i * stride + j] /= pivot
    return True


cdef inline void divide_by_triangle(
    double* R, Py_ssize_t p, Py_ssize_t stride, Py_ssize_t first, Py_ssize_t rows, int thread,
    int team_size
) noexcept nogil:
    """Rows first..first + rows of R to the right of the block on the diagonal, T: they are
    multiplied by the inverse of T', by forward substitution. The thread's pieces."""
    cdef const double* T = R + first * stride + first
    cdef Py_ssize_t column = first + rows + thread * PIECE
    cdef Py_ssize_t i, j, k, lanes
    cdef double* c
    while column < p:
        lanes = min(PIECE, p - column)
        c = R + first * stride + column
        for i in range(rows):
            for k in range(i):
                for j in range(lanes):
                    c[i * stride + j] -= T[k * stride + i] * c[k * stride + j]
            for j in range(lanes):
                c[i * stride + j] /= T[i * stride + i]
        column += team_size * PIECE


cdef inline void solve_factorized(
    const double* R, Py_ssize_t p, Py_ssize_t stride, double* x
) noexcept nogil:
    """x (p,) = the solution of R'R x = b, in place of b: forward, then backward substitution."""
    cdef Py_ssize_t i, j
    cdef double total
    for i in range(p):
        x[i] /= R[i * stride + i]
        for j in range(i + 1, p):
            x[j] -= R[i * stride + j] * x[i]
    for i in range(p - 1, -1, -1):
        total = x[i]
        for j in range(i + 1, p):
            total -= R[i * stride + j] * x[j]
        x[i] = total / R[i * stride + i]


cdef inline double invert_row(
    const double* R, Py_ssize_t p, Py_ssize_t stride, Py_ssize_t row, double* inverse
) noexcept nogil:
    """Write a row of the inverse of R, whose later rows are known; returns its sum of squares.

    Row i of R times the inverse is a unit vector: inverse[i] = (e_i - sum of R[i, j] inverse[j]
    over j > i) / R[i, i].
    """
    cdef double* x = inverse + row * stride
    cdef double total = 0
    cdef Py_ssize_t j, k
    for k in range(p):
        x[k] = k == row
    for j in range(row + 1, p):
        for k in range(j, p):
            x[k] -= R[row * stride + j] * inverse[j * stride + k]
    for k in range(row, p):
        x[k] /= R[row * stride + row]
        total += x[k] * x[k]
    return total
