"""What every part may use: checks of parameters, random numbers, progress, figures, columns."""
