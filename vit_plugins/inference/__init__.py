"""A trained model on people's files: classify, search, probe, compare."""
