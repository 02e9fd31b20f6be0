"""Fits of single estimators: checks, layers, solvers, early stopping and files."""
