"""The distribution: the public address of the page, the API and shared images."""
