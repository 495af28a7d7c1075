"""A fake for each vendor, found by its file name; each names its `BENCH`."""
