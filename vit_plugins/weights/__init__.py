"""Read checkpoint files and load them into models."""
