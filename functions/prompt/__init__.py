"""The prompt step: the request is checked and the image prompt is written, before any picture is paid."""
