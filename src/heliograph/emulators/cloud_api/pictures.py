"""Small real files for inbound messages, made here: no file of somebody else's is shipped."""

import struct
import zlib
from collections.abc import Callable


def make_png(width: int = 96, height: int = 64) -> bytes:
    """A picture of a sunrise, more or less: 8-bit RGB."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            sun = (x - width // 2) ** 2 + (y - height * 2 // 3) ** 2 < (height // 4) ** 2
            rows += bytes((255, 220, 90) if sun and y < height * 2 // 3 else (255 - y, 120 + y, 160 + y))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b"")
    )


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def make_pdf(text: str = "An emulated document") -> bytes:
    """One page with one line."""
    stream = f"BT /F1 18 Tf 40 120 Td ({text}) Tj ET".encode("ascii", "replace")
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, content)
    table = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(out + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % table)


def make_ogg() -> bytes:
    """An Ogg stream with the two header packets of Opus and no sound."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 16000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 10) + b"heliograph" + struct.pack("<I", 0)
    return ogg_page(head, 0, 2) + ogg_page(tags, 1, 4)


def ogg_page(packet: bytes, number: int, flags: int) -> bytes:
    head = b"OggS" + struct.pack("<BBqIII", 0, flags, 0, 1, number, 0) + bytes((1, len(packet)))
    page = head + packet
    return page[:22] + struct.pack("<I", ogg_checksum(page)) + page[26:]


def ogg_checksum(page: bytes) -> int:
    """CRC-32 with polynomial 04C11DB7, not reflected, as RFC 3533 wants it."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = ((value << 1) ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


def make_mp4() -> bytes:
    """The first box of a film, and an empty one: enough to be recognised."""
    kind = b"ftypisom" + struct.pack(">I", 512) + b"isomiso2mp41"
    return struct.pack(">I", len(kind) + 4) + kind + struct.pack(">I", 8) + b"mdat"


def make_webp() -> bytes:
    """A lossless picture of one pixel."""
    frame = b"\x2f\x00\x00\x00\x00\x07\x10\x11\x11\x88\x88\xfe\x07\x00"
    body = b"WEBPVP8L" + struct.pack("<I", len(frame)) + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


SAMPLES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "image": ("image/png", make_png),
    "document": ("application/pdf", make_pdf),
    "audio": ("audio/ogg; codecs=opus", make_ogg),
    "video": ("video/mp4", make_mp4),
    "sticker": ("image/webp", make_webp),
}
