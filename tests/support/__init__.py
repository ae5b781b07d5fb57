"""What the tests share: fakes, loopback servers, and the local stack as they see it."""
