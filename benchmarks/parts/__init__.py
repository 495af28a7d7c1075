"""What several benchmarks share: a far side, and how the processes are measured."""
