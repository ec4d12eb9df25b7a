import sys
from pathlib import Path

# Lets a bare `pytest` find the package, which is not installed.
sys.path.insert(0, str(Path(__file__).parents[2]))
