"""The cleanup step: staging is emptied and the run reported; images and folders are deleted and restored on request."""
