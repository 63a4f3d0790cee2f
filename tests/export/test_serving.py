"""The SavedModels: their doors, and that they stand alone."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from fake_detector import BrightRectangle, bright_rectangle
from pycocotools import mask as rle_codec

from object_detection.export import batching, serving
from object_detection.ops import image as resizers
from object_detection.ops import masks

TWICE = resizers.KeepAspectRatio(min_dimension=40, max_dimension=200)


def picture(height=20, width=30, box=(5, 6, 15, 21)):
    """Black with a white rectangle."""
    image = np.zeros([height, width, 3], np.uint8)
    image[box[0] : box[2], box[1] : box[3]] = 255
    return image


def module_of(input_type, resize=TWICE, **options):
    return serving.module_for(input_type)(bright_rectangle(), resize, **options)


def example(encoded):
    value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
    features = tf.train.Features(feature={"image/encoded": value})
    return tf.train.Example(features=features).SerializeToString()


def png(image):
    return tf.io.encode_png(image).numpy()


def inputs_of(input_type, images):
    if input_type == "image_tensor":
        return tf.constant(np.stack(images))
    if input_type == "float_image_tensor":
        return tf.constant(np.stack(images).astype(np.float32))
    encoded = [png(image) for image in images]
    return tf.constant([example(e) for e in encoded] if input_type == "tf_example" else encoded)


@pytest.mark.parametrize("input_type", serving.INPUT_TYPES)
def test_every_kind_of_input_gives_the_same_outputs_before_and_after_saving(input_type, tmp_path):
    module = module_of(input_type)
    batch = inputs_of(input_type, [picture(), picture(box=(0, 0, 10, 15))])
    serving.save(module, tmp_path / "model")

    loaded = tf.saved_model.load(str(tmp_path / "model"))
    signature = loaded.signatures["serving_default"]
    answers = [module(batch), loaded(batch), signature(input_tensor=batch)]

    for outputs in answers:
        # The resizer doubles the image; a rectangle grown by interpolation keeps its place to
        # about a pixel of 40 and 60.
        box = outputs["detection_boxes"].numpy()
        np.testing.assert_allclose(box[0, 0], [0.25, 0.2, 0.75, 0.7], atol=0.03)
        np.testing.assert_allclose(box[1, 0], [0, 0, 0.5, 0.5], atol=0.03)
        assert outputs["detection_classes"].numpy().tolist() == [[2, 1]] * 2  # 1 in padding
        assert outputs["detection_scores"].numpy().tolist() == [[0.75, 0]] * 2
        assert outputs["num_detections"].numpy().tolist() == [1, 1]
        assert outputs["detection_masks"].shape == [2, 2, 8, 8]
        assert {value.dtype for value in outputs.values()} == {tf.float32}


@pytest.mark.parametrize(
    ("input_type", "shape", "dtype"),
    [
        ("image_tensor", [None, None, None, 3], tf.uint8),
        ("float_image_tensor", [None, None, None, 3], tf.float32),
        ("encoded_image_string_tensor", [None], tf.string),
        ("tf_example", [None], tf.string),
    ],
)
def test_signatures_of_the_contract(input_type, shape, dtype, tmp_path):
    serving.save(module_of(input_type), tmp_path / "model")
    signature = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]

    ((name, spec),) = signature.structured_input_signature[1].items()
    assert name == "input_tensor"
    assert spec.shape.as_list() == shape and spec.dtype == dtype


@pytest.mark.parametrize("input_type", ["encoded_image_string_tensor", "tf_example"])
def test_image_files_of_different_size_make_one_batch(input_type):
    wide, tall = picture(), picture(30, 20, (6, 5, 21, 15))
    outputs = module_of(input_type)(inputs_of(input_type, [wide, tall]))
    alone = [module_of(input_type)(inputs_of(input_type, [image])) for image in (wide, tall)]

    for k, single in enumerate(alone):
        for name, value in single.items():
            np.testing.assert_array_equal(outputs[name][k], value[0], err_msg=name)


def test_padding_of_the_resizer_does_not_count_as_image():
    square = resizers.KeepAspectRatio(40, 60, pad_to_max_dimension=True, pad_value=(9.0, 9.0, 9.0))
    outputs = module_of("image_tensor", square)(inputs_of("image_tensor", [picture()]))

    # 20 x 30 becomes 40 x 60 in 60 x 60: normalized by the 40 rows of the image.
    np.testing.assert_allclose(outputs["detection_boxes"][0, 0], [0.25, 0.2, 0.75, 0.7], atol=0.03)


def test_formats_and_channels_of_image_files():
    grey = picture()[..., :1]
    files = [
        tf.io.encode_png(grey).numpy(),
        tf.io.encode_png(np.concatenate([picture(), np.full_like(grey, 7)], -1)).numpy(),
        tf.io.encode_png(grey.astype(np.uint16) * 257).numpy(),
        tf.io.encode_jpeg(picture(), quality=100).numpy(),
    ]
    outputs = module_of("encoded_image_string_tensor")(tf.constant(files))

    for box in outputs["detection_boxes"][:, 0]:
        np.testing.assert_allclose(box, [0.25, 0.2, 0.75, 0.7], atol=0.03)


def test_a_process_without_this_package_and_without_keras_can_load_it(tmp_path):
    label_map = tmp_path / "label_map.pbtxt"
    label_map.write_text("item { id: 2 name: 'bright' }\n")
    serving.save(module_of("image_tensor", label_map=label_map), tmp_path / "model")
    label_map.unlink()
    program = f"""
import sys
for name in ("object_detection", "keras"):
    sys.modules[name] = None  # any import of it fails
import tensorflow as tf
model = tf.saved_model.load({str(tmp_path / "model")!r})
image = tf.zeros([1, 20, 30, 3], tf.uint8)
print(model(image)["detection_scores"].numpy().tolist())
print(float(model.signatures["serving_default"](input_tensor=image)["num_detections"][0]))
print(open(model.label_map.asset_path.numpy().decode()).read())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "[[0.75,", "0.0]]", "1.0", "item", "{", "id:", "2", "name:", "'bright'", "}",
    ]  # fmt: skip


def test_weights_in_the_model_follow_the_network(tmp_path):
    network = bright_rectangle()
    network.blocks[0].kernel.assign([[0.5]])
    serving.save(serving.module_for("image_tensor")(network, TWICE), tmp_path / "model")

    outputs = tf.saved_model.load(str(tmp_path / "model"))(inputs_of("image_tensor", [picture()]))
    assert outputs["detection_scores"][0, 0] == 0.5


@pytest.mark.parametrize(
    ("input_type", "message"),
    [
        ("image", "input_type is 'image'; supported: image_tensor, float_image_tensor"),
        ("image_and_boxes_tensor", "DeepMAC"),
    ],
)
def test_other_kinds_of_input_are_refused(input_type, message):
    with pytest.raises(ValueError, match=message):
        serving.module_for(input_type)


@pytest.mark.parametrize("input_type", ["image_tensor", "encoded_image_string_tensor"])
def test_a_batch_without_images_is_reported(input_type):
    empty = (
        np.zeros([0, 4, 4, 3], np.uint8)
        if input_type == "image_tensor"
        else tf.zeros([0], "string")
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="holds no image"):
        module_of(input_type)(empty)


@pytest.mark.parametrize("input_type", ["image_tensor", "tf_example"])
@pytest.mark.parametrize("form", ["image", "rle"])
def test_masks_of_whole_images_stand_beside_the_default_signature(input_type, form, tmp_path):
    images = [picture(), picture(box=(0, 0, 10, 15))]
    if input_type == "tf_example":
        images[1] = picture(30, 20, (6, 5, 21, 15))
    module = module_of(input_type, mask_format=form)
    serving.save(module, tmp_path / "model")
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    assert set(loaded.signatures) == {"serving_default", serving.MASK_SIGNATURES[form]}
    default = loaded.signatures["serving_default"](inputs_of(input_type, images))
    outputs = loaded.signatures[serving.MASK_SIGNATURES[form]](inputs_of(input_type, images))
    outputs = {name: value.numpy() for name, value in outputs.items()}

    assert "detection_masks" in default and default["num_detections"].dtype == tf.float32
    assert outputs["num_detections"].dtype == outputs["detection_classes"].dtype == np.int32
    np.testing.assert_array_equal(outputs["detection_boxes"], default["detection_boxes"])
    for k, image in enumerate(images):
        size = list(image.shape[:2])
        assert outputs["image_size"][k].tolist() == size
        box, mask = default["detection_boxes"][k, :1], default["detection_masks"][k, :1]
        wanted = masks.paste(mask, box, *size).numpy()[0] > 0.5
        if form == "rle":
            first, second = outputs["detection_masks_rle"][k]
            assert second == b""
            got = rle_codec.decode({"size": size, "counts": first})
        else:
            first, second = outputs["detection_masks_reframed"][k]
            assert not second.any() and not first[size[0] :].any() and not first[:, size[1] :].any()
            got = first[: size[0], : size[1]]
        np.testing.assert_array_equal(got, wanted)
        assert got.any()


@pytest.mark.parametrize("form", ["image", "rle"])
def test_masks_of_images_without_a_detection(form):
    nothing = {
        "num_detections": tf.zeros([2]),
        "detection_boxes": tf.zeros([2, 3, 4]),
        "detection_scores": tf.zeros([2, 3]),
        "detection_classes": tf.ones([2, 3]),
        "detection_masks": tf.zeros([2, 3, 8, 8]),
    }
    sizes = tf.constant([[4, 6], [5, 3]])
    outputs = tf.function(lambda: serving.compact_outputs(nothing, sizes, form))()
    if form == "rle":
        assert outputs["detection_masks_rle"].numpy().tolist() == [[b""] * 3] * 2
    else:
        assert outputs["detection_masks_reframed"].shape == [2, 3, 5, 6]


def test_only_variables_that_are_read_are_saved(tmp_path):
    network = BrightRectangle()
    network.unread = keras.layers.Dense(3, name="unread")
    network.unread.build((None, 1))
    network.build()
    assert len(network.variables) == 3
    serving.save(serving.FromImages(batching.Detector(network), TWICE), tmp_path / "model")
    saved = tf.train.load_checkpoint(str(tmp_path / "model" / "variables" / "variables"))
    shapes = saved.get_variable_to_shape_map()
    assert [shape for name, shape in shapes.items() if "weights" in name] == [[1, 1]]
