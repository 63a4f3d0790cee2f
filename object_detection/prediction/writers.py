"""Predictions of many images as files: pictures, JSON, COCO results, labelme, CSV, Supervisely.

A writer gets image after image with `add` and ends with `close`.
"""

import base64
import csv
import io
import json
import os
import shutil
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from object_detection import atomic
from object_detection.prediction import heat_maps, results
from object_detection.structures import coco_json, drawing
from object_detection.structures.run_lengths import whole_number
from object_detection.utils import visualization_utils


class Pictures:
    """Writer of NAME.png: the image with its detections drawn over it."""

    def __init__(self, folder, category_index):
        self._folder, self._index = Path(folder), category_index

    def add(self, name, file, image, prediction):
        """Write one picture."""
        del file
        picture = results.draw(image, prediction, self._index)
        visualization_utils.save_image_array_as_png(picture, self._folder / f"{name}.png")

    def close(self):
        """Do nothing: every file is complete."""


class HeatMaps:
    """Writer of NAME.heat.png: heat maps of the `per_dim` x `per_dim` best objects."""

    def __init__(self, folder, per_dim=2):
        self._folder, self._per_dim = Path(folder), per_dim

    def add(self, name, file, image, prediction):
        """Write one picture; raises ValueError for a model without masks."""
        del file
        picture = heat_maps.montage(image, prediction, self._per_dim)
        visualization_utils.save_image_array_as_png(picture, self._folder / f"{name}.heat.png")

    def close(self):
        """Do nothing: every file is complete."""


class Json:
    """Writer of NAME.json; see `results.to_json`."""

    def __init__(self, folder, masks="rle", tolerance=0.0):
        self._folder, self._masks, self._tolerance = Path(folder), masks, tolerance

    def add(self, name, file, image, prediction):
        """Write one file."""
        del image
        entry = results.to_json(prediction, file, self._masks, self._tolerance)
        _write_json(self._folder / f"{name}.json", entry)

    def close(self):
        """Do nothing: every file is complete."""


class Coco:
    """Writer of coco_results.json, one list for all images, for `loadRes` and `evaluate`.

    Args:
        folder: Output folder.
        truth: Content of the COCO json whose image and category ids are used. None: the id of an
            image is its file name without ending (as a number if it is one), that of a category its
            id in the label map.
    """

    def __init__(self, folder, truth=None):
        self._path, self._entries, self._names = Path(folder) / "coco_results.json", [], {}
        self._images = self._categories = None
        if truth is not None:
            self._images = {}
            for image in filter(_has_id, truth.get("images", ())):
                if isinstance(image.get("file_name"), str):
                    self._images[image["file_name"]] = image["id"]
                    self._images.setdefault(Path(image["file_name"]).name, image["id"])
            self._categories = {
                str(category.get("name")).strip(): whole_number(category["id"])
                for category in filter(_has_id, truth.get("categories", ()))
                if whole_number(category["id"]) is not None
            }

    def add(self, name, file, image, prediction):
        """Add one image; raises ValueError if the COCO json lacks it or a class."""
        del name, image
        image_id, ids = Path(file).stem, None
        if self._images is not None:
            image_id = self._image_id(Path(file))
            ids = {}
            for number, title in zip(prediction.classes.tolist(), prediction.names, strict=True):
                if title not in self._categories:
                    known = ", ".join(map(repr, self._categories))
                    raise ValueError(f"the COCO json has no category {title!r}; it has {known}")
                ids[number] = self._categories[title]
        elif self._names.setdefault(image_id, file) != file:
            raise ValueError(
                f"{file} and {self._names[image_id]} would both be image {image_id!r} of the COCO "
                "results; give the json that numbers the images (--coco_json)"
            )
        elif image_id.isdecimal():  # 000000000139.jpg is image 139 of COCO
            image_id = int(image_id)
        self._entries += results.coco_entries(prediction, image_id, ids)

    def _image_id(self, file):
        for depth in range(len(file.parts), 0, -1):  # the longest known end of the path
            image_id = self._images.get("/".join(file.parts[-depth:]))
            if image_id is not None:
                return image_id
        raise ValueError(f"the COCO json has no image {file.name!r}")

    def close(self):
        """Write the file."""
        lines = ",\n".join(json.dumps(entry) for entry in self._entries)
        atomic.write_text(self._path, f"[\n{lines}\n]\n" if lines else "[]\n")


def _has_id(entry):
    """Return whether an entry of a COCO json has a valid id."""
    return isinstance(entry, dict) and coco_json.id_text(entry.get("id")) is not None


class Labelme:
    """Writer of labelme/NAME.json: polygons to edit in the labelme program.

    Parts of one object share a `group_id`. An object with holes, which labelme's polygons cannot
    have, is a shape of type `mask`; an object without a mask is a rectangle.
    """

    def __init__(self, folder, tolerance=0.5):
        self._folder, self._tolerance = Path(folder) / "labelme", tolerance
        self._folder.mkdir(parents=True, exist_ok=True)

    def add(self, name, file, image, prediction):
        """Write one file."""
        shapes = []
        for k in range(len(prediction)):
            common = {
                "label": prediction.names[k],
                "description": "",
                "score": round(float(prediction.scores[k]), 4),
                "flags": {},
            }
            figures = self._figures(prediction, k)
            group = k if len(figures) > 1 else None
            shapes += [{**common, "group_id": group, **figure} for figure in figures]
        path = os.path.relpath(Path(file).resolve(), self._folder.resolve())
        content = {
            "version": "5.4.0",
            "flags": {},
            "shapes": shapes,
            "imagePath": path.replace(os.sep, "/"),
            "imageData": None,
            "imageHeight": image.shape[0],
            "imageWidth": image.shape[1],
        }
        _write_json(self._folder / f"{name}.json", content)

    def _figures(self, prediction, k):
        if not prediction.has_masks:
            ymin, xmin, ymax, xmax = (round(float(v), 2) for v in prediction.boxes[k])
            return [{"points": [[xmin, ymin], [xmax, ymax]], "shape_type": "rectangle"}]
        parts = prediction.outlines(k, self._tolerance)
        if any(part.holes for part in parts):
            crop = prediction.crop(k).tight()
            rows, columns = crop.window
            corners = [[columns.start, rows.start], [columns.stop - 1, rows.stop - 1]]
            encoded = base64.b64encode(_png(crop.pixels)).decode("ascii")
            return [{"points": corners, "shape_type": "mask", "mask": encoded}]
        return [
            {"points": np.round(part.exterior, 2).tolist(), "shape_type": "polygon"}
            for part in parts
        ]

    def close(self):
        """Do nothing: every file is complete."""


class Csv:
    """Writer of detections.csv: a row for each object, in pixels, with COCO polygons."""

    COLUMNS = "filename,xmin,ymin,xmax,ymax,segmentation,class,confidence".split(",")

    def __init__(self, folder, tolerance=0.5):
        self._path, self._tolerance = Path(folder) / "detections.csv", tolerance
        self._text = io.StringIO(newline="")  # written at once by `close`
        self._rows = csv.writer(self._text)
        self._rows.writerow(self.COLUMNS)

    def add(self, name, file, image, prediction):
        """Add the rows of one image; one row without a class if it has no detections."""
        del name, image
        polygons = prediction.polygons(self._tolerance)
        for k, (ymin, xmin, ymax, xmax) in enumerate(prediction.boxes.tolist()):
            box = [round(v, 2) for v in (xmin, ymin, xmax, ymax)]
            outline = "" if polygons is None else json.dumps(polygons[k])
            score = round(float(prediction.scores[k]), 4)
            self._rows.writerow([str(file), *box, outline, prediction.names[k], score])
        if not len(prediction):
            self._rows.writerow([str(file), *[""] * 7])

    def close(self):
        """Write the file."""
        atomic.write_bytes(self._path, self._text.getvalue().encode())


class Supervisely:
    """Writer of supervisely/: a project for Supervisely, with bitmaps (rectangles without masks).

    Each object has the tag `confidence`. Images are copied; images with an EXIF orientation are
    written upright, because Supervisely uses the pixels as stored.
    """

    DATASET = "predictions"

    def __init__(self, folder, categories):
        self._project = Path(folder) / "supervisely"
        self._images, self._annotations = (
            self._project / self.DATASET / part for part in ("img", "ann")
        )
        for part in (self._images, self._annotations):
            part.mkdir(parents=True, exist_ok=True)
        self._classes = dict.fromkeys(categories, "bitmap")

    def add(self, name, file, image, prediction):
        """Write the annotation and the image."""
        self._classes.update(dict.fromkeys(prediction.names, "bitmap"))
        if not prediction.has_masks:
            self._classes = dict.fromkeys(self._classes, "rectangle")
        stored = Path(file)
        title = name if name.lower().endswith(stored.suffix.lower()) else name + stored.suffix
        if _is_turned(stored):
            title = Path(title).stem + ".png"
            visualization_utils.save_image_array_as_png(image, self._images / title)
        else:
            shutil.copyfile(stored, self._images / title)
        objects = [supervisely_object(prediction, k) for k in range(len(prediction))]
        size = {"height": image.shape[0], "width": image.shape[1]}
        content = {"description": "", "size": size, "tags": [], "objects": objects}
        _write_json(self._annotations / f"{title}.json", content)

    def close(self):
        """Write meta.json."""
        classes = [
            {"title": title, "shape": shape, "color": drawing.color_of(k)}
            for k, (title, shape) in enumerate(self._classes.items())
        ]
        tag = {"name": "confidence", "value_type": "any_number", "color": "#ffca28"}
        meta = {"classes": classes, "tags": [tag], "projectType": "images"}
        _write_json(self._project / "meta.json", meta)


def supervisely_object(prediction, k):
    """Return object `k` of a prediction in the form of Supervisely's annotations."""
    tags = [{"name": "confidence", "value": round(float(prediction.scores[k]), 4)}]
    crop = prediction.crop(k)
    if crop is not None and crop.pixels.any():
        crop = crop.tight()
        figure = bitmap_object(prediction.names[k], crop.pixels, crop.top, crop.left)
        return {**figure, "tags": tags}
    limits = np.array([prediction.height, prediction.width] * 2)
    top, left, bottom, right = np.clip(np.rint(prediction.boxes[k]), 0, limits).astype(int).tolist()
    return {**rectangle_object(prediction.names[k], top, left, bottom, right), "tags": tags}


def bitmap_object(title, pixels, top, left):
    """Return a mask as an object of Supervisely's annotations, without tags.

    Args:
        title: Name of its class.
        pixels: [h, w], nonzero = object; the first pixel is at (top, left) of the image.
    """
    encoded = base64.b64encode(zlib.compress(_png(pixels != 0))).decode("ascii")
    bitmap = {"data": encoded, "origin": [int(left), int(top)]}
    return {"classTitle": title, "description": "", "geometryType": "bitmap", "bitmap": bitmap}


def rectangle_object(title, top, left, bottom, right):
    """Return a box of whole pixels, end exclusive, as a Supervisely object, without tags."""
    # Its rectangles end with their last pixel.
    corners = [[left, top], [max(left, right - 1), max(top, bottom - 1)]]
    points = {"exterior": corners, "interior": []}
    return {
        "classTitle": title,
        "description": "",
        "geometryType": "rectangle",
        "points": points,
    }


def _png(mask):
    """Return a mask as a PNG of two colors, the first one transparent."""
    picture = Image.fromarray(mask.astype(np.uint8)).convert("P")
    picture.putpalette([0, 0, 0, 255, 255, 255])
    with io.BytesIO() as file:
        picture.save(file, "PNG", transparency=0, bits=1)
        return file.getvalue()


def _is_turned(file):
    with Image.open(file) as image:
        return image.getexif().get(0x0112, 1) != 1


def _write_json(path, content):
    atomic.write_text(path, json.dumps(content, ensure_ascii=False) + "\n")
