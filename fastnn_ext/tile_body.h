/* The part of tile.h that depends on the precision: included once for float, once for double. */

#define vec NAME(vec)
#define any NAME(any)
typedef real vec __attribute__((vector_size(FN_VECTOR)));
typedef real any __attribute__((vector_size(FN_VECTOR), aligned(sizeof(real)), may_alias));

TILES_12(1)
#if FN_TILE_VECTORS == 4
TILES_12(2)
TILES_8(3)
TILES_6(4)
#else
TILES_6(2)
#endif

typedef void (*NAME(tile))(real *, ptrdiff_t, const real *, ptrdiff_t, const real *, ptrdiff_t,
                           ptrdiff_t, const real *, ptrdiff_t, ptrdiff_t, const ptrdiff_t *);
static const NAME(tile) NAME(tiles)[][13] = {
    {0},
    {NAMES_12(1)},
#if FN_TILE_VECTORS == 4
    {NAMES_12(2)},
    {NAMES_8(3)},
    {NAMES_6(4)},
#else
    {NAMES_6(2)},
#endif
};

/* A tile whose last vector extends past `lanes`, computed in a copy. */
static void NAME(compute_ragged_tile)(
    NAME(tile) tile, real *c, ptrdiff_t c_stride, const real *begin, ptrdiff_t begin_stride,
    const real *a, ptrdiff_t a_row, ptrdiff_t a_depth, const real *b, ptrdiff_t b_stride,
    ptrdiff_t rows, ptrdiff_t lanes, ptrdiff_t depth, const ptrdiff_t *list) {
    enum { width = FN_TILE_VECTORS * FN_VECTOR / sizeof(real) };
    real copy[12 * width] __attribute__((aligned(FN_VECTOR)));
    if (rows < 1) __builtin_unreachable(); /* else gcc warns that copy may be unset */
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < width; j++)
            copy[i * width + j] = j < lanes ? begin[i * begin_stride + j] : 0;
    tile(copy, width, copy, width, a, a_row, a_depth, b, b_stride, depth, list);
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < lanes; j++) c[i * c_stride + j] = copy[i * width + j];
}

/* Acquire ownership of the cache lines of x (n,), which other cores have read: a dummy store to one
 * element of each line (tile.h, decision h). x is unchanged. */
static inline void NAME(acquire_lines)(real *x, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i += FN_LINE / sizeof(real)) {
        volatile real *element = x + i;
        *element = *element;
    }
}

/* One tile of at most `lanes` lanes; arguments as in multiply_add. */
static inline void NAME(compute_tile)(
    real *c, ptrdiff_t c_stride, const real *begin, ptrdiff_t begin_stride,
    const real *a, ptrdiff_t a_row, ptrdiff_t a_depth, const real *b, ptrdiff_t b_stride,
    ptrdiff_t rows, ptrdiff_t lanes, ptrdiff_t depth, const ptrdiff_t *list, int padded,
    real *next_write) {
    enum { n = FN_VECTOR / sizeof(real) };
    static const real zeros[FN_TILE_VECTORS * n] __attribute__((aligned(FN_VECTOR)));
    NAME(tile) tile = NAME(tiles)[(lanes + n - 1) / n][rows];
    if (begin == NULL) begin = zeros, begin_stride = 0;
    for (ptrdiff_t i = 0; next_write && i < rows; i++)
        NAME(acquire_lines)(next_write + i * c_stride, lanes);
    if (!padded && lanes % n)
        NAME(compute_ragged_tile)(tile, c, c_stride, begin, begin_stride, a, a_row, a_depth, b,
                                  b_stride, rows, lanes, depth, list);
    else
        tile(c, c_stride, begin, begin_stride, a, a_row, a_depth, b, b_stride, depth, list);
}

typedef integer NAME(pattern) __attribute__((may_alias));

/* The bitwise or of a (rows,): 0 if all elements are 0. */
static inline NAME(pattern) NAME(combine_bits)(const NAME(pattern) *a, ptrdiff_t rows) {
    NAME(pattern) all = a[0];
    for (ptrdiff_t i = 1; i < rows; i++) all |= a[i];
    return all;
}

/* Write to list (at most FN_LISTED,) the indices of the depth at which some row of a
 * (rows, depth) is not zero; returns their number. One of a_row and a_depth is 1. */
static ptrdiff_t NAME(list_nonzero)(ptrdiff_t *list, const real *elements, ptrdiff_t a_row,
                                    ptrdiff_t a_depth, ptrdiff_t rows, ptrdiff_t depth) {
    enum { usual = FN_WIDE_ROWS }; /* a constant trip count halves the time */
    const NAME(pattern) *a = (const NAME(pattern) *)elements;
    NAME(pattern) all[FN_LISTED];
    ptrdiff_t n = 0;
    if (a_depth == 1) {
        for (ptrdiff_t k = 0; k < depth; k++) all[k] = a[k];
        for (ptrdiff_t i = 1; i < rows; i++)
            for (ptrdiff_t k = 0; k < depth; k++) all[k] |= a[i * a_row + k];
    } else if (rows == usual) {
        for (ptrdiff_t k = 0; k < depth; k++) all[k] = NAME(combine_bits)(a + k * a_depth, usual);
    } else {
        for (ptrdiff_t k = 0; k < depth; k++) all[k] = NAME(combine_bits)(a + k * a_depth, rows);
    }
    for (ptrdiff_t k = 0; k < depth; k++) {
        list[n] = k;
        n += all[k] != 0;
    }
    return n;
}

/* multiply_add for a with many zeros (tile.h, decision i). */
static void NAME(multiply_add_sparse)(
    real *c, ptrdiff_t c_stride, const real *begin, ptrdiff_t begin_stride,
    const real *a, ptrdiff_t a_row, ptrdiff_t a_depth, const real *b, ptrdiff_t b_stride,
    ptrdiff_t rows, ptrdiff_t lanes, ptrdiff_t depth, int padded, real *next_write) {
    enum { width = FN_TILE_VECTORS * FN_VECTOR / sizeof(real) };
    ptrdiff_t list[FN_LISTED];
    ptrdiff_t most = fn_tile_rows[FN_TILE_VECTORS], n_tiles = (rows + most - 1) / most;
    for (ptrdiff_t t = 0; t < n_tiles; t++) {
        ptrdiff_t first = rows * t / n_tiles, size = rows * (t + 1) / n_tiles - first;
        for (ptrdiff_t k = 0; k < depth; k += FN_LISTED) {
            const real *from_a = a + first * a_row + k * a_depth;
            ptrdiff_t deep = depth - k < FN_LISTED ? depth - k : FN_LISTED;
            ptrdiff_t listed = NAME(list_nonzero)(list, from_a, a_row, a_depth, size, deep);
            for (ptrdiff_t lane = 0; lane < lanes; lane += width) {
                ptrdiff_t place = first * c_stride + lane;
                const real *from = begin ? begin + first * begin_stride + lane : NULL;
                if (k) from = c + place;
                NAME(compute_tile)(c + place, c_stride, from, k ? c_stride : begin_stride, from_a,
                                   a_row, a_depth, b + k * b_stride + lane, b_stride, size,
                                   lanes - lane < width ? lanes - lane : width, listed, list,
                                   padded, next_write && k == 0 ? next_write + place : NULL);
            }
        }
    }
}

/* multiply_add over the whole depth. */
static void NAME(multiply_add_dense)(
    real *c, ptrdiff_t c_stride, const real *begin, ptrdiff_t begin_stride,
    const real *a, ptrdiff_t a_row, ptrdiff_t a_depth, const real *b, ptrdiff_t b_stride,
    ptrdiff_t rows, ptrdiff_t lanes, ptrdiff_t depth, int padded, real *next_write) {
    enum { n = FN_VECTOR / sizeof(real), width = FN_TILE_VECTORS * n };
    for (ptrdiff_t lane = 0; lane < lanes; lane += width) {
        ptrdiff_t wide = lanes - lane < width ? lanes - lane : width;
        ptrdiff_t most = fn_tile_rows[(wide + n - 1) / n], n_tiles = (rows + most - 1) / most;
        for (ptrdiff_t t = 0; t < n_tiles; t++) {
            ptrdiff_t first = rows * t / n_tiles, size = rows * (t + 1) / n_tiles - first;
            ptrdiff_t place = first * c_stride + lane;
            const real *from = begin ? begin + first * begin_stride + lane : NULL;
            NAME(compute_tile)(c + place, c_stride, from, begin_stride, a + first * a_row, a_row,
                               a_depth, b + lane, b_stride, size, wide, depth, NULL, padded,
                               next_write ? next_write + place : NULL);
        }
    }
}

/* c[rows, lanes] = begin[rows, lanes] + a[rows, depth] b[depth, lanes], where begin NULL means zeros.
 * Reads begin, a and b; writes c. If c is `padded`, the last vector of each row may be read and
 * written whole. `next_write` is an array with c's layout that this thread will write next: its
 * cache lines are acquired tile by tile; NULL for none. `sparse` is faster if a has many zeros, and
 * bit-identical. */
static inline void NAME(multiply_add)(
    real *c, ptrdiff_t c_stride, const real *begin, ptrdiff_t begin_stride,
    const real *a, ptrdiff_t a_row, ptrdiff_t a_depth, const real *b, ptrdiff_t b_stride,
    ptrdiff_t rows, ptrdiff_t lanes, ptrdiff_t depth, int padded, int sparse, real *next_write) {
    (sparse ? NAME(multiply_add_sparse) : NAME(multiply_add_dense))(
        c, c_stride, begin, begin_stride, a, a_row, a_depth, b, b_stride, rows, lanes, depth,
        padded, next_write);
}

/* Copy n elements, in whole vectors, then halves, quarters, ...: for a few elements, a call of memcpy
 * takes longer than the copy itself. */
#define PART(k) \
    if (k < FN_VECTOR / sizeof(real) && (n & k)) { \
        memcpy(to, from, k * sizeof(real)); \
        to += k; \
        from += k; \
    }
static inline void NAME(copy_row)(real *to, const real *from, ptrdiff_t n) {
    for (ptrdiff_t k = FN_VECTOR / sizeof(real); n >= k; n -= k, to += k, from += k)
        *(any *)to = *(const any *)from;
    PART(8) PART(4) PART(2) PART(1)
}
#undef PART

/* c[lanes] = begin[lanes] + the sum of the rows of b[rows, lanes], as four partial sums that do not
 * wait for each other: a single sum took half the time of a GEMM of 2 rows. */
static void NAME(sum_rows)(real *c, const real *begin, const real *b, ptrdiff_t b_stride,
                           ptrdiff_t lanes, ptrdiff_t rows) {
    enum { n = FN_VECTOR / sizeof(real) };
    for (ptrdiff_t lane = 0; lane < lanes; lane += n, b += n) {
        vec sums[4] = {{0}, {0}, {0}, {0}};
        const real *row = b;
        ptrdiff_t r = 0;
        for (; r + 4 <= rows; r += 4, row += 4 * b_stride) {
            sums[0] += *(const any *)row;
            sums[1] += *(const any *)(row + b_stride);
            sums[2] += *(const any *)(row + 2 * b_stride);
            sums[3] += *(const any *)(row + 3 * b_stride);
        }
        for (; r < rows; r++, row += b_stride) sums[0] += *(const any *)row;
        vec total = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        for (ptrdiff_t i = 0; i < n && lane + i < lanes; i++)
            c[lane + i] = begin ? begin[lane + i] + total[i] : total[i];
    }
}

/* t[n, n] = the transpose of w[w_rows, n], where n is the number of elements in a vector. Row i and
 * row i + n / 2 are interleaved into two rows; repeating that log2(n) times transposes (H. Stone,
 * "Parallel processing with the perfect shuffle", 1971). If w has fewer than n rows, its last one is
 * repeated. */
static inline void NAME(transpose_square)(real *t, ptrdiff_t t_stride, const real *w,
                                          ptrdiff_t w_stride, ptrdiff_t w_rows) {
    enum { n = FN_VECTOR / sizeof(real) };
    typedef integer mask __attribute__((vector_size(FN_VECTOR)));
    vec rows[n], shuffled[n];
#pragma GCC unroll 16
    for (int i = 0; i < n; i++)
        rows[i] = *(const any *)(w + (i < w_rows ? i : w_rows - 1) * w_stride);
#pragma GCC unroll 4
    for (int times = 1; times < n; times *= 2) {
#pragma GCC unroll 8
        for (int i = 0; i < n / 2; i++) {
            shuffled[2 * i] = __builtin_shuffle(rows[i], rows[i + n / 2], (mask)LOWER);
            shuffled[2 * i + 1] = __builtin_shuffle(rows[i], rows[i + n / 2], (mask)UPPER);
        }
#pragma GCC unroll 16
        for (int i = 0; i < n; i++) rows[i] = shuffled[i];
    }
#pragma GCC unroll 16
    for (int i = 0; i < n; i++) *(any *)(t + i * t_stride) = rows[i];
}

/* c[rows] = begin + a[rows, depth] b[depth], a single column: as many rows as a vector has elements
 * are transposed and become lanes. begin points to one element; NULL means zero. a_row is a multiple
 * of a vector. */
static void NAME(multiply_add_column)(real *c, ptrdiff_t c_stride, const real *begin, const real *a,
                                      ptrdiff_t a_row, const real *b, ptrdiff_t rows,
                                      ptrdiff_t depth) {
    enum { n = FN_VECTOR / sizeof(real) };
    real square[n * n] __attribute__((aligned(FN_VECTOR)));
    for (ptrdiff_t r = 0; r < rows; r += n, a += n * a_row, c += n * c_stride) {
        ptrdiff_t left = rows - r < n ? rows - r : n;
        vec sum = (begin ? *begin : 0) - (vec){0};
        for (ptrdiff_t k = 0; k < depth; k += n) {
            NAME(transpose_square)(square, n, a + k, a_row, left);
            for (ptrdiff_t i = 0; i < n && k + i < depth; i++)
                sum = FMA(b[k + i] - (vec){0}, *(const vec *)(square + i * n), sum);
        }
        for (ptrdiff_t i = 0; i < left; i++) c[i * c_stride] = sum[i];
    }
}

/* Copy b[depth, lanes], or the transpose of b[lanes, depth] if `transposed`, to a panel. */
static void NAME(pack)(real *panel, const real *b, ptrdiff_t b_stride, ptrdiff_t lanes,
                       ptrdiff_t depth, int transposed) {
    enum { n = FN_VECTOR / sizeof(real), width = FN_TILE_VECTORS * n };
    for (ptrdiff_t i = 0; i < lanes; i += n)
        for (ptrdiff_t k = 0; k < depth; k += transposed ? n : 1)
            if (transposed)
                NAME(transpose_square)(panel + k * width + i, width, b + i * b_stride + k, b_stride,
                                       lanes - i);
            else
                *(vec *)(panel + k * width + i) = *(const any *)(b + k * b_stride + i);
}

/* multiply_add for a padded c, with b[depth, lanes] or, if `transposed`, the transpose of
 * b[lanes, depth], packed panel by panel. `panel` has panel_size elements and begins on a cache line;
 * it is overwritten. `acquires`: acquire the cache lines of c before they are written. */
static void NAME(multiply_add_packed)(
    real *c, ptrdiff_t c_stride, const real *begin, ptrdiff_t begin_stride,
    const real *a, ptrdiff_t a_row, ptrdiff_t a_depth, const real *b, ptrdiff_t b_stride,
    ptrdiff_t rows, ptrdiff_t lanes, ptrdiff_t depth, int transposed, int acquires, real *panel,
    ptrdiff_t panel_size) {
    enum { width = FN_TILE_VECTORS * FN_VECTOR / sizeof(real) };
    const ptrdiff_t most = panel_size / width;
    for (ptrdiff_t lane = 0; lane < lanes; lane += width, c += width)
        for (ptrdiff_t k = 0; k < depth; k += most) {
            ptrdiff_t wide = lanes - lane < width ? lanes - lane : width;
            ptrdiff_t deep = depth - k < most ? depth - k : most;
            const real *from = k ? c : begin ? begin + lane : NULL;
            NAME(pack)(panel, transposed ? b + lane * b_stride + k : b + k * b_stride + lane,
                       b_stride, wide, deep, transposed);
            NAME(multiply_add)(c, c_stride, from, k ? c_stride : begin_stride, a + k * a_depth,
                               a_row, a_depth, panel, width, rows, wide, deep, 1, 0,
                               acquires && k == 0 ? c : NULL);
        }
}

/* One row of at most 8 vectors of lanes: c = begin + the sum of values[e] * b[indices[e]]. */
#define LOAD_ENTRY_C(i) vec c##i = *(const any *)(begin + i * n);
#define MULTIPLY_ENTRY(i) c##i = FMA(s, *(const any *)(row + i * n), c##i);
#define STORE_ENTRY_C(i) *(any *)(c + i * n) = c##i;
#define ENTRIES(vectors) \
    static void NAME(entries_##vectors)(real *c, const real *begin, const real *values, \
                                        const int32_t *indices, ptrdiff_t depth, ptrdiff_t limit, \
                                        const real *b, ptrdiff_t b_stride) { \
        enum { n = FN_VECTOR / sizeof(real) }; \
        EACH_##vectors(LOAD_ENTRY_C) \
        for (ptrdiff_t e = 0; e < depth; e++) { \
            ptrdiff_t index = (uint32_t)indices[e]; \
            vec s = values[e] - (vec){0}; \
            if (index >= limit) index = 0, s = (real)NAN - (vec){0}; \
            const real *row = b + index * b_stride; \
            EACH_##vectors(MULTIPLY_ENTRY) \
        } \
        EACH_##vectors(STORE_ENTRY_C) \
    }
ENTRIES(1) ENTRIES(2) ENTRIES(3) ENTRIES(4) ENTRIES(5) ENTRIES(6) ENTRIES(7) ENTRIES(8)

typedef void (*NAME(entries))(real *, const real *, const real *, const int32_t *, ptrdiff_t,
                              ptrdiff_t, const real *, ptrdiff_t);
static const NAME(entries) NAME(entries_of)[] = {
    0, NAME(entries_1), NAME(entries_2), NAME(entries_3), NAME(entries_4), NAME(entries_5),
    NAME(entries_6), NAME(entries_7), NAME(entries_8),
};

/* c[lanes] = begin[lanes] + the sum over the depth of values[e] * b[indices[e]], where begin NULL means
 * zeros. An index outside of 0..limit counts as NaN times row 0: memory that others can change cannot
 * be checked beforehand. If c is `padded`, its last vector may be read and written whole. */
static void NAME(multiply_add_entries)(real *c, const real *begin, const real *values,
                                       const int32_t *indices, ptrdiff_t depth, ptrdiff_t limit,
                                       const real *b, ptrdiff_t b_stride, ptrdiff_t lanes,
                                       int padded) {
    enum { n = FN_VECTOR / sizeof(real), width = 8 * n };
    static const real zeros[width] __attribute__((aligned(FN_VECTOR)));
    ptrdiff_t whole = padded ? (lanes + n - 1) / n * n : lanes / n * n;
    for (ptrdiff_t lane = 0; lane < whole; lane += width) {
        ptrdiff_t wide = whole - lane < width ? whole - lane : width;
        NAME(entries_of)[wide / n](c + lane, begin ? begin + lane : zeros, values, indices, depth,
                                   limit, b + lane, b_stride);
    }
    if (whole < lanes) { /* the last vector extends past c: computed in a copy */
        real copy[n] __attribute__((aligned(FN_VECTOR))) = {0};
        if (begin) memcpy(copy, begin + whole, (lanes - whole) * sizeof(real));
        NAME(entries_1)(copy, copy, values, indices, depth, limit, b + whole, b_stride);
        memcpy(c + whole, copy, (lanes - whole) * sizeof(real));
    }
}

#undef LOAD_ENTRY_C
#undef MULTIPLY_ENTRY
#undef STORE_ENTRY_C
#undef ENTRIES
#undef vec
#undef any
