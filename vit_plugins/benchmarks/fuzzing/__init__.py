"""Give changed files to readers, and check that they raise only documented errors."""
