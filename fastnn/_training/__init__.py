"""Training of one network: checks of arguments and arrays, network state, epochs, and scores."""
