"""The stored data: images, records and secrets."""
