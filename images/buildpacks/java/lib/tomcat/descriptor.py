"""Prints the descriptor of the app's context: its META-INF/context.xml, if any, with the place of the app. usage: descriptor.py FOLDER PLACE"""

import sys
import xml.etree.ElementTree as xml
from pathlib import Path

folder, place = sys.argv[1:]
own = Path(folder, "META-INF/context.xml")
context = xml.parse(own).getroot() if own.is_file() else xml.Element("Context")
if context.tag != "Context":
    sys.exit("its root is not Context")
context.attrib.pop("path", None)
context.set("docBase", place)
context.set("reloadable", "false")
sys.stdout.buffer.write(xml.tostring(context, encoding="utf-8", xml_declaration=True))
