"""Makes `films.py`, which lies beside the tests, importable, as `tests/media/conftest.py` does for its neighbours."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
