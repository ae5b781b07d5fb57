"""The names of sizes, as of a date: what websites and networks ask for.

A run keeps the pixels of its names, so a change of this table changes no earlier run.
"""

from datetime import date

READ_ON = date(2026, 11, 29)
# Width and height in pixels. The networks show other sizes as well; these are the sizes that their
# help pages, or guides that quote them, recommend.
NAMED_SIZES = {
    "instagram-post": (1080, 1080),
    "instagram-portrait": (1080, 1350),
    "story": (1080, 1920),  # Instagram, Facebook, TikTok, YouTube Shorts
    "open-graph": (1200, 630),  # the preview of a link: https://ogp.me
    "x-header": (1500, 500),
    "x-post": (1600, 900),
    "youtube-thumbnail": (1280, 720),
    "pinterest-pin": (1000, 1500),
    "linkedin-post": (1200, 627),
    "full-hd": (1920, 1080),
}
