"""Studies of frozen features from real weights: ``tools/frozen_features.py``."""
