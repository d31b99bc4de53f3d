"""What is true about faces, whoever asks."""
