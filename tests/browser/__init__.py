"""The page in a real Chromium, one for all tests of this folder."""
