"""The tour's numbers: `Inside` -> what json can hold."""

import numpy as np

from object_detection.tour import inside as inside_module

SQUARES = (32, 112, 224, 448)  # pixels, worked out by equation 1 of the FPN paper
SURE = 0.5


def of(inside, names, network, *, image="", weights=""):
    """{section: {what: number}}.

    Args:
        inside: `Inside`.
        names: {class: name}.
        network: that it was looked into.
        image: name of the photograph's file.
        weights: where the weights are from, a few words.
    """
    return {
        "photograph": {
            "file": image,
            "size": list(inside.source_shape),
            "resized": list(inside.image.shape[:2]),
            "objects": [names.get(int(label), str(label)) for label in inside.truth[1]],
        },
        "model": {
            "weights": weights,
            "parameters": int(sum(np.prod(v.shape) for v in network.trainable_variables)),
        },
        "stages": {f"C{stage}": list(x.shape) for stage, x in inside.stages.items()},
        "levels": {f"P{level}": list(x.shape) for level, x in inside.levels.items()},
        "anchors": _anchors(inside),
        "scores": _scores(inside),
        "best_anchor": _best_anchor(inside),
        "proposals": _proposals(inside, network),
        "level_assignment": {
            "proposals": {
                f"P{level}": int(np.sum(inside.proposed.kept_levels == level))
                for level in inside.levels
            },
            "squares": {str(side): inside_module.paper_level(side) for side in SQUARES},
            "paper_rule": bool(network.roi_stage.cropper.settings.paper_levels),
        },
        "roi_align": {
            "box": _rounded(inside.crops.box),
            "level": f"P{inside.crops.level}",
            "crop": list(inside.crops.features.shape),
        },
        "detections": _detections(inside, names),
        "mask_branch": {
            "spatial": bool(network.mask_stage.settings.spatial),
            "crop": network.mask_stage.settings.crop_size,
        },
        "losses": None if inside.trained is None else inside.trained.losses,
        "rois": None if inside.trained is None else _rois(inside.trained),
    }


def _rounded(values, digits=1):
    return [round(float(value), digits) for value in values]


def _anchors(inside):
    per_cell = zip(inside.levels, inside.anchors_per_cell, strict=True)
    return {
        "per_cell": {f"P{level}": each for level, each in per_cell},
        "per_level": {f"P{level}": count for level, count in inside.counts.items()},
        "total": len(inside.proposed.anchors),
    }


def _scores(inside):
    return {
        f"P{level}": {
            "best": round(float(values.max()), 4),
            "above_half": int(np.sum(values > 0.5)),
        }
        for level, values in inside.of_level(inside.proposed.scores).items()
    }


def _best_anchor(inside):
    proposed = inside.proposed
    best = int(np.argmax(proposed.scores))
    levels = np.repeat(list(inside.counts), list(inside.counts.values()))
    return {
        "level": f"P{levels[best]}",
        "score": round(float(proposed.scores[best]), 4),
        "anchor": _rounded(proposed.anchors[best]),
        "deltas": _rounded(proposed.deltas[best], 3),
        "moved": _rounded(proposed.boxes[best]),
    }


def _proposals(inside, network):
    proposed, settings = inside.proposed, network.rpn.settings
    return {
        "before": len(proposed.boxes),
        "after": len(proposed.kept),
        "sure_before": int(np.sum(proposed.scores > SURE)),
        "sure_after": int(np.sum(proposed.kept_scores > SURE)),
        "nms_iou": round(float(settings.nms_iou_threshold), 3),
        "at_most": settings.max_proposals,
    }


def _detections(inside, names):
    found = inside.found
    sure = np.flatnonzero(found.scores >= SURE)
    objects = [
        {
            "name": names.get(int(found.classes[k]), str(found.classes[k])),
            "score": round(float(found.scores[k]), 4),
            "box": _rounded(found.boxes[k]),
            "from": _rounded(inside.proposed.kept[found.proposal[k]]),
        }
        for k in sure
    ]
    return {
        "all": len(found.scores),
        "mask": list(found.masks.shape[1:]),
        "pairs": int(found.probabilities.shape[0] * (found.probabilities.shape[1] - 1)),
        "objects": objects,
    }


def _rois(trained):
    return {
        "sampled": len(trained.classes),
        "with_object": int(np.sum(trained.classes > 0)),
    }
