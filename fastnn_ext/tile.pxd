"""Matrix multiplication and copies of tile.h and tile_body.h, which document each function. Both
precisions have the same name: a call is resolved by the type of its arguments.
"""

from libc.stdint cimport int32_t

cdef extern from "tile.h" nogil:
    void multiply_add "fn_multiply_addf"(
        float* c, Py_ssize_t c_stride, const float* begin, Py_ssize_t begin_stride,
        const float* a, Py_ssize_t a_row, Py_ssize_t a_depth, const float* b, Py_ssize_t b_stride,
        Py_ssize_t rows, Py_ssize_t lanes, Py_ssize_t depth, bint padded, bint sparse,
        float* next_write)
    void multiply_add "fn_multiply_add"(
        double* c, Py_ssize_t c_stride, const double* begin, Py_ssize_t begin_stride,
        const double* a, Py_ssize_t a_row, Py_ssize_t a_depth, const double* b, Py_ssize_t b_stride,
        Py_ssize_t rows, Py_ssize_t lanes, Py_ssize_t depth, bint padded, bint sparse,
        double* next_write)

    void multiply_add_packed "fn_multiply_add_packedf"(
        float* c, Py_ssize_t c_stride, const float* begin, Py_ssize_t begin_stride,
        const float* a, Py_ssize_t a_row, Py_ssize_t a_depth, const float* b, Py_ssize_t b_stride,
        Py_ssize_t rows, Py_ssize_t lanes, Py_ssize_t depth, bint transposed, bint acquires,
        float* panel, Py_ssize_t panel_size)
    void multiply_add_packed "fn_multiply_add_packed"(
        double* c, Py_ssize_t c_stride, const double* begin, Py_ssize_t begin_stride,
        const double* a, Py_ssize_t a_row, Py_ssize_t a_depth, const double* b, Py_ssize_t b_stride,
        Py_ssize_t rows, Py_ssize_t lanes, Py_ssize_t depth, bint transposed, bint acquires,
        double* panel, Py_ssize_t panel_size)

    void multiply_add_column "fn_multiply_add_columnf"(
        float* c, Py_ssize_t c_stride, const float* begin, const float* a, Py_ssize_t a_row,
        const float* b, Py_ssize_t rows, Py_ssize_t depth)
    void multiply_add_column "fn_multiply_add_column"(
        double* c, Py_ssize_t c_stride, const double* begin, const double* a, Py_ssize_t a_row,
        const double* b, Py_ssize_t rows, Py_ssize_t depth)

    void multiply_add_entries "fn_multiply_add_entriesf"(
        float* c, const float* begin, const float* values, const int32_t* indices,
        Py_ssize_t depth, Py_ssize_t limit, const float* b, Py_ssize_t b_stride, Py_ssize_t lanes,
        bint padded)
    void multiply_add_entries "fn_multiply_add_entries"(
        double* c, const double* begin, const double* values, const int32_t* indices,
        Py_ssize_t depth, Py_ssize_t limit, const double* b, Py_ssize_t b_stride, Py_ssize_t lanes,
        bint padded)

    void sum_rows "fn_sum_rowsf"(
        float* c, const float* begin, const float* b, Py_ssize_t b_stride, Py_ssize_t lanes,
        Py_ssize_t rows)
    void sum_rows "fn_sum_rows"(
        double* c, const double* begin, const double* b, Py_ssize_t b_stride, Py_ssize_t lanes,
        Py_ssize_t rows)

    void copy_row "fn_copy_rowf"(float* to, const float* source, Py_ssize_t n)
    void copy_row "fn_copy_row"(double* to, const double* source, Py_ssize_t n)

    void acquire_lines "fn_acquire_linesf"(float* x, Py_ssize_t n)
    void acquire_lines "fn_acquire_lines"(double* x, Py_ssize_t n)
