"""Images in YAML documents: Kubernetes manifests of any kind, Helm values, and lists of images with their versions.

Images are found by their keys, at any depth: a custom resource has containers as a Deployment has, and a `List` of
objects is no special case.
"""

import re
from collections.abc import Iterator, Mapping

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from build_lib.compose import yaml_nodes
from build_lib.image_files.lines import Written
from build_lib.image_files.placeholders import without_placeholders

_Entries = Mapping[str, yaml_nodes.Field]
_STRING, _NO_TEXT = "tag:yaml.org,2002:str", ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null")
_REPOSITORY = re.compile(r"[a-z0-9][a-z0-9._/-]*")
_VERSIONS = ("tag", "imageTag", "newTag", "version")


def images(
    document: Node, fields: yaml_nodes.Fields, *, values: bool = False, app_version: str = ""
) -> Iterator[Written]:
    """Return the images that a document names, in their order.

    `values` are those of a chart, whose `app_version` is the tag of images without one.

    Raises:
        TooLarge: merge keys expand to too much.
    """
    if isinstance(document, MappingNode) and not values:
        yield from _versions(fields.of(document))
    seen: set[int] = set()
    ahead = [("images" if isinstance(document, SequenceNode) else "", document)]
    while ahead:
        key, node = ahead.pop()
        if id(node) in seen:
            continue  # an alias
        seen.add(id(node))
        if isinstance(node, MappingNode):
            entries = fields.of(node)
            yield from _of_mapping(key, entries, app_version)
            ahead += [(name, field.node) for name, field in reversed([*entries.items()])]
        elif isinstance(node, SequenceNode):
            if _names_images(key):
                yield from (Written(text=item.value, line=yaml_nodes.line_of(item)) for item in _strings(node))
            ahead += [(key, item) for item in reversed(node.value)]


def _of_mapping(key: str, entries: _Entries, app_version: str) -> Iterator[Written]:
    """The image that a mapping describes, and those that its other entries name with their tags."""
    whole = _whole(key, entries, app_version)
    if whole:
        yield whole
    for name, field in entries.items():
        text = _string(entries, name)
        named = name.lower().endswith("image") or _names_images(key)
        if name != "image" and named and _has_version(text):
            yield Written(text=text, line=field.line)


def _whole(key: str, entries: _Entries, app_version: str) -> Written | None:
    """The image of `{image: redis, tag: 7}`, or of `{registry: …, repository: redis, tag: 7, digest: …}`."""
    name = _name_key(key, entries)
    text = _string(entries, name)
    if not text:
        return None
    registry, digest = _text(entries, "registry"), _text(entries, "digest")
    if not _has_version(text):
        tag = _tag(entries) or (app_version if name != "image" and not digest else "")
        text += f":{tag}" if tag else ""
        text += f"@{digest}" if digest else ""
    return Written(text=f"{registry.rstrip('/')}/{text}" if registry else text, line=entries[name].line)


def _name_key(key: str, entries: _Entries) -> str:
    """The entry with the name of the image that a mapping under this key describes; "" if it describes none."""
    if _string(entries, "image"):
        return "image"
    return next((name for name in _name_keys(key, entries) if name in entries), "")


def _name_keys(key: str, entries: _Entries) -> tuple[str, ...]:
    has_version = not entries.keys().isdisjoint(("tag", "newTag", "digest"))
    if key.lower() == "image":
        return ("repository", "name", "reference")  # the last in a volume (Kubernetes, ImageVolumeSource)
    if key.lower().endswith("image"):
        return ("repository",)
    if _names_images(key) and has_version:
        return ("repository", "newName", "name")  # the last two in a kustomization
    return ("repository",) if has_version and "://" not in _string(entries, "repository") else ()


def _tag(entries: _Entries) -> str:
    """The tag beside an image's name: itself, or a setting's value with the default that is given with it."""
    variable, default = _text(entries, "version_env"), _text(entries, "default_version")
    if variable:
        default = f"${{{variable}:-{default}}}" if default else f"${{{variable}}}"
    return next((text for name in _VERSIONS if (text := _text(entries, name))), default)


def _versions(entries: _Entries) -> Iterator[Written]:
    """The images of a document that is nothing but a list of `NAME: VERSION` or `NAME: IMAGE`; none of any other."""
    texts = {name: _text(entries, name) for name in entries}
    if _name_key("", entries) or not all(_REPOSITORY.fullmatch(name) and text for name, text in texts.items()):
        return
    for name, text in texts.items():
        yield Written(text=text if {":", "/"} & set(text) else f"{name}:{text}", line=entries[name].line)


def _names_images(key: str) -> bool:
    return key.lower().endswith("images")


def _has_version(text: str) -> bool:
    last = without_placeholders(text).rpartition("/")[2]
    return ":" in last or "@" in last


def _strings(node: SequenceNode) -> Iterator[ScalarNode]:
    return (item for item in node.value if isinstance(item, ScalarNode) and item.tag == _STRING and item.value)


def _string(entries: _Entries, name: str) -> str:
    """The entry's text; "" if it is no string, as in `image: true`."""
    return _text(entries, name) if name in entries and entries[name].node.tag == _STRING else ""


def _text(entries: _Entries, name: str) -> str:
    """The entry's text as it is written; "" if it is not a text or a number."""
    field = entries.get(name)
    return (yaml_nodes.text_of(field.node) or "").strip() if field and field.node.tag not in _NO_TEXT else ""
