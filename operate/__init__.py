"""The command line for a deployed stack, here or on AWS: run, redrive, report, open, budget, secret. `python -m operate --help`."""
