"""Fakes of real servers of the OpenAI Videos dialect, one file each, every one with its own quirks."""
