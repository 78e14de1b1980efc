"""Write the results of a training as lines of text, and as a page to send to a colleague."""
