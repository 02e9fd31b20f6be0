/* What Cython writes for `inline`; included before all other code of the engine.
 *
 * gcc vectorizes no loop that contains a call, so formulas must be inlined in their loops. Everything
 * else should not be: with every function forced into its callers, training was one function of
 * 200 KB, and gcc took 116 s for a level instead of 31 s, for twice the code and no gain in speed.
 * So gcc decides by size, within the limits that setup.py gives it; test_machine_code.py checks that
 * no formula is left out. clang has no such limits.
 */
#ifndef FASTNN_INLINING_H
#define FASTNN_INLINING_H

#ifdef __clang__
#define CYTHON_INLINE inline __attribute__((always_inline))
#else
#define CYTHON_INLINE inline
#endif

#endif
