"""Functions that change a config: `(cfg, ...) -> cfg`, one a file."""
