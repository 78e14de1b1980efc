"""What a network shows of itself: attention, gates, positions, filters, predicted offsets."""
