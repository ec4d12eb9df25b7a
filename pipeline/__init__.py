"""The command `rwe`: load, build, publish."""
