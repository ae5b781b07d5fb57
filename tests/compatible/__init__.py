"""Compatible servers: the client that ships, with a server between it and the fake OpenAI."""
