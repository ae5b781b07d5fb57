"""The stack on this machine: a local AWS, a stand-in for OpenAI, and the deploy of the synthesized template."""
