"""Read the inside of a network: attention, gates, positions, filters, predicted offsets."""
