"""Experiments with many networks: seeds, folds, restarts, ensembles, learning-rate range tests."""
