"""The HTTP API and the page. It reads, and starts the state machine; it pays for nothing and touches no picture itself.

routes     every route with its scope         runs, batches, images, folders, estimates   what answers them
answers    the shapes of the answers          problems   the shape of the errors  files   the page and the description
"""
