"""The fault matrix: real worker processes, a far side that fails on purpose, and two sets of books to compare.

    python -m rushes.testing.matrix --seed 7 --minutes 20

A row is one plan of faults, one kind of provider, one database, so many workers, and one way of killing them. Jobs are
admitted by a process of their own; the far side charges in its account book whatever it accepts; a person's part
(`rushes jobs resolve`) is played from what the far side knows, as a person would read it in the vendor's console. When
nothing is left to do, `audit.py` compares the far side's book with the ledger and with the files.

`plans.py` has the faults, `kinds.py` the providers, `killing.py` the ways to die, `rows.py` which of them are combined.
"""
