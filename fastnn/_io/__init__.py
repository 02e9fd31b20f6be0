"""Files of networks and estimators, in the safetensors format. Writing is atomic; reading runs no
code from the file."""
