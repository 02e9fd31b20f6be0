"""Files: networks and estimators as safetensors, written whole and read without running code."""
