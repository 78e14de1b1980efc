"""Pictures of what a trained model does inside, on people's photos."""
