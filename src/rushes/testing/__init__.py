"""For those who write providers: contract suites, protocol fakes, an account book. Nothing in rushes imports it."""
