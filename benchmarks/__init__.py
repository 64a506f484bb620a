"""Benchmarks: the bridge beside other programs, through HTTP and its command only."""
