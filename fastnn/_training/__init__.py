"""Training one network: checked arguments, its state, epochs, and what is recorded of them."""
