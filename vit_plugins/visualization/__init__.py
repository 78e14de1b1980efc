"""Arrays in, pictures out; nothing else paints."""
