"""Durable jobs: admitted once, paid once, finished whatever happens in between."""
