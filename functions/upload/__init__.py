"""The upload step: a staged picture is verified and stored under its final key."""
