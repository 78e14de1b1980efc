"""What comes with the package: find a recipe, list all, copy one, what is published of it."""
