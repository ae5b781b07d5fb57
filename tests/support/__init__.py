"""Code that the tests share: fakes, loopback servers, and their view of the local stack."""
