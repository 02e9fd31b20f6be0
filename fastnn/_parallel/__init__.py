"""How many threads a call uses, and pools of threads for independent tasks."""
