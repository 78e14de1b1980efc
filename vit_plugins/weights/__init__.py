"""What checkpoint files hold, and how it gets into a model."""
