"""Image edits of the fake OpenAI, used through the real client."""

import base64
import hashlib
import io
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import openai
import pytest
from PIL import Image

from local.fake_openai.requests import image_tokens
from tests.support.fake_openai import EDITS_URL, IMAGES_URL, SMALL, Account, NamedFile
from tests.support.images import encoded, png, png_with_hole

RED, BLUE, LIME = (255, 0, 0), (0, 0, 255), (0, 255, 0)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"/>'
PNG_TYPE = "image/png"


def named(content: bytes, kind: str = PNG_TYPE, name: str = "a.png") -> NamedFile:
    return name, content, kind


def solid(colour: str, width: int = 64, height: int = 48) -> NamedFile:
    return named(png(width, height, colour))


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(answer: Any) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(answer.data[0].b64_json)))


def pixels(image: Image.Image, *places: tuple[int, int]) -> list[Any]:
    return [image.convert("RGB").getpixel(place) for place in places]


def data_url(content: bytes, kind: str = PNG_TYPE) -> dict[str, str]:
    return {"image_url": f"data:{kind};base64,{base64.b64encode(content).decode()}"}


def edit_with_json(account: Account, **body: Any) -> Any:
    body = {"prompt": "a lighthouse"} | SMALL | body
    return account.api.post("/images/edits", body=body, cast_to=openai.types.ImagesResponse)


def edit_with_form(account: Account, *files: tuple[str, Any], **data: Any) -> Any:
    """Send a form with these files, under these names."""
    return account.api.post(
        "/images/edits",
        body={"prompt": "a lighthouse"} | SMALL | data,
        files=list(files),
        options={"headers": {"Content-Type": "multipart/form-data"}},
        cast_to=openai.types.ImagesResponse,
    )


def refusal(call: Callable[[], Any]) -> openai.BadRequestError:
    with pytest.raises(openai.BadRequestError) as exc_info:
        call()
    return exc_info.value


def test_images_are_shown_in_order_over_painting(account: Account) -> None:
    painting = opened(account.picture())
    account.forget()

    result = opened(account.edit(solid("red"), solid("blue"), solid("lime")))

    assert (result.size, result.format) == ((1024, 640), "PNG")
    # Three images are in two rows of two cells.
    assert pixels(result, (256, 160), (768, 160), (256, 480)) == [RED, BLUE, LIME]
    corners = [(2, 2), (1021, 2), (2, 637), (768, 480)]
    assert pixels(result, *corners) == pixels(painting, *corners)


def test_same_edit_gives_same_bytes(account: Account) -> None:
    first = account.edit(solid("red"))
    account.forget()
    again = account.edit(solid("red"))
    account.forget()
    other = account.edit(solid("blue"))

    assert first.data[0].b64_json == again.data[0].b64_json != other.data[0].b64_json


def test_mask_shows_painting_only_where_transparent(account: Account) -> None:
    painting = opened(account.picture())
    account.forget()
    mask = named(png_with_hole(64, 40, (16, 10, 32, 20)))

    result = opened(account.edit(solid("red", 64, 40), mask=mask))

    # The result is 16 times as large as the mask.
    inside, outside = [(257, 161), (510, 318)], [(254, 158), (513, 321), (0, 0), (1023, 639)]
    assert pixels(result, *outside) == [RED] * 4
    assert pixels(result, *inside) == pixels(painting, *inside)


def test_other_images_are_shown_in_the_hole(account: Account) -> None:
    mask = named(png_with_hole(64, 40, (32, 0, 64, 40)))

    result = opened(account.edit(solid("red", 64, 40), solid("blue"), mask=mask))

    assert pixels(result, (256, 320), (768, 320)) == [RED, BLUE]


def test_mask_without_transparent_pixels_keeps_image(account: Account) -> None:
    mask = named(png_with_hole(64, 40, (0, 0, 0, 0)))

    result = opened(account.edit(solid("red", 64, 40), solid("blue"), mask=mask))

    assert pixels(result, (0, 0), (512, 320)) == [RED, RED]


def test_transparent_pixels_of_an_image_show_painting(account: Account) -> None:
    painting = opened(account.picture())
    account.forget()
    image = Image.new("RGBA", (64, 40), (0, 0, 255, 255))
    image.paste((0, 0, 0, 0), (0, 0, 32, 40))

    result = opened(account.edit(named(saved(image))))

    assert pixels(result, (300, 320)) == pixels(painting, (300, 320))
    assert pixels(result, (700, 320)) == [BLUE]


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize(
    "image",
    [
        named(saved(Image.new("LA", (64, 48), (90, 40)))),
        named(saved(Image.new("L", (64, 48), 90))),
        named(encoded("JPEG"), "image/jpeg"),
        named(encoded("WEBP"), "image/webp"),
        named(saved(Image.new("RGBA", (64, 48), (9, 9, 9, 0)), "WEBP"), "image/webp"),
    ],
)
def test_each_format_can_be_edited(account: Account, image: NamedFile, output_format: str) -> None:
    result = opened(account.edit(image, output_format=output_format, size="640x1024"))

    assert (result.size, result.format) == ((640, 1024), output_format.upper())


def test_sixteen_images_of_any_shape_are_shown(account: Account) -> None:
    thin = [solid("red", 2_000, 1), solid("blue", 1, 2_000)]

    answer = account.edit(*thin, *[solid("lime")] * 14)

    # The result is 1024x640: five columns and four rows.
    assert pixels(opened(answer), (512, 80), (102, 560)) == [LIME, LIME]


def test_both_field_names_keep_their_order(account: Account) -> None:
    files = [("image", solid("red")), ("image[]", solid("blue")), ("image", solid("lime"))]

    result = opened(edit_with_form(account, *files))

    assert pixels(result, (256, 160), (768, 160), (256, 480)) == [RED, BLUE, LIME]


def test_image_is_turned_upright(account: Account) -> None:
    image = Image.new("RGB", (40, 64), "blue")
    image.paste((255, 0, 0), (0, 0, 40, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it clockwise, so that the red half is on the right
    file = named(saved(image, "JPEG", exif=exif, quality=100), "image/jpeg")
    mask = named(png_with_hole(64, 40, (0, 0, 1, 1)))

    result = opened(account.edit(file, mask=mask))

    (left, right) = pixels(result, (200, 320), (800, 320))
    assert (left[2] > 200, right[0] > 200) == (True, True)


def test_data_urls_and_file_ids_are_edited_like_files(account: Account) -> None:
    red, blue, hole = png(64, 48, "red"), png(64, 48, "blue"), png_with_hole(64, 48, (9, 9, 50, 40))
    with_files = account.edit(named(red), named(blue), mask=named(hole))
    account.forget()
    file_id = account.upload_image(named(blue))

    with_references = edit_with_json(
        account, images=[data_url(red), {"file_id": file_id}], mask=data_url(hole)
    )

    assert with_references.data[0].b64_json == with_files.data[0].b64_json
    assert with_references.usage == with_files.usage


@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        ((1024, 1024), 1024),
        ((512, 512), 1024),  # magnified twofold
        ((256, 256), 256),
        ((800, 600), 32 * 24),  # magnified to 1024x768
        ((1000, 1000), 1024),
        ((10, 10), 1),
        ((900, 30), 32 * 11),  # extended to 1024x342
        ((30, 900), 32 * 11),
        ((1800, 2400), 33 * 44),  # OpenAI's own example of the limit
        ((2048, 2048), 39 * 39),
        ((1536, 1024), 48 * 32),
        ((8000, 8000), 39 * 39),
        ((8192, 1), 66 * 22),
    ],
)
def test_tokens_of_an_input_image(size: tuple[int, int], tokens: int) -> None:
    assert image_tokens(*size) == tokens


def test_input_images_are_billed(account: Account) -> None:
    generated = account.picture().usage
    edited = account.edit(solid("red", 512, 512), solid("blue", 800, 600)).usage

    text, images = generated.input_tokens, 1024 + 32 * 24
    assert edited.input_tokens_details.model_dump() == {"text_tokens": text, "image_tokens": images}
    assert edited.input_tokens == text + images
    assert edited.output_tokens == generated.output_tokens
    assert edited.total_tokens == text + images + edited.output_tokens
    assert account.charges()["images"] == 2


def test_files_of_an_edit_are_recorded(account: Account) -> None:
    red, mask = png(64, 48, "red"), png_with_hole(64, 48, (0, 0, 9, 9))

    account.edit(named(red), solid("blue"), mask=named(mask), safety_identifier="someone")
    account.edit(solid("blue"))

    sums = [hashlib.sha256(file).hexdigest() for file in (red, png(64, 48, "blue"), mask)]
    charges = account.charges()
    assert [edit["images"] for edit in charges["edits"]] == [sums[:2], sums[1:2]]
    assert [edit["mask"] for edit in charges["edits"]] == [sums[2], None]
    assert charges["users"] == {"someone": 1}


GOOD, HOLE = png(64, 48), png_with_hole(64, 48, (0, 0, 9, 9))
INVALID, UNUSABLE = "invalid_request_error", "image_generation_user_error"
BAD_IMAGE, BAD_MASK = "invalid_image_file", "invalid_mask_image_format"
BAD_TYPE = "unsupported_file_mimetype"


@pytest.mark.parametrize(
    ("images", "code"),
    [
        pytest.param([named(SVG)], BAD_IMAGE, id="svg"),
        pytest.param([named(b"<html></html>")], BAD_IMAGE, id="html"),
        pytest.param([named(b"")], BAD_IMAGE, id="empty"),
        pytest.param([named(GOOD[:-40])], BAD_IMAGE, id="truncated PNG"),
        pytest.param(
            [named(encoded("JPEG", 640, 480)[:-400], "image/jpeg")], BAD_IMAGE, id="truncated JPEG"
        ),
        pytest.param([named(encoded("GIF"))], BAD_IMAGE, id="GIF called PNG"),
        pytest.param([named(GOOD, "image/jpeg")], BAD_IMAGE, id="PNG called JPEG"),
        pytest.param(
            [named(saved(Image.new("CMYK", (64, 48)), "JPEG"), "image/jpeg")], BAD_IMAGE, id="CMYK"
        ),
        pytest.param([named(saved(Image.new("P", (64, 48))))], BAD_IMAGE, id="palette"),
        pytest.param([named(saved(Image.new("I;16", (64, 48))))], BAD_IMAGE, id="16 bits"),
        pytest.param(
            [
                named(
                    saved(
                        Image.new("RGB", (64, 48)),
                        "MPO",
                        save_all=True,
                        append_images=[Image.new("RGB", (64, 48))],
                    ),
                    "image/jpeg",
                )
            ],
            BAD_IMAGE,
            id="two pictures in a JPEG",
        ),
        pytest.param(
            [
                named(
                    saved(
                        Image.new("RGB", (64, 48)),
                        save_all=True,
                        append_images=[Image.new("RGB", (64, 48), "red")],
                    )
                )
            ],
            BAD_IMAGE,
            id="animation",
        ),
        pytest.param([named(saved(Image.new("L", (9_000, 9_000))))], BAD_IMAGE, id="bomb"),
    ],
)
def test_unusable_image_is_refused(account: Account, images: list[NamedFile], code: str) -> None:
    refused = refusal(lambda: account.edit(named(GOOD), *images))

    assert (refused.type, refused.code, refused.param) == (UNUSABLE, code, None)
    assert "image 2" in refused.message
    assert account.charges()["images"] == 0


@pytest.mark.parametrize(
    ("images", "code", "param"),
    [
        pytest.param([named(GOOD)] * 17, "array_above_max_length", "image", id="17"),
        pytest.param([named(SVG, "image/svg+xml")], BAD_TYPE, "image[0]", id="SVG"),
        pytest.param(
            [named(GOOD), named(GOOD, "application/octet-stream")],
            BAD_TYPE,
            "image[1]",
            id="no type",
        ),
        pytest.param(
            [named(GOOD + bytes(50_000_000 - len(GOOD)))],
            "file_above_max_size",
            "image[0]",
            id="50 MB",
        ),
    ],
)
def test_wrong_file_is_refused(
    account: Account, images: list[NamedFile], code: str, param: str
) -> None:
    param = "image" if len(images) == 1 else param

    refused = refusal(lambda: account.edit(*images))

    assert (refused.type, refused.code, refused.param) == (INVALID, code, param)
    assert account.charges()["images"] == 0


@pytest.mark.parametrize(
    ("mask", "kind", "code", "message"),
    [
        pytest.param(
            named(encoded("JPEG"), "image/jpeg"), INVALID, BAD_TYPE, "'image/png'", id="JPEG"
        ),
        pytest.param(
            named(HOLE + bytes(4_000_000 - len(HOLE))),
            INVALID,
            "file_above_max_size",
            "4 MB",
            id="4 MB",
        ),
        pytest.param(named(encoded("WEBP")), UNUSABLE, BAD_MASK, "not a valid PNG", id="WebP"),
        pytest.param(named(HOLE[:-60]), UNUSABLE, BAD_MASK, "not a valid PNG", id="truncated"),
        pytest.param(named(GOOD), UNUSABLE, BAD_MASK, "missing alpha channel", id="no alpha"),
        pytest.param(
            named(png_with_hole(48, 64, (0, 0, 9, 9))),
            UNUSABLE,
            BAD_MASK,
            "size does not match",
            id="other size",
        ),
    ],
)
def test_wrong_mask_is_refused(
    account: Account, mask: NamedFile, kind: str, code: str, message: str
) -> None:
    refused = refusal(lambda: account.edit(named(GOOD), mask=mask))

    param = "mask" if kind == INVALID else None
    assert (refused.type, refused.code, refused.param) == (kind, code, param)
    assert message in refused.message
    assert account.charges()["images"] == 0


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"moderation": "low"}, "unknown_parameter"),
        ({"response_format": "b64_json"}, "unknown_parameter"),
        ({"seed": "7"}, "unknown_parameter"),
        ({"input_fidelity": "high"}, "invalid_input_fidelity_model"),
        ({"size": "100x100"}, "invalid_value"),
        ({"quality": "best"}, "invalid_value"),
        ({"n": 11}, "invalid_value"),
        ({"n": "two"}, "invalid_value"),
        ({"prompt": ""}, "missing_required_parameter"),
    ],
)
def test_wrong_parameter_is_refused(
    account: Account, parameters: Mapping[str, Any], code: str
) -> None:
    refused = refusal(
        lambda: account.api.images.edit(
            image=named(GOOD),
            prompt="a lighthouse",
            model="gpt-image-2.5-flare",
            extra_body=parameters,
        )
    )

    assert (refused.code, refused.param) == (code, next(iter(parameters)))
    assert account.charges()["images"] == 0


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_required_parameter", "images"),
        ({"images": []}, "missing_required_parameter", "images"),
        ({"images": [data_url(GOOD)] * 17}, "array_above_max_length", "images"),
        ({"images": [{}]}, "invalid_value", "images[0]"),
        ({"images": [{"id": "x"}]}, "unknown_parameter", "images[0].id"),
        ({"images": [{"file_id": "file-x"}]}, "file_not_found", "images[0].file_id"),
        ({"images": [{"image_url": "https://a.b/c"}]}, "invalid_image_url", "images[0].image_url"),
        (
            {"images": [{"image_url": "data:image/png;base64,?"}]},
            "invalid_base64",
            "images[0].image_url",
        ),
        ({"images": [data_url(SVG, "image/svg+xml")]}, BAD_TYPE, "images[0].image_url"),
        (
            {"images": [data_url(bytes(15_728_640))]},
            "string_above_max_length",
            "images[0].image_url",
        ),
        ({"images": [data_url(GOOD)], "mask": "x"}, "invalid_type", "mask"),
        ({"images": [data_url(GOOD)], "image": "x"}, "unknown_parameter", "image"),
    ],
)
def test_wrong_reference_is_refused(
    account: Account, body: Mapping[str, Any], code: str, param: str
) -> None:
    refused = refusal(lambda: edit_with_json(account, **body))

    assert (refused.code, refused.param) == (code, param)


@pytest.mark.parametrize(
    ("files", "data", "code", "param"),
    [
        ([("mask", named(HOLE))], {}, "missing_required_parameter", "image"),
        ([("mask", named(HOLE))] * 2, {}, "invalid_value", "mask"),
        ([("mask", named(HOLE))], {"image": "a.png"}, "invalid_type", "image"),
        ([("image", named(GOOD)), ("prompt", named(GOOD))], {}, "invalid_type", "prompt"),
        ([("image", named(GOOD)), ("images", named(GOOD))], {}, "invalid_type", "images"),
        ([("image", named(GOOD, ""))], {}, "missing_file_mimetype", "image"),
    ],
)
def test_wrong_form_is_refused(
    account: Account,
    files: list[tuple[str, NamedFile]],
    data: Mapping[str, str],
    code: str,
    param: str,
) -> None:
    refused = refusal(lambda: edit_with_form(account, *files, **data))

    assert (refused.code, refused.param) == (code, param)


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/form-data"])
def test_unreadable_body_is_refused(account: Account, kind: str) -> None:
    url = f"{account.outputs['openai_base_url']}/images/edits"
    headers = {"Authorization": "Bearer any", "Content-Type": kind}

    response = httpx2.post(url, headers=headers, content=b"{")

    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (400, INVALID, None)


def test_scripted_faults_hit_edits(account: Account) -> None:
    body = {"error": {"message": "Later.", "type": "x", "code": None}}
    account.script(
        {"path": IMAGES_URL, "status": 503, "body": body},
        {"path": EDITS_URL, "contains": "tree", "status": 500, "body": body},
        {"path": EDITS_URL, "contains": "cut", "cut": True},
        {"path": EDITS_URL, "contains": "answer", "answer": {"data": []}, "charged": True},
        {"path": EDITS_URL, "contains": "late", "delay": 0.2},
    )

    with pytest.raises(openai.InternalServerError):
        account.edit(solid("red"), prompt="a tree")
    with pytest.raises(openai.APIConnectionError):
        account.edit(solid("red"), prompt="a cut")
    assert account.edit(solid("red"), prompt="an answer").data == []
    assert len(account.edit(solid("red"), prompt="a late one", n=2).data) == 2

    # The lost answer and the replaced one are charged, and the rule of generations is left.
    assert account.charges()["images"] == 4
    assert [rule["path"] for rule in account.script()] == [IMAGES_URL]


def test_rate_limit_counts_edits_and_generations(start: Callable[..., Account]) -> None:
    account = start("--images-per-minute", "1")
    account.picture()

    with pytest.raises(openai.RateLimitError):
        account.edit(solid("red"))

    assert [account.charges()[key] for key in ("images", "limited")] == [1, 1]


def test_painting_once_still_shows_the_images(start: Callable[..., Account]) -> None:
    account = start("--paint-once")

    red, again = (account.edit(solid("red"), prompt=prompt) for prompt in ("a", "b"))
    blue = account.edit(solid("blue"), prompt="a")

    assert red.data[0].b64_json == again.data[0].b64_json
    assert pixels(opened(red), (512, 320)) == [RED]
    assert pixels(opened(blue), (512, 320)) == [BLUE]
