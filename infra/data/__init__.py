"""What is kept: images, records and secrets."""
