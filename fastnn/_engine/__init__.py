"""Networks as the compiled engine reads them, and the calls of that engine."""
