/* The product c[rows, lanes] = begin + a[rows, depth] b[depth, lanes], a with any strides.
 *
 * Decisions
 *   a. Register tiles: with 32 registers (AVX-512) 6 rows x 4 vectors, 8 x 3, 12 x 2 or 12 x 1, with
 *      16 registers 6 x 2 or 12 x 1. All accumulators, the vectors of b and one number of a stay in
 *      registers, and each vector of b that is loaded serves all rows of the tile.
 *   b. b is read along its rows, so whole vectors come straight from the caller's array: packing it
 *      measured 4 to 10 % slower from 32 x 32 x 32 to 100 x 304 x 300. It is packed, into panels as
 *      wide as a tile that stay in the first-level cache, where it has to be transposed, and where
 *      its rows are whole pages apart, so that all of them fall into the same few sets of a cache.
 *      The panel is the caller's: 64 KB are more than the stack of a thread may hold.
 *   c. Accumulators have names, made by macros: as an array they may be kept in memory and stored in
 *      every turn of the loop.
 *   d. Each element of c is one chain of fused products in the order of the depth, in every tile
 *      and in what is left over: its bits do not depend on where a tile begins.
 *   e. The sum begins with rows of any array: with c itself to add to it, with a bias (one row for
 *      all, stride 0), or with zeros. That saves the passes that would write them into c first.
 *   f. Rows are shared out evenly over tiles (10 rows are 5 + 5, not 6 + 4).
 *   g. The last vector of a row of b may reach past its end, also past the end of b: callers keep one
 *      vector readable there. Of a row of c only `lanes` elements are written, or whole vectors
 *      where c is padded.
 *   h. A store to a cache line of which another core has a copy waits until that copy is gone, 20 ns
 *      on an EPYC of family 25, and the stores behind it wait in line. So what will be written is
 *      claimed before: one number of each line is stored back where it is. Such stores wait together,
 *      4 ns each, and while a tile is computed. A prefetch for writing does nothing there about a
 *      line that the core has a copy of itself.
 *   i. Tables of categories are mostly zeros. What all rows of a tile have zero there is left out of
 *      the depth by a list, made anew for each six rows: no number changes by it. Of 408 columns, of
 *      which a tenth is not zero, that leaves a fifth of the forward product and 0.4 of the gradient.
 *   j. A lone column of c would fill one lane of a vector: there, rows become lanes. 4-32-32-1 predicts
 *      20,000 rows in 0.90 of the time, and makes a step in 0.97.
 */
#ifndef FASTNN_TILE_H
#define FASTNN_TILE_H

#include <stddef.h>
#include <string.h>

#include "simd.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#define FN_VECTOR 64
#define FN_FMA_VECTORf _mm512_fmadd_ps
#define FN_FMA_VECTOR _mm512_fmadd_pd
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define FN_VECTOR 32
#define FN_FMA_VECTORf _mm256_fmadd_ps
#define FN_FMA_VECTOR _mm256_fmadd_pd
#else
#define FN_VECTOR 16
#define FN_FMA_VECTORf(a, b, c) ((a) * (b) + (c))
#define FN_FMA_VECTOR(a, b, c) ((a) * (b) + (c))
#endif

/* Rows of a tile of 1, 2, ... vectors: what the registers hold. */
#define FN_WIDE_ROWS 6
#if defined(__AVX512F__)
static const int fn_tile_rows[] = {0, 12, 12, 8, FN_WIDE_ROWS};
#define FN_TILE_VECTORS 4
#else
static const int fn_tile_rows[] = {0, 12, FN_WIDE_ROWS};
#define FN_TILE_VECTORS 2
#endif

#define FN_LINE 64           /* bytes */
#define FN_LISTED 1024       /* of a depth, at a time */

/* EACH_n(X): X(0) ... X(n - 1). */
#define EACH_1(X) X(0)
#define EACH_2(X) EACH_1(X) X(1)
#define EACH_3(X) EACH_2(X) X(2)
#define EACH_4(X) EACH_3(X) X(3)
#define EACH_5(X) EACH_4(X) X(4)
#define EACH_6(X) EACH_5(X) X(5)
#define EACH_7(X) EACH_6(X) X(6)
#define EACH_8(X) EACH_7(X) X(7)
#define EACH_9(X) EACH_8(X) X(8)
#define EACH_10(X) EACH_9(X) X(9)
#define EACH_11(X) EACH_10(X) X(10)
#define EACH_12(X) EACH_11(X) X(11)

/* What a tile of m vectors does with its row i. `vec` is a vector, `any` one at any address. */
#define BEGIN_1(i) vec c##i##_0 = *(const any *)(begin + i * begin_stride);
#define BEGIN_2(i) BEGIN_1(i) vec c##i##_1 = *(const any *)(begin + i * begin_stride + n);
#define BEGIN_3(i) BEGIN_2(i) vec c##i##_2 = *(const any *)(begin + i * begin_stride + 2 * n);
#define BEGIN_4(i) BEGIN_3(i) vec c##i##_3 = *(const any *)(begin + i * begin_stride + 3 * n);
#define READ_1 vec b0 = *(const any *)b;
#define READ_2 READ_1 vec b1 = *(const any *)(b + n);
#define READ_3 READ_2 vec b2 = *(const any *)(b + 2 * n);
#define READ_4 READ_3 vec b3 = *(const any *)(b + 3 * n);
#define TURN(i) vec s##i = a[i * a_row] - (vec){0};
#define TURN_1(i) TURN(i) c##i##_0 = FMA(s##i, b0, c##i##_0);
#define TURN_2(i) TURN_1(i) c##i##_1 = FMA(s##i, b1, c##i##_1);
#define TURN_3(i) TURN_2(i) c##i##_2 = FMA(s##i, b2, c##i##_2);
#define TURN_4(i) TURN_3(i) c##i##_3 = FMA(s##i, b3, c##i##_3);
#define END_1(i) *(any *)(c + i * c_stride) = c##i##_0;
#define END_2(i) END_1(i) *(any *)(c + i * c_stride + n) = c##i##_1;
#define END_3(i) END_2(i) *(any *)(c + i * c_stride + 2 * n) = c##i##_2;
#define END_4(i) END_3(i) *(any *)(c + i * c_stride + 3 * n) = c##i##_3;

/* `list` says which of the depth there are; NULL is all. */
#define TILE(rows, vectors) \
    static void NAME(tile_##rows##x##vectors)( \
        real *c, ptrdiff_t c_stride, const real *begin, ptrdiff_t begin_stride, const real *a, \
        ptrdiff_t a_row, ptrdiff_t a_depth, const real *b, ptrdiff_t b_stride, \
        ptrdiff_t depth, const ptrdiff_t *list) { \
        enum { n = FN_VECTOR / sizeof(real) }; \
        EACH_##rows(BEGIN_##vectors) \
        if (list) { \
            const real *all_a = a, *all_b = b; \
            for (; depth > 0; depth--, list++) { \
                a = all_a + *list * a_depth; \
                b = all_b + *list * b_stride; \
                READ_##vectors \
                EACH_##rows(TURN_##vectors) \
            } \
        } else { \
            for (; depth > 0; depth--, a += a_depth, b += b_stride) { \
                READ_##vectors \
                EACH_##rows(TURN_##vectors) \
            } \
        } \
        EACH_##rows(END_##vectors) \
    }

#define TILES_6(vectors) TILE(1, vectors) TILE(2, vectors) TILE(3, vectors) TILE(4, vectors) \
    TILE(5, vectors) TILE(6, vectors)
#define TILES_8(vectors) TILES_6(vectors) TILE(7, vectors) TILE(8, vectors)
#define TILES_12(vectors) TILES_8(vectors) TILE(9, vectors) TILE(10, vectors) TILE(11, vectors) \
    TILE(12, vectors)

#define NAMES_6(m) 0, NAME(tile_1x##m), NAME(tile_2x##m), NAME(tile_3x##m), NAME(tile_4x##m), \
    NAME(tile_5x##m), NAME(tile_6x##m)
#define NAMES_8(m) NAMES_6(m), NAME(tile_7x##m), NAME(tile_8x##m)
#define NAMES_12(m) NAMES_8(m), NAME(tile_9x##m), NAME(tile_10x##m), NAME(tile_11x##m), \
    NAME(tile_12x##m)

/* The numbers of two vectors of 16, 8, 4 or 2 in turn: of their lower and of their upper halves. */
#define LOWER_16 {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23}
#define UPPER_16 {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31}
#define LOWER_8 {0, 8, 1, 9, 2, 10, 3, 11}
#define UPPER_8 {4, 12, 5, 13, 6, 14, 7, 15}
#define LOWER_4 {0, 4, 1, 5}
#define UPPER_4 {2, 6, 3, 7}
#define LOWER_2 {0, 2}
#define UPPER_2 {1, 3}

#define real float
#define integer int32_t
#if FN_VECTOR == 64
#define LOWER LOWER_16
#define UPPER UPPER_16
#elif FN_VECTOR == 32
#define LOWER LOWER_8
#define UPPER UPPER_8
#else
#define LOWER LOWER_4
#define UPPER UPPER_4
#endif
#define NAME(x) fn_##x##f
#define FMA FN_FMA_VECTORf
#include "tile_body.h"
#undef real
#undef integer
#undef LOWER
#undef UPPER
#undef NAME
#undef FMA

#define real double
#define integer int64_t
#if FN_VECTOR == 64
#define LOWER LOWER_8
#define UPPER UPPER_8
#elif FN_VECTOR == 32
#define LOWER LOWER_4
#define UPPER UPPER_4
#else
#define LOWER LOWER_2
#define UPPER UPPER_2
#endif
#define NAME(x) fn_##x
#define FMA FN_FMA_VECTOR
#include "tile_body.h"
#undef real
#undef integer
#undef LOWER
#undef UPPER
#undef NAME
#undef FMA

#endif
