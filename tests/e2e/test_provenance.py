"""The provenance that OpenAI signs into an image (C2PA) is still valid in the bucket.

It shows that the bytes are unchanged.
"""

import base64
import hashlib
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import c2pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

from easel.contract import naming
from tests.e2e.test_batches import run, upload
from tests.support.local_stack import LocalStack

IMAGES = "/v1/images/generations"
TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
ACTION = {
    "action": "c2pa.created",
    "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
}
USAGE = {"input_tokens": 20, "output_tokens": 272, "total_tokens": 292}
Sign = Callable[[str], bytes]


def certificate(
    subject: str, key: ec.EllipticCurvePrivateKey, *, by: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    """Return a certificate that is valid for a day.

    If it is signed with its own key, it is the root's.
    """
    root, now = key is by, datetime.now(UTC)
    others = (
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    usage = x509.KeyUsage(
        digital_signature=not root, key_cert_sign=root, **dict.fromkeys(others, False)
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name("root"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=root, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False
        )
    )
    # C2PA requires an extended key usage for the signer, and accepts the one for mail.
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    return (builder if root else builder.add_extension(purpose, critical=False)).sign(
        by, hashes.SHA256()
    )


def _name(common: str) -> x509.Name:
    attributes = {NameOID.ORGANIZATION_NAME: "Tests of Easel", NameOID.COMMON_NAME: common}
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes.items()])


@pytest.fixture(scope="module")
def sign() -> Sign:
    """Return a function that makes a signed image in a format.

    The certificate is new, and nothing else uses it.
    """
    root, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    chain = [certificate("signer", own, by=root), certificate("root", root, by=root)]
    pem = b"".join(link.public_bytes(serialization.Encoding.PEM) for link in chain)
    key = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, pem, key, None))
    manifest = {
        "title": "A kite",
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [ACTION]}}],
    }

    def signed(output_format: str) -> bytes:
        picture, out = io.BytesIO(), io.BytesIO()
        Image.radial_gradient("L").convert("RGB").resize((640, 640)).save(picture, output_format)
        picture.seek(0)
        with c2pa.Builder(json.dumps(manifest)) as builder:
            builder.sign(signer, TYPES[output_format], picture, out)
        return out.getvalue()

    return signed


def provenance(data: bytes, content_type: str) -> tuple[str, str | None]:
    """Return the state and the name of an image's manifest.

    Raise C2paError if it has none.
    """
    with c2pa.Reader(content_type, io.BytesIO(data)) as reader:
        return str(reader.get_validation_state()), json.loads(reader.json())["active_manifest"]


def paints(aws: LocalStack, picture: bytes, **when: Any) -> None:
    """Make the stand-in return this image, and count it as charged."""
    answer = {"data": [{"b64_json": base64.b64encode(picture).decode()}], "usage": USAGE}
    aws.script({"path": IMAGES, "answer": answer, "charged": True} | when)


def read_object(aws: LocalStack, key: str) -> tuple[bytes, str]:
    answer = aws.s3.get_object(Bucket=aws.bucket, Key=key)
    return answer["Body"].read(), answer["ContentType"]


@pytest.mark.parametrize("output_format", TYPES)
def test_signed_image_keeps_its_valid_manifest(
    aws: LocalStack, sign: Sign, output_format: str
) -> None:
    picture = sign(output_format)
    state, manifest = provenance(picture, TYPES[output_format])
    assert state == "Valid"

    paints(aws, picture)
    report = aws.run({"prompt": "A kite", "output_format": output_format, "folder_name": "signed"})[
        "report"
    ]
    data, content_type = read_object(aws, report["pictures"][0]["key"])
    assert (data, content_type) == (picture, TYPES[output_format])
    assert provenance(data, content_type) == ("Valid", manifest)


def test_economy_image_keeps_its_valid_manifest(aws: LocalStack, sign: Sign) -> None:
    picture = sign("png")
    paints(aws, picture, contains="A signed kite")
    upload(
        aws,
        {"prompt": "A signed kite", "folder_name": "signed-economy"},
        key="batches/signed.jsonl",
    )
    assert run(aws, manifest="batches/signed.jsonl", economy=True)["report"]["stored"] == 1

    (key,) = (key for key in aws.keys("signed-economy/") if key.endswith(".png"))
    assert read_object(aws, key)[0] == picture
    assert provenance(*read_object(aws, key))[0] == "Valid"


def test_thumbnail_carries_no_manifest(aws: LocalStack, sign: Sign) -> None:
    picture = sign("webp")  # thumbnails are WebP, too
    paints(aws, picture)
    key = aws.run({"prompt": "A kite", "output_format": "webp", "folder_name": "signed-small"})[
        "report"
    ]["pictures"][0]["key"]
    small, content_type = read_object(aws, naming.thumbnail_key(key))
    with pytest.raises(c2pa.C2paError, match="ManifestNotFound"):
        provenance(small, content_type)

    sidecar = json.loads(read_object(aws, naming.sidecar_key(key))[0])
    assert (
        sidecar["sha256"]
        == hashlib.sha256(picture).hexdigest()
        != hashlib.sha256(small).hexdigest()
    )


def test_changed_byte_is_detected(sign: Sign) -> None:
    picture = bytearray(sign("png"))
    picture[-40] ^= 1  # in the pixels, after the manifest
    assert provenance(bytes(picture), "image/png")[0] == "Invalid"
