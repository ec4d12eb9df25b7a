"""Checks as data: what an extract and the marts must look like.

`catalogue.yml` holds every check and every threshold; `structure` adds, for each table of the
extract contract, what the contract promises; `run.run` executes both with Great Expectations on
DuckDB and `history.write` stores the results.
"""
