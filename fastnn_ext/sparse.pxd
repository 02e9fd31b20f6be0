"""Sparse inputs: the first layer reads only the entries of X.

Decisions
  a. Results have the same bits as with the dense matrix: an element of the product is the same
     chain of multiply-adds in column order without the zeros, which change nothing, and an element
     of the gradient the same chain in row order. One kernel computes both (tile_body.h). The
     gradient of a bias is a sum of partial sums (`sum_rows`), which depends on how many rows are
     summed at a time: `bias_rows`, a microbatch of the dense inputs.
  b. The gradient needs the entries by columns. Each thread sorts the entries of the columns that it
     owns, by counting: two passes over the entries of the microbatch, and one over its columns.
     The arrays belong to the thread, and no thread waits for another.
  c. The entries may change during the call (a mapped file, another thread). Starts of rows are
     copied beforehand. A column out of range makes the result NaN in the forward pass; it is left
     out here, and no write depends on a value that is read twice.
"""

from libc.stdint cimport int32_t
from libc.string cimport memset

from fastnn_ext.plan cimport Buffer, Layer, Plan, SparseInputs
from fastnn_ext.real cimport real
from fastnn_ext.tile cimport multiply_add_entries


cdef inline bint reads_sparse(const Plan* plan, const Layer* layer) noexcept nogil:
    """Whether the layer's inputs are sparse."""
    return plan.inputs != NULL and layer.input == 0


cdef inline Py_ssize_t get_input_row(const SparseInputs* inputs, Py_ssize_t r) noexcept nogil:
    """The row of X of row r of the microbatch."""
    return inputs.first_row + r if inputs.rows == NULL else inputs.rows[r]


cdef inline void multiply_sparse_rows(
    const Plan* plan, const Layer* layer, const real* params, const real* bias, real* z,
    Py_ssize_t z_stride, Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """z = x W + bias (n_out,), or z = x W if bias is NULL, for rows first..last of the microbatch.

    Reads params (n_params,); writes z (last - first, n_out), padded, with rows z_stride apart.
    """
    cdef const SparseInputs* inputs = plan.inputs
    cdef Py_ssize_t r, start
    cdef const Py_ssize_t* row
    for r in range(first, last):
        row = inputs.starts + get_input_row(inputs, r)
        start = row[0]
        multiply_add_entries(
            z, bias, <const real*> inputs.values + start, inputs.columns + start, row[1] - start,
            layer.n_in, params + layer.weights, layer.n_out, layer.n_out, True)
        z += z_stride


cdef inline Py_ssize_t find_entry(
    const int32_t* columns, Py_ssize_t start, Py_ssize_t end, Py_ssize_t column
) noexcept nogil:
    """The first of the entries start..end of a row whose column is not below `column`."""
    cdef Py_ssize_t middle
    while start < end:
        middle = (start + end) // 2
        if columns[middle] < column:
            start = middle + 1
        else:
            end = middle
    return start


cdef inline Py_ssize_t find_columns(
    const SparseInputs* inputs, Py_ssize_t r, Py_ssize_t first, Py_ssize_t* end
) noexcept nogil:
    """The first entry of row r of the microbatch whose column is not below `first`; writes the end
    of the row."""
    cdef const Py_ssize_t* row = inputs.starts + get_input_row(inputs, r)
    end[0] = row[1]
    return find_entry(inputs.columns, row[0], row[1], first)


cdef inline void sort_columns(
    const Plan* plan, const real* work, Py_ssize_t row, Py_ssize_t n_samples, Py_ssize_t first,
    Py_ssize_t last
) noexcept nogil:
    """Sort the entries in columns first..last of rows row..row + n_samples of the microbatch by
    column; within a column they keep the order of the rows. Writes the thread's arrays. `work` only
    tells the precision."""
    cdef SparseInputs* inputs = plan.inputs
    cdef int32_t* ends = inputs.column_starts + 1
    cdef real* sorted_values = <real*> inputs.entry_values
    cdef const real* values = <const real*> inputs.values
    cdef Py_ssize_t n = last - first
    cdef Py_ssize_t r, e, column, place, start, end
    cdef int32_t total = 0
    cdef int32_t count
    inputs.first_column = first
    memset(inputs.column_starts, 0, (n + 1) * sizeof(int32_t))
    for r in range(row, row + n_samples):
        start = find_columns(inputs, r, first, &end)
        for e in range(start, end):
            column = <Py_ssize_t> inputs.columns[e] - first
            if not 0 <= column < n:
                break
            ends[column] += 1
    # ends[k] becomes the place of the next entry of column k, which is its start here, and its end
    # after all entries are in place.
    for column in range(n):
        count = ends[column]
        ends[column] = total
        total += count
    for r in range(row, row + n_samples):
        start = find_columns(inputs, r, first, &end)
        for e in range(start, end):
            column = <Py_ssize_t> inputs.columns[e] - first
            if not 0 <= column < n:
                break
            place = ends[column]
            if place >= inputs.capacity:
                break
            ends[column] += 1
            inputs.entry_rows[place] = <int32_t> r
            sorted_values[place] = values[e]


cdef inline bint is_touched(const SparseInputs* inputs, Py_ssize_t column) noexcept nogil:
    """Whether a sorted column has entries."""
    cdef const int32_t* starts = inputs.column_starts + (column - inputs.first_column)
    return starts[1] > starts[0]


cdef inline void mark_touched(
    const SparseInputs* inputs, Py_ssize_t first, Py_ssize_t last, bint accumulate
) noexcept nogil:
    """Mark those of the sorted columns first..last that have entries in this microbatch or, if
    `accumulate`, in an earlier one of the batch."""
    cdef Py_ssize_t column
    for column in range(first, last):
        inputs.touched[column] = is_touched(inputs, column) or (
            accumulate and inputs.touched[column])


cdef inline void sparse_weight_gradient(
    const Plan* plan, const Layer* layer, const real* work, real* g, Py_ssize_t first,
    Py_ssize_t last, bint accumulate
) noexcept nogil:
    """Rows first..last of dW = x' dy over the rows whose columns are sorted (`sort_columns`).

    Reads dy in work; writes g (last - first, n_out), or adds to it if `accumulate`.
    """
    cdef const SparseInputs* inputs = plan.inputs
    cdef const Buffer* y = &plan.buffers[layer.output]
    cdef const int32_t* starts
    cdef const real* begin = NULL
    cdef Py_ssize_t column, depth
    for column in range(first, last):
        starts = inputs.column_starts + (column - inputs.first_column)
        depth = starts[1] - starts[0]
        if accumulate:
            begin = g
        if depth > 0:
            multiply_add_entries(
                g, begin, <const real*> inputs.entry_values + starts[0],
                inputs.entry_rows + starts[0], depth, plan.s.microbatch_rows,
                work + y.gradient, y.stride, layer.n_out, False)
        elif not accumulate:
            memset(g, 0, layer.n_out * sizeof(real))
        g += layer.n_out
