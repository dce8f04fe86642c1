"""Measures this project against its peers and against the machine; `python -m bench --help`."""
