"""Pure functions behind the metrics: ranking, scores, PCA, probes, statistics."""
