"""Use a trained model on files: classify, search, probe, compare."""
