"""What lying registries do to whoever asks them for an image: one line for each attack."""

import gzip
import hashlib
import json
import zlib
from typing import Any

import zstandard

from build_lib.registry import OCI_INDEX, OCI_MANIFEST, Manifest, digest_of
from tests.hostile.lying_registry import (
    Lie,
    endlessly,
    gives,
    head,
    leads,
    pages,
    says,
    sends,
    silently,
    slowly,
    wants_token,
)
from tests.support.images import Made, layer, make

KB, MB = 1 << 10, 1 << 20
NOISE = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(8 * KB))  # which does not compress
GOOD = make([layer(small="1"), layer(large=NOISE)])
MANIFEST = GOOD.manifest.body
CONFIG, SMALL, LAYER = GOOD.blobs

TYPE = f"Content-Type: {OCI_MANIFEST}"
CHUNKED = head("200 OK", TYPE, "Transfer-Encoding: chunked")
DEEP = b"[" * 50_000
BOMB = zlib.compress(bytes(64 * MB), 9)  # 64 kB
ZSTD = zstandard.compress(bytes(64 * MB))
HTML = "<!DOCTYPE html><html><body>Welcome to the mirror</body></html>"
CDEF = "Content-Encoding: deflate"

LARGE = f"sent an answer of more than {4 * MB} bytes"
SMALLER = f"sent an answer of more than {64 * KB} bytes"
SLOW = "timed out: no complete answer after 1s"
SLOW_BODY = "timed out: less than 1024B/s arrived for 1s"
LINES = "its head, or what is between the chunks of its body, is too long"
CODED = "which was not asked for"
NOT_JSON = "a manifest is not JSON"
DESCRIPTOR = "a descriptor has an invalid digest or size"
NO_TOKEN = "did not issue a token"
DIGEST = "does not match its digest"
ADDRESS = "which is not a valid address"
CLEAR = "which is not encrypted"


def manifest(**changes: Any) -> bytes:
    """The image's manifest, with these changes."""
    return json.dumps({**json.loads(MANIFEST), **changes}).encode()


def layered(**changes: Any) -> bytes:
    """The image's manifest, with changes of its first layer."""
    first, *others = json.loads(MANIFEST)["layers"]
    return manifest(layers=[{**first, **changes}, *others])


def listed(**changes: Any) -> bytes:
    """An index of the image, with changes of its descriptor."""
    item = {"mediaType": OCI_MANIFEST, "digest": GOOD.manifest.digest, "size": len(MANIFEST), **changes}
    return json.dumps({"mediaType": OCI_INDEX, "manifests": [item]}).encode()


def with_config(config: bytes, *layers: bytes) -> Made:
    """The image with another config, and with other layers if there are any."""
    first = json.loads(MANIFEST)["layers"][0]
    content = json.loads(manifest())
    content["config"].update(digest=digest_of(config), size=len(config))
    content["layers"] = [{**first, "digest": digest_of(each), "size": len(each)} for each in layers or (SMALL, LAYER)]
    body = json.dumps(content).encode()
    return Made(Manifest.read(body, OCI_MANIFEST), (config, *(layers or (SMALL, LAYER))), "linux/amd64")


def configured(**changes: Any) -> Made:
    """The image with changes of its config."""
    return with_config(json.dumps({**json.loads(CONFIG), **changes}).encode())


def unpacking_to(*diff_ids: str) -> Made:
    return configured(rootfs={"type": "layers", "diff_ids": diff_ids})


def packed(content: bytes, unpacked: bytes) -> Made:
    """An image of one layer, whose config says what that unpacks to."""
    config = {**json.loads(CONFIG), "rootfs": {"type": "layers", "diff_ids": [digest_of(unpacked)]}}
    return with_config(json.dumps(config).encode(), content)


DIFF_IDS = json.loads(CONFIG)["rootfs"]["diff_ids"]

# fmt: off
# name: the request, the answer to it, the reason that is given
LIES: dict[str, tuple[str, Lie, str]] = {
    # memory
    "an error without end": ("manifest", endlessly(head("404 Not Found"), then=b"x" * KB), "answered 404 Not Found"),
    "an error 500 without end": ("head", endlessly(head("500 No"), then=b"x" * KB), "answered 500 No"),
    "a redirect without end": ("manifest", endlessly(head("307 Go", "Location: /v2/a/manifests/1"), then=b"x" * KB), "redirects more than 10 times"),
    "a manifest without end": ("manifest", endlessly(head("200 OK", TYPE), then=b" " * KB), LARGE),
    "a manifest of 5 MB": ("manifest", gives(b" " * 5 * MB), LARGE),
    "a manifest of 1 TB, it says": ("manifest", endlessly(head("200 OK", "Content-Length: 1" + "0" * 12), then=b" " * KB), LARGE),
    "chunks without end": ("manifest", endlessly(CHUNKED, then=b"400\r\n" + b" " * KB + b"\r\n"), LARGE),
    "a config without end": ("config", endlessly(head("200 OK"), then=b" " * KB), "sent more than the"),
    "a layer without end": ("layer", endlessly(head("200 OK"), then=b" " * 64 * KB), "sent more than the"),
    "a head without end": ("manifest", endlessly(b"HTTP/1.1 200 OK\r\n", then=b"X-A: 1\r\n"), "more than 100 headers"),
    "a header without end": ("manifest", endlessly(b"HTTP/1.1 200 OK\r\nX-A: ", then=b"x" * KB), LINES),
    "a status without end": ("manifest", endlessly(b"HTTP/1.1 200 ", then=b"x" * KB), LINES),
    "a status of a HEAD without end": ("head", endlessly(b"HTTP/1.1 200 ", then=b"x" * KB), LINES),
    "interim answers without end": ("manifest", endlessly(then=b"HTTP/1.1 100 Continue\r\n\r\n"), LINES),
    "a chunk's head without end": ("manifest", endlessly(CHUNKED, b"5;", then=b"x" * KB), LINES),
    "a layer's chunk's head without end": ("layer", endlessly(CHUNKED, b"5;", then=b"x" * KB), LINES),
    "trailers without end": ("manifest", endlessly(CHUNKED, b"2\r\n{}\r\n0\r\n", then=b"X-A: 1\r\n"), LINES),
    "a chunk of all that follows": ("manifest", endlessly(CHUNKED, b"-1\r\n", then=b" " * KB), "negative size"),
    "a chunk of less than nothing": ("layer", endlessly(CHUNKED, b"-5\r\n", then=b" " * KB), "negative size"),
    "a chunk of no number": ("manifest", sends(CHUNKED, b"many\r\n{}\r\n0\r\n\r\n"), "IncompleteRead"),
    "a gzip bomb": ("manifest", gives(gzip.compress(bytes(64 * MB)), coding="gzip"), CODED),
    "a deflate bomb": ("manifest", gives(BOMB, coding="deflate"), CODED),
    "a zstd bomb": ("manifest", gives(ZSTD, coding="zstd"), CODED),
    "a bomb in a bomb": ("manifest", gives(gzip.compress(gzip.compress(bytes(64 * MB))), coding="gzip, gzip"), CODED),
    "a coding that nobody knows": ("manifest", gives(MANIFEST, coding="x-rot13"), CODED),
    "a bomb as a config": ("config", says("200 OK", BOMB, CDEF), CODED),
    "a bomb as a layer": ("layer", says("200 OK", BOMB, CDEF), CODED),
    "a bomb as an error": ("manifest", says("403 Forbidden", BOMB, CDEF), "answered 403 Forbidden;"),
    "a token without end": ("token", endlessly(head("200 OK"), then=b" " * KB), SMALLER),
    "a token's error without end": ("token", endlessly(head("500 No"), then=b" " * KB), f"{NO_TOKEN} for .*: 500 No"),
    "a bomb as a token": ("token", says("200 OK", BOMB, CDEF), CODED),
    # time
    "silence": ("head", silently(), SLOW),
    "silence within a head": ("manifest", silently(b"HTTP/1.1 200 OK\r\n"), SLOW),
    "silence within a manifest": ("manifest", silently(head("200 OK", TYPE), b"{"), SLOW_BODY),
    "silence within a layer": ("layer", silently(head("200 OK"), LAYER[:99]), SLOW_BODY),
    "a head byte by byte": ("manifest", slowly(head("200 OK", TYPE) + MANIFEST), SLOW),
    "a manifest byte by byte": ("manifest", slowly(head("200 OK", TYPE) + MANIFEST, at=60), SLOW_BODY),
    "an error byte by byte": ("manifest", slowly(head("404 Not Found") + b"x" * KB, at=30), SLOW_BODY),
    "a config byte by byte": ("config", slowly(head("200 OK") + CONFIG, at=20), SLOW_BODY),
    "a layer byte by byte": ("layer", slowly(head("200 OK") + LAYER, at=20), SLOW_BODY),
    "a chunk's head byte by byte": ("manifest", slowly(CHUNKED + b"5;" + b"x" * KB, at=len(CHUNKED)), SLOW_BODY),
    "a token byte by byte": ("token", slowly(head("200 OK") + b" " * KB, at=20), SLOW_BODY),
    "a layer of one byte for each connection": ("layer", sends(head("200 OK", f"Content-Length: {len(LAYER)}"), LAYER[:1]), "IncompleteRead"),
    "a wait of a day": ("manifest", says("429 Busy", b"", "Retry-After: 86400"), "answered 429 Busy"),
    "a wait of a million years": ("manifest", says("503 Busy", b"", "Retry-After: " + "9" * 5000), "answered 503 Busy"),
    # redirects
    "a circle": ("manifest", leads("307 Go", "/v2/a/manifests/1"), "redirects more than 10 times"),
    "a way to a file": ("manifest", leads("307 Go", "file:///etc/passwd"), ADDRESS),
    "a way by ftp": ("manifest", leads("302 Go", "ftp://HOST/"), ADDRESS),
    "a way that is no URL": ("manifest", leads("307 Go", "http://[::1"), ADDRESS),
    "a way to no port": ("layer", leads("307 Go", "http://127.0.0.1:99999/"), ADDRESS),
    "a way with a user's name": ("layer", leads("307 Go", "http://user:secret@HOST/"), ADDRESS),
    "a way with two hosts": ("layer", leads("307 Go", "http://other.example\\@HOST/"), ADDRESS),
    "a way without a host": ("layer", leads("307 Go", "https:///v2/"), ADDRESS),
    "a way to nobody": ("layer", leads("307 Go", "http://127.0.0.1:1/"), "leads to 127.0.0.1:1: Connection refused"),
    "a way to a name that is too long": ("manifest", leads("307 Go", f"http://{'a' * 70}.example/"), "leads to aaa"),
    "a way to a name of 50 kB": ("manifest", leads("307 Go", f"http://{'a' * 50_000}/"), ADDRESS),
    "a way to a name of dots": ("manifest", leads("307 Go", "http://a..b/"), "leads to a..b"),
    "a way to nowhere": ("manifest", says("307 Go"), "answered 307 Go"),
    # tokens
    "no token": ("token", says("200 OK", "{}"), NO_TOKEN),
    "a token that is HTML": ("token", says("200 OK", HTML), NO_TOKEN),
    "a token that nests deeply": ("token", says("200 OK", DEEP), NO_TOKEN),
    "a token with a line end": ("token", says("200 OK", json.dumps({"token": "a\r\nHost: other"})), NO_TOKEN),
    "a token of other letters": ("token", says("200 OK", json.dumps({"token": "ключ"})), NO_TOKEN),
    "a token that is a list": ("token", says("200 OK", '{"token": ["a"]}'), NO_TOKEN),
    "a token as long as a book": ("token", says("200 OK", json.dumps({"token": "a" * 50_000})), NO_TOKEN),
    "a token that lasts for no time": ("token", says("200 OK", '{"token": "a", "expires_in": "soon"}'), NO_TOKEN),
    "a token that lasts too long to count": ("token", says("200 OK", '{"token": "a", "expires_in": 1' + "0" * 400 + "}"), NO_TOKEN),
    "a realm that is no URL": ("manifest", wants_token("http://["), ADDRESS),
    "a realm that is a file": ("manifest", wants_token("file:///etc/passwd"), ADDRESS),
    "a realm that is not encrypted": ("manifest", wants_token("http://127.0.0.2:1/token"), CLEAR),
    "a login that nobody knows": ("manifest", says("401 No", b"", "WWW-Authenticate: Basic realm=,=,\"", "WWW-Authenticate: \x01"), "requires a login|answered 401 No"),
    # what is no manifest
    "a page of HTML": ("manifest", gives(HTML, "text/html"), NOT_JSON),
    "a page of HTML that calls itself a manifest": ("manifest", gives(HTML), NOT_JSON),
    "a page of HTML for a HEAD, with a digest": ("head", says("200 OK", HTML, TYPE, f"Docker-Content-Digest: {digest_of(b'')}"), "answered 404"),
    "nothing": ("manifest", gives(b""), NOT_JSON),
    "no content": ("manifest", sends(b"HTTP/1.1 204 No Content\r\n\r\n"), "answered 204 No Content"),
    "part of a manifest": ("manifest", sends(head("200 OK", TYPE, "Content-Length: 9999"), MANIFEST), "IncompleteRead"),
    "lists in lists": ("manifest", gives(DEEP), NOT_JSON),
    "a number": ("manifest", gives("7"), "a manifest is not a JSON object"),
    "a number that is too long": ("manifest", gives('{"size": ' + "9" * 5000 + "}"), NOT_JSON),
    "NUL bytes": ("manifest", gives(bytes(KB)), NOT_JSON),
    "letters that are none": ("manifest", gives(b"\xff\xfe\x00\xd8" * 9), NOT_JSON),
    "a schema of 2016": ("manifest", gives(b"{}", "application/vnd.docker.distribution.manifest.v1+json"), "manifests of the media type"),
    "a media type that is an object": ("manifest", gives(manifest(mediaType={"a": 1})), "manifests of the media type dict"),
    "a media type of 3 MB": ("manifest", gives(manifest(mediaType="a" * 3 * MB)), "manifests of the media type 'aaa"),
    "an index that is an image": ("manifest", gives(manifest(manifests=[])), "both an index and an image"),
    "an index of nothing": ("manifest", gives(b"{}", OCI_INDEX), "a manifest has no list of manifests"),
    "an index of numbers": ("manifest", gives('{"manifests": [7]}', OCI_INDEX), "a descriptor has no digest"),
    "an index of 2000 images": ("manifest", gives(json.dumps({"manifests": [{}] * 2000}), OCI_INDEX), "lists more than 1000 manifests"),
    "an index with a platform of lists": ("manifest", gives(listed(platform={"os": [[[[]]]]})), "an invalid platform: list"),
    "an index with platforms of 3 MB": ("manifest", gives(listed(platform={"os": "a" * 3 * MB})), "an invalid platform: 'aaa"),
    "an index with a wrong size": ("manifest", gives(listed(size=7)), "gives sha256:.* a wrong size"),
    "2000 layers": ("manifest", gives(manifest(layers=[{}] * 2000)), "lists more than 1000 layers"),
    "layers that are an object": ("manifest", gives(manifest(layers={})), "a manifest has no list of layers"),
    "a config that is not there": ("manifest", gives(manifest(config=None)), "a descriptor has no digest"),
    "a layer without a digest": ("manifest", gives(layered(digest=None)), DESCRIPTOR),
    "a layer with a path as its digest": ("manifest", gives(layered(digest="sha256:../../../../etc/passwd")), DESCRIPTOR),
    "a layer with a digest of 3 MB": ("manifest", gives(layered(digest="sha256:" + "a" * 3 * MB)), DESCRIPTOR),
    "a layer with a digest in capitals": ("manifest", gives(layered(digest=digest_of(SMALL).upper())), DESCRIPTOR),
    "a layer of less than nothing": ("manifest", gives(layered(size=-1)), DESCRIPTOR),
    "a layer of more than there is": ("manifest", gives(layered(size=1 << 60)), DESCRIPTOR),
    "a layer of true": ("manifest", gives(layered(size=True)), DESCRIPTOR),
    "a layer of infinitely many bytes": ("manifest", gives(MANIFEST.replace(b'"size": ', b'"size": 1e999, "was": ', 1)), DESCRIPTOR),
    "a layer with a media type of ESC": ("manifest", gives(layered(mediaType="\x1b[2J")), "an invalid media type"),
    # what is no HTTP
    "no HTTP": ("head", sends(b"SSH-2.0-OpenSSH_9.2\r\n"), "SSH-2.0"),
    "random bytes": ("manifest", sends(NOISE), "127.0.0.1"),
    "an alert of TLS": ("head", sends(b"\x15\x03\x01\x00\x02\x02\x46"), "127.0.0.1"),
    "the end": ("manifest", sends(), "closed connection|Remote end"),
    "a status of words": ("manifest", sends(b"HTTP/1.1 fine thanks\r\n\r\n"), "fine"),
    "a status of 999": ("manifest", says("999 What"), "answered 999 What"),
    "another protocol": ("manifest", sends(b"HTTP/1.1 101 Switching\r\n\r\n"), "answered 101 Switching"),
    "two lengths": ("manifest", sends(head("200 OK", "Content-Length: 5", "Content-Length: 7"), b"{}"), "127.0.0.1"),
    "a length of less than nothing": ("manifest", sends(head("200 OK", "Content-Length: -5"), b"{}"), "manifests of the media type"),
    "an error in lists": ("manifest", says("418 Tea", DEEP), "answered 418 Tea"),
    "an error of half letters": ("manifest", says("418 Tea", '{"errors": [{"message": "\\ud800"}]}'), "answered 418 Tea"),
    "an error that is a number": ("manifest", says("418 Tea", '{"errors": 7}'), "answered 418 Tea"),
    "a reason of 60 kB": ("manifest", says("418 " + "no" * 30_000), "answered 418 nono"),
    # blobs
    "another config": ("config", says("200 OK", CONFIG.replace(b"linux", b"xunil")), DIGEST),
    "another layer": ("layer", says("200 OK", bytes(len(LAYER))), "sent more than the 92 bytes"),
    "half a layer": ("layer", says("200 OK", SMALL[:50]), "closed the connection"),
    "a page of HTML as a layer": ("layer", says("200 OK", HTML), "closed the connection|sent more"),
    "a layer from its middle": ("layer", says("206 Partial", LAYER[50:], "Content-Range: bytes 50-"), "closed the connection|sent more"),
    "no layer": ("layer", says("404 Not Found"), "answered 404 Not Found"),
}

# name: the request of deps-push, the answer of the registry that is pushed to, the reason that is given
UPLOADS: dict[str, tuple[str, Lie, str]] = {
    "an upload to a file": ("begin upload", says("202 Accepted", b"", "Location: file:///tmp/x"), ADDRESS),
    "an upload to no URL": ("begin upload", says("202 Accepted", b"", "Location: http://["), ADDRESS),
    "an upload with a user's name": ("begin upload", says("202 Accepted", b"", "Location: http://a:b@other.example/"), ADDRESS),
    "an upload to nowhere": ("begin upload", says("202 Accepted"), "answered 404"),
    "an upload to nobody": ("begin upload", says("202 Accepted", b"", "Location: http://127.0.0.1:1/"), "127.0.0.1:1: Connection refused"),
    "an upload that is led on": ("upload", leads("307 Go", "/v2/a/blobs/uploads/2"), "answered 307 Go"),
    "an acknowledgement without end": ("begin upload", endlessly(head("202 Accepted", "Location: /v2/a/blobs/uploads/1"), then=b"x" * KB), SMALLER),
    "an acknowledgement byte by byte": ("begin upload", slowly(head("202 Accepted", "Location: /v2/a/blobs/uploads/1")), SLOW),
    "thanks for a blob without end": ("upload", endlessly(head("201 Created"), then=b"x" * KB), SMALLER),
    "thanks for a blob in a bomb": ("upload", says("201 Created", BOMB, CDEF), CODED),
    "thanks for a manifest without end": ("write manifest", endlessly(head("201 Created"), then=b"x" * KB), SMALLER),
    "thanks for a manifest byte by byte": ("write manifest", slowly(head("201 Created") + b"x" * KB, at=30), SLOW_BODY),
    "no thanks": ("upload", silently(), SLOW),
    "another image afterwards": ("head", says("200 OK", b"xx", f"Docker-Content-Digest: {digest_of(b'')}"), "after the push, expected sha256:"),
    "a page of HTML afterwards": ("manifest", gives(HTML), NOT_JSON),
    "a refusal without end": ("upload", endlessly(head("403 No"), then=b"x" * KB), "answered 403 No: xxx"),
    "a Harbor that never stops to say so": ("api", endlessly(head("200 OK"), then=b"Pong" * KB), SMALLER),
    "a Harbor that says so byte by byte": ("api", slowly(head("200 OK") + b'"Pong"' * KB, at=20), SLOW_BODY),
}

# name: the answer to the request for the tags of a repository, the reason that is given
TAGS: dict[str, tuple[Lie, str]] = {
    "pages without end": (pages(lambda number: f"/v2/a/tags/list?page={number + 1}"), "lists more than 5000 tags"),
    "pages that are slow": (pages(lambda number: f"/v2/a/tags/list?page={number + 1}", pause=0.3), "takes longer than 2s"),
    "a page without end": (endlessly(head("200 OK"), then=b" " * KB), LARGE),
    "a page of HTML": (says("200 OK", HTML), "did not return a list of tags"),
    "a page that nests deeply": (says("200 OK", DEEP), "did not return a list of tags"),
    "a page of numbers": (says("200 OK", '{"tags": [1, 2]}'), "did not return a list of tags"),
    "a page that leads to a file": (says("200 OK", '{"tags": ["1"]}', 'Link: <file:///etc/passwd>; rel="next"'), ADDRESS),
    "a page that leads to no URL": (says("200 OK", '{"tags": ["1"]}', 'Link: <http://[>; rel="next"'), ADDRESS),
}

# name: the image that a registry has in truth, the reason why it is not taken
IMAGES: dict[str, tuple[Made, str]] = {
    "a config with one layer too few": (unpacking_to(DIFF_IDS[0]), "its config and its manifest differ in their layers"),
    "a config with one layer too many": (unpacking_to(*DIFF_IDS, DIFF_IDS[0]), "its config and its manifest differ in their layers"),
    "a config without layers": (unpacking_to(), "its config and its manifest differ in their layers"),
    "a config that names no layers": (configured(rootfs={}), "its config names no layers"),
    "a config with a text for layers": (configured(rootfs={"diff_ids": "ab"}), "its config names no layers"),
    "a config with layers of lists": (configured(rootfs={"diff_ids": [[], []]}), "its config names no layers"),
    "a config that is a list": (with_config(b"[]"), "its config names no layers"),
    "a config that is not JSON": (with_config(b"MZ"), "its config names no layers"),
    "a config that nests deeply": (with_config(DEEP), "its config names no layers"),
    "a config of 5 MB": (with_config(b" " * 5 * MB), "its config names no layers"),
    "a config of other layers": (unpacking_to(DIFF_IDS[0], digest_of(b"other")), "unpacks to .*, but its config says"),
    "a config of the layers in another order": (unpacking_to(*DIFF_IDS[::-1]), "unpacks to .*, but its config says"),
    "a layer that is damaged": (packed(gzip.compress(NOISE)[:-9], NOISE), "cannot be unpacked"),
    "a layer with garbage behind it": (packed(gzip.compress(NOISE) + b"garbage", NOISE), "cannot be unpacked"),
    "a layer that wants 2 GB of memory": (packed(b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x01\x00\x00", b""), "cannot be unpacked"),
    "a layer of zstd that is damaged": (packed(zstandard.compress(NOISE)[:-5] + bytes(5), NOISE), "cannot be unpacked|unpacks to"),
}
# fmt: on
