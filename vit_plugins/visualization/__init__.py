"""Plot arrays as pictures; no other module makes pictures."""
