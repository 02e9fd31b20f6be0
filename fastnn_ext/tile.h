/* GEMM: c[rows, lanes] = begin + a[rows, depth] b[depth, lanes], where a may have any strides.
 *
 * Decisions
 *   a. Register tiles: with 32 registers (AVX-512) 6 rows x 4 vectors, 8 x 3, 12 x 2 or 12 x 1,
 *      with 16 registers 6 x 2 or 12 x 1. All accumulators, the vectors of b and one element of a
 *      stay in registers, and each vector of b that is loaded is used for all rows of the tile.
 *   b. b is read along its rows, so whole vectors are loaded directly from the caller's array:
 *      packing it was 4 to 10 % slower from 32 x 32 x 32 to 100 x 304 x 300. It is packed, into
 *      panels as wide as a tile that stay in L1, in two cases: if it has to be transposed, and if
 *      its rows are whole pages apart, so that all of them map to the same few sets of a cache.
 *      The caller provides the panel: 64 KB may exceed the stack of a thread.
 *   c. Accumulators are named variables, made by macros: the compiler may keep an array of
 *      them in memory and store it in every iteration of the loop.
 *   d. Each element of c is one chain of multiply-adds, fused from v3 on, in the order of the
 *      depth, in every tile and in the remainders: its bits do not depend on where a tile
 *      begins.
 *   e. The accumulators start from `begin`, which may be any array: c itself to accumulate into
 *      it, a bias (one row for all, stride 0), or zeros. That saves a pass that would write them
 *      to c first.
 *   f. Rows are distributed evenly over tiles (10 rows are 5 + 5, not 6 + 4).
 *   g. The last vector of a row of b may extend past the end of the row, also past the end of b:
 *      callers keep one vector readable there. Only `lanes` elements of a row of c are written,
 *      or whole vectors if c is padded.
 *   h. A store to a cache line that another core holds waits until that copy is invalidated, 20
 *      ns on an EPYC of family 25, and later stores queue behind it. So one dummy store per cache
 *      line is issued early (`acquire_lines`): the read-for-ownership requests overlap, 4 ns
 *      each, and proceed while a tile is computed. A prefetch for writing has no effect there on
 *      a line of which the core itself holds a copy.
 *   i. One-hot encoded tables are mostly zeros. An index of the depth at which all rows of a tile
 *      are zero is left out, by means of a list made for every six rows; no result changes by
 *      this. With 408 columns, a tenth of them nonzero, the forward GEMM shrinks to a fifth and
 *      the gradient's to 0.4.
 *   j. A single column of c would use one lane of a vector, so rows become lanes there. 4-32-32-1
 *      predicts 20,000 rows in 0.90 of the time, and makes a training step in 0.97 of it.
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
#define FN_LISTED 1024       /* indices of the depth in one list */

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

/* The operations of a tile of 1 to 4 vectors on its row i. `vec` is a vector, `any` the same at any
 * address. */
#define LOAD_C_1(i) vec c##i##_0 = *(const any *)(begin + i * begin_stride);
#define LOAD_C_2(i) LOAD_C_1(i) vec c##i##_1 = *(const any *)(begin + i * begin_stride + n);
#define LOAD_C_3(i) LOAD_C_2(i) vec c##i##_2 = *(const any *)(begin + i * begin_stride + 2 * n);
#define LOAD_C_4(i) LOAD_C_3(i) vec c##i##_3 = *(const any *)(begin + i * begin_stride + 3 * n);
#define LOAD_B_1 vec b0 = *(const any *)b;
#define LOAD_B_2 LOAD_B_1 vec b1 = *(const any *)(b + n);
#define LOAD_B_3 LOAD_B_2 vec b2 = *(const any *)(b + 2 * n);
#define LOAD_B_4 LOAD_B_3 vec b3 = *(const any *)(b + 3 * n);
#define LOAD_A(i) vec s##i = a[i * a_row] - (vec){0};
#define MULTIPLY_1(i) LOAD_A(i) c##i##_0 = FMA(s##i, b0, c##i##_0);
#define MULTIPLY_2(i) MULTIPLY_1(i) c##i##_1 = FMA(s##i, b1, c##i##_1);
#define MULTIPLY_3(i) MULTIPLY_2(i) c##i##_2 = FMA(s##i, b2, c##i##_2);
#define MULTIPLY_4(i) MULTIPLY_3(i) c##i##_3 = FMA(s##i, b3, c##i##_3);
#define STORE_C_1(i) *(any *)(c + i * c_stride) = c##i##_0;
#define STORE_C_2(i) STORE_C_1(i) *(any *)(c + i * c_stride + n) = c##i##_1;
#define STORE_C_3(i) STORE_C_2(i) *(any *)(c + i * c_stride + 2 * n) = c##i##_2;
#define STORE_C_4(i) STORE_C_3(i) *(any *)(c + i * c_stride + 3 * n) = c##i##_3;

/* One tile. `list` holds the indices of the depth to include; NULL includes all. */
#define TILE(rows, vectors) \
    static void NAME(tile_##rows##x##vectors)( \
        real *c, ptrdiff_t c_stride, const real *begin, ptrdiff_t begin_stride, const real *a, \
        ptrdiff_t a_row, ptrdiff_t a_depth, const real *b, ptrdiff_t b_stride, \
        ptrdiff_t depth, const ptrdiff_t *list) { \
        enum { n = FN_VECTOR / sizeof(real) }; \
        EACH_##rows(LOAD_C_##vectors) \
        if (list) { \
            const real *all_a = a, *all_b = b; \
            for (; depth > 0; depth--, list++) { \
                a = all_a + *list * a_depth; \
                b = all_b + *list * b_stride; \
                LOAD_B_##vectors \
                EACH_##rows(MULTIPLY_##vectors) \
            } \
        } else { \
            for (; depth > 0; depth--, a += a_depth, b += b_stride) { \
                LOAD_B_##vectors \
                EACH_##rows(MULTIPLY_##vectors) \
            } \
        } \
        EACH_##rows(STORE_C_##vectors) \
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

/* Interleave the elements of two vectors of 16, 8, 4 or 2: their lower and their upper halves. */
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
