"""Stores a staged image under its final key.

handler     entry point: copies it, writes previews and sidecar, and marks it as stored
sizes       stores its exact sizes
"""
