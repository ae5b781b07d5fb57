"""The mark of images that AI made, as XMP metadata for the files that Easel makes itself.

It has IPTC's digital source type, so that search engines, networks and other programs can tell what
the image is: https://cv.iptc.org/newscodes/digitalsourcetype/
"""

from dataclasses import dataclass
from xml.etree import ElementTree as ET

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
AI_MADE = SOURCE_TYPES + "trainedAlgorithmicMedia"
# A part of somebody's own picture is kept, and AI fills in the rest.
PARTLY_AI_MADE = SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"
NAMESPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "stRef": "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
}
XML_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
# The frame of a packet, from part 1 of the XMP specification, which readers search for.
BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'.encode()
END = b'\n<?xpacket end="r"?>'
for _prefix, _address in NAMESPACES.items():
    ET.register_namespace(_prefix, _address)


@dataclass(frozen=True, kw_only=True)
class AiMark:
    """What a file says about the image that it was made from."""

    source_type: str
    title: str
    alt_text: str
    image_id: str
    sha256: str

    def to_xmp(self) -> bytes:
        """Return the XMP packet."""
        root = ET.Element(_name("x", "xmpmeta"))
        rdf = ET.SubElement(root, _name("rdf", "RDF"))
        about = ET.SubElement(rdf, _name("rdf", "Description"), {_name("rdf", "about"): ""})
        source = ET.SubElement(about, _name("Iptc4xmpExt", "DigitalSourceType"))
        source.text = self.source_type
        _add_text(about, _name("dc", "title"), self.title)
        _add_text(about, _name("Iptc4xmpCore", "AltTextAccessibility"), self.alt_text)
        parse_type = {_name("rdf", "parseType"): "Resource"}
        original = ET.SubElement(about, _name("xmpMM", "DerivedFrom"), parse_type)
        ET.SubElement(original, _name("stRef", "documentID")).text = f"easel:{self.image_id}"
        ET.SubElement(original, _name("stRef", "instanceID")).text = f"sha256:{self.sha256}"
        packet: bytes = ET.tostring(root, encoding="utf-8")
        return BEGIN + packet + END


def _name(prefix: str, name: str) -> str:
    return f"{{{NAMESPACES[prefix]}}}{name}"


def _add_text(parent: ET.Element, name: str, text: str) -> None:
    """Add a text in the language x-default, which means that its language is not known."""
    choices = ET.SubElement(ET.SubElement(parent, name), _name("rdf", "Alt"))
    item = ET.SubElement(choices, _name("rdf", "li"), {XML_LANGUAGE: "x-default"})
    item.text = "".join(c for c in text if _is_xml(c))


def _is_xml(c: str) -> bool:
    """Return whether XML 1.0 allows a character."""
    return c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
