"""The command line for a deployed stack, here or on AWS: run, open, secret. `python -m operate --help`."""
