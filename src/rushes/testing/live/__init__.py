"""The live smoke test: one small clip of a real provider, bought by somebody with a key, and what it showed."""
