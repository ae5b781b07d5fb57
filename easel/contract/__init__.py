"""What all parts of Easel agree on. Standard library only, and nothing in here imports the rest."""
