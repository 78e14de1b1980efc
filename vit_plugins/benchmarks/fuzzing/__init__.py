"""Give readers what nobody has written, and see that they raise what they document."""
