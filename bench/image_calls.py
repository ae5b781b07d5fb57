"""The two calls to OpenAI that every script without Easel makes for one image."""

import base64

from openai import OpenAI


def prompt_and_image(openai: OpenAI, size: str) -> tuple[str, bytes]:
    """Let the chat model write a prompt, and return it with the image that is made from it."""
    completion = openai.chat.completions.create(
        model="gpt-6-luna", messages=[{"role": "user", "content": "Write an image prompt"}]
    )
    prompt = completion.choices[0].message.content or ""
    images = openai.images.generate(
        model="gpt-image-2.6-flare",
        prompt=prompt,
        size=size,
        quality="medium",
        output_format="png",
    )
    data = base64.b64decode(images.data[0].b64_json or "") if images.data else b""
    return prompt, data
