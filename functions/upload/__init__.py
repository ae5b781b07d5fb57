"""Stores a staged image under its final key.

handler     entry point: copies it, writes thumbnail and sidecar, and marks it as stored
"""
