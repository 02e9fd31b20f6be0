"""Several networks at a time: seeds, folds, restarts, range tests, and what came of them."""
