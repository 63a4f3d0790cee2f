"""Helpers that scripts of TFOD's users import to make their own tf.Examples."""

import tensorflow as tf


def int64_feature(value):
    """A feature of one whole number."""
    return int64_list_feature([value])


def int64_list_feature(value):
    """A feature of whole numbers."""
    return tf.train.Feature(int64_list=tf.train.Int64List(value=value))


def bytes_feature(value):
    """A feature of one byte string."""
    return bytes_list_feature([value])


def bytes_list_feature(value):
    """A feature of byte strings."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=value))


def float_feature(value):
    """A feature of one number."""
    return float_list_feature([value])


def float_list_feature(value):
    """A feature of numbers."""
    return tf.train.Feature(float_list=tf.train.FloatList(value=value))


def read_examples_list(path):
    """The first word of each line of a file: the image names in PASCAL VOC's lists.

    Args:
        path: a file of lines such as `2008_000008 1`.
    """
    with tf.io.gfile.GFile(path) as lines:
        return [line.split()[0] for line in lines if line.strip()]


def recursive_parse_xml_to_dict(xml):
    """An XML element as nested dicts, as PASCAL VOC's annotations are read.

    Args:
        xml: an element of lxml or of `xml.etree`.

    Returns:
        {tag: text} of an element without children, else {tag: {tag of each child: its value}};
        `object` children become one list.
    """
    if not len(xml):
        return {xml.tag: xml.text}
    result = {}
    for child in xml:
        value = recursive_parse_xml_to_dict(child)[child.tag]
        if child.tag == "object":
            result.setdefault("object", []).append(value)
        else:
            result[child.tag] = value
    return {xml.tag: result}
