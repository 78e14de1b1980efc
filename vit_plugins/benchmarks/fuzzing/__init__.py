"""Check that readers of changed files raise only documented errors."""
