"""The findings of `History.report`: what a run shows about its training."""
