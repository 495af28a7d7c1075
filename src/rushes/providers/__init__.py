"""One pair of files per vendor: what its API says (`<name>.py`) and what its models can do (`<name>.toml`)."""
