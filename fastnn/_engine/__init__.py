"""The compiled engine: its memory layout of a network, and calls of its kernels."""
