"""Utilities: checks of parameters, random numbers, progress bars, plots, array conversion."""
