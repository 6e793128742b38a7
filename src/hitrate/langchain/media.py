"""Images, sound and files in messages: what they are made of counts, not how a block of content carries it.

One image comes as a data URL, as base64 in one of several fields, or as bytes, by the provider whose form a program
uses. Each block counts by its kind, its media type and a hash of its bytes.
"""

from __future__ import annotations

from binascii import Error as NotBase64
from binascii import a2b_base64
from hashlib import blake2b
from typing import Any

_KINDS = {
    "image_url": "image",
    "input_image": "image",
    "input_audio": "audio",
    "input_file": "file",
    "document": "file",
    "media": "file",
}
_OF_KIND = frozenset({"image", "audio", "video", "file", "text-plain", *_KINDS})
_INNER = ("image_url", "file", "input_audio", "source")
_DATA = ("data", "base64", "url", "file_data", "image_url", "bytes")
_TYPES = ("mime_type", "media_type", "format")


def is_media(block: dict[str, Any]) -> bool:
    """Tell whether a block of content is an image, sound or a file."""
    return block.get("type") in _OF_KIND


def media(block: dict[str, Any]) -> Any:
    """Return what a block with an image, sound or a file says; the block itself if its bytes are not in it."""
    told = {**block}
    kind = told.pop("type")
    for name in _INNER:
        inner = told.get(name)
        if type(inner) is dict:
            del told[name]
            told = {**inner, **told} if name == "source" else {**told, **inner}
    if "text" in (told.get("type"), told.get("source_type")):
        return block
    if told.get("type") in ("base64", "url"):
        del told["type"]
    for name in _DATA:
        value = told.get(name)
        if type(value) in (str, bytes, bytearray, memoryview):
            found = _bytes_of(value, url=name in ("url", "image_url"))
            if found is None:
                continue
            media_type, data = found
            del told[name]
            for each in _TYPES:
                media_type = told.pop(each, "") or media_type
            told.pop("source_type", None)
            digest = blake2b(data, digest_size=32).digest()
            rest = {each: what for each, what in told.items() if what is not None and each not in ("id", "index")}
            return [_KINDS.get(kind, kind), _media_type(media_type), digest, rest]
    return block


def _bytes_of(value: Any, *, url: bool) -> tuple[str, Any] | None:
    """Return the media type, as far as it is told, and the bytes; None for the address of something elsewhere."""
    if type(value) is not str:
        return "", value
    media_type = ""
    if value.startswith("data:"):
        head, mark, value = value.partition(",")
        media_type, _, encoding = head.removeprefix("data:").rpartition(";")
        if not mark or encoding != "base64":
            return None
    elif url:
        return None
    try:
        return media_type, a2b_base64(value, strict_mode=True)
    except (NotBase64, ValueError):  # a text, not base64
        return None


def _media_type(told: str) -> str:
    """Return a media type, or what is after its stroke, as OpenAI's blocks have it, in one form."""
    name = told.lower().rpartition("/")[2]
    return {"jpg": "jpeg", "mp3": "mpeg", "x-wav": "wav", "wave": "wav"}.get(name, name)
