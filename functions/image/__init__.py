"""The image step: one picture is claimed, bought and staged."""
