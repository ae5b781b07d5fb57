"""The script that makes the contact sheet of docs/sizes.md with the code that cuts sizes.

Run `python -m tests.browser.contact_sheet` after a change of the crop.
"""

import io
from pathlib import Path

from PIL import Image, ImageDraw

from easel.images.exact_sizes import Cutter
from easel.request.named_sizes import NAMED_SIZES
from local.fake_openai.painting import Look, paint

SHEET = Path(__file__).resolve().parents[2] / "docs" / "images" / "sizes.jpg"
SHOWN, COLUMNS, CELL, LABEL = 8, 4, 260, 18
PROMPT = "A hot air balloon over lavender fields"
LOOK = Look(
    width=1600,
    height=2848,
    output_format="png",
    transparent=False,
    compression=90,
    rough=False,
)


def main() -> None:
    """Write the crops of the first eight named sizes, each with its name."""
    image = Image.open(io.BytesIO(paint(PROMPT, LOOK))).convert("RGB")
    cutter = Cutter(image, kind="jpeg", crop="focus", xmp=b"")
    rows = -(-SHOWN // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * CELL, rows * (CELL + LABEL)), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (name, (width, height)) in enumerate(list(NAMED_SIZES.items())[:SHOWN]):
        cut = Image.open(io.BytesIO(cutter.cut(width, height).data))
        cut.thumbnail((CELL - 12, CELL - 12))
        row, column = divmod(place, COLUMNS)
        left, top = column * CELL, row * (CELL + LABEL)
        sheet.paste(cut, (left + (CELL - cut.width) // 2, top + CELL - 6 - cut.height))
        draw.text((left + CELL // 2, top + CELL), f"{name} {width}x{height}", "black", anchor="ma")
    sheet.save(SHEET, quality=80)


if __name__ == "__main__":
    main()
