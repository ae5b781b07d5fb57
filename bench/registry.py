"""The sections of `make bench`, in the order in which they are measured and reported.

To add a section, write a module with the names of `bench.section.Section`, and add it here.
"""

from bench import (
    cold_start,
    contention,
    day,
    frame,
    gallery,
    imports,
    large,
    n8n,
    paint,
    runs,
    search,
    sizes,
    whole_run,
)
from bench.section import Section

SECTIONS: tuple[Section, ...] = (
    paint,
    cold_start,
    imports,
    frame,
    sizes,
    contention,
    whole_run,
    day,
    runs,
    n8n,
    gallery,
    search,
    large,
)
# These are measured only on request. Their last results are kept and shown with a date.
ON_REQUEST = (n8n.NAME,)
# With LARGE=1, these use their full size. Their last results at full size are kept, too.
WITH_LARGE = (gallery.NAME, search.NAME, large.NAME)


def find(name: str) -> Section:
    """Return the section of this name. Raises KeyError if there is none."""
    return {section.NAME: section for section in SECTIONS}[name]
