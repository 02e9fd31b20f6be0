"""How many threads work, and several networks side by side."""
