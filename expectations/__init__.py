"""Checks as data: what an extract and the marts must look like.

`catalogue.yml` holds every check and every threshold; `structure` adds, for each table of the
extract contract, what the contract promises; `run.run` executes both with Great Expectations on
DuckDB and `history.write` stores the results.
"""

import os

# Nothing is to be sent, and no id file written. Both are set before there are threads: DuckDB reads
# the environment without Python's lock. The second Great Expectations sets itself, in a thread.
os.environ["GX_ANALYTICS_ENABLED"] = "false"
os.environ["SF_PARTNER"] = "great_expectations_oss"
