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
                           ptrdiff_t, const real *, ptrdiff_t, ptrdiff_t);
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

/* A tile whose last vector reaches past `lanes`: by way of a copy. */
static void NAME(ragged_tile)(
    NAME(tile) tile, real *c, ptrdiff_t c_stride, const real *begin, ptrdiff_t begin_stride,
    const real *a, ptrdiff_t a_row, ptrdiff_t a_depth, const real *b, ptrdiff_t b_stride,
    ptrdiff_t rows, ptrdiff_t lanes, ptrdiff_t depth) {
    enum { width = FN_TILE_VECTORS * FN_VECTOR / sizeof(real) };
    real copy[12 * width] __attribute__((aligned(FN_VECTOR)));
    if (rows < 1) __builtin_unreachable(); /* else gcc warns that copy may be unset */
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < width; j++)
            copy[i * width + j] = j < lanes ? begin[i * begin_stride + j] : 0;
    tile(copy, width, copy, width, a, a_row, a_depth, b, b_stride, depth);
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < lanes; j++) c[i * c_stride + j] = copy[i * width + j];
}

/* c[rows, lanes] = begin[rows, lanes] + a[rows, depth] b[depth, lanes]; begin NULL is zeros. Where c
 * is `padded`, the last vector of a row may be read and written whole. */
static void NAME(multiply_add)(
    real *c, ptrdiff_t c_stride, const real *begin, ptrdiff_t begin_stride,
    const real *a, ptrdiff_t a_row, ptrdiff_t a_depth, const real *b, ptrdiff_t b_stride,
    ptrdiff_t rows, ptrdiff_t lanes, ptrdiff_t depth, int padded) {
    enum { n = FN_VECTOR / sizeof(real) };
    static const real zeros[FN_TILE_VECTORS * FN_VECTOR / sizeof(real)]
        __attribute__((aligned(FN_VECTOR)));
    for (ptrdiff_t lane = 0; lane < lanes;) {
        ptrdiff_t left = (lanes - lane + n - 1) / n;
        ptrdiff_t vectors = left < FN_TILE_VECTORS ? left : FN_TILE_VECTORS;
        ptrdiff_t most = fn_tile_rows[vectors];
        ptrdiff_t n_tiles = (rows + most - 1) / most;
        ptrdiff_t from_stride = begin ? begin_stride : 0;
        int ragged = !padded && lane + vectors * n > lanes;
        for (ptrdiff_t t = 0; t < n_tiles; t++) {
            ptrdiff_t first = rows * t / n_tiles, size = rows * (t + 1) / n_tiles - first;
            NAME(tile) tile = NAME(tiles)[vectors][size];
            const real *from = begin ? begin + first * begin_stride + lane : zeros;
            real *to = c + first * c_stride + lane;
            if (ragged)
                NAME(ragged_tile)(tile, to, c_stride, from, from_stride, a + first * a_row, a_row,
                                  a_depth, b + lane, b_stride, size, lanes - lane, depth);
            else
                tile(to, c_stride, from, from_stride, a + first * a_row, a_row, a_depth, b + lane,
                     b_stride, depth);
        }
        lane += vectors * n;
    }
}

#undef vec
#undef any
