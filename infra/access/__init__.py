"""What roles may do, and the key that a customer may bring."""
