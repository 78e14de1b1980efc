"""Measure in stages what needs a GPU: ``tools/benchmarks/gpu_suite.sh``."""
