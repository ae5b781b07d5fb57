"""`easel doctor`: checks a deployed stack from its owner's machine, and names what to fix.

It only reads, except for one dry run, which pays nothing.

catalogue     every check in its order, and the run through them
finding       the result of a check
deployment    what AWS reports about the stack
web           requests over HTTP, without credentials
screen        the results on the terminal

The checks are in `account`, `stack`, `money`, `operations`, `access` and `data`.
"""
