"""The HTTP API and the page. It reads, and starts the state machines; it buys and deletes nothing.

routes    every route with its scope
runs, batches, images, folders, estimates   what answers them
views     how executions and records are shown
schemas   the shapes of the answers
problems  errors, as the API returns them
page      the page's files, its settings, and the API's description
openapi   the description itself
caller    who calls, and the body of the call
links     presigned links to images and for manifests
services  what the routes talk to
"""
