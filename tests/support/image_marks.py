"""Reads the marks in image files with Exiv2, a program that Easel does not use itself."""

import pyexiv2


def xmp_of(data: bytes) -> dict[str, object]:
    """Return the XMP metadata of a file, by Exiv2's names."""
    with pyexiv2.ImageData(data) as image:
        return dict(image.read_xmp())
