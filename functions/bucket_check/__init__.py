"""Deployed only with an existing bucket: refuses one that is not ours or keeps no versions, when the stack is created or changed."""
