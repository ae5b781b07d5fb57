"""What all parts of Easel share. It imports only the standard library."""
