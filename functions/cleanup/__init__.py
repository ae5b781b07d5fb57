"""The cleanup step: staging is emptied and the run reported; images and folders are deleted on request."""
