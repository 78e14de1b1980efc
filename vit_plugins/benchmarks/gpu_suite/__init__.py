"""All that only a GPU can tell, in stages: ``tools/benchmarks/gpu_suite.sh``."""
