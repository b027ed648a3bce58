"""Benchmarks against peers, side by side in one run. `make bench` prints ratios; no number here
fails a build.
"""
