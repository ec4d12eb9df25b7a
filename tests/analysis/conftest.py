import sys
from pathlib import Path

# The packages under test are not installed, and the data sets are shared by the modules here.
sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
