"""One forward and one backward pass, number by number."""
