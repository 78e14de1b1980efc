"""Pictures of the inside of a trained model, on users' photos."""
