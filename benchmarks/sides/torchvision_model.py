"""torchvision's side of a comparison; `benchmarks/compare.py` runs it with a Python that has it.

    python torchvision_model.py infer HEIGHT WIDTH
    python torchvision_model.py train HEIGHT WIDTH BATCH

Masks are left as they are in their boxes: pasting them into the image, which torchvision does by
itself, is taken out, for the others do not do it. A module that TORCHVISION_FIRST names is imported
before torchvision, for builds that need help to load.
"""

import importlib
import os
import sys

import models
import torch
import worker

if os.environ.get("TORCHVISION_FIRST"):
    importlib.import_module(os.environ["TORCHVISION_FIRST"])

import torchvision
from torchvision.models.detection import transform


def network_of(height, width, **options):
    """Mask R-CNN on ResNet-50 with a pyramid, random weights."""
    torch.manual_seed(0)
    return torchvision.models.detection.maskrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        min_size=min(height, width),
        max_size=max(height, width),
        **options,
    )


def infer(height, width):
    """Runs the network on one image; every image has its 100 detections."""
    transform.paste_masks_in_image = lambda masks, boxes, shape: masks
    network = network_of(height, width, box_score_thresh=-1.0).eval()
    image = torch.from_numpy(models.image(height, width)[0]).permute(2, 0, 1) / 255.0

    def run():
        with torch.inference_mode():
            found = network([image])[0]
        if len(found["boxes"]) != 100:
            raise RuntimeError(f"{len(found['boxes'])} detections; 100 were to be computed")

    worker.serve(run)


def train(height, width, batch):
    """Takes training steps with SGD; norms are frozen, and the stem and first stage too."""
    network = network_of(height, width, trainable_backbone_layers=3).train()
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(weights, 1e-4, momentum=0.9)
    boxes, classes, masks = models.objects(height, width)
    image = torch.from_numpy(models.image(height, width)[0]).permute(2, 0, 1) / 255.0
    truth = {
        "boxes": torch.from_numpy(boxes[:, [1, 0, 3, 2]].copy()),
        "labels": torch.from_numpy(classes),
        "masks": torch.from_numpy(masks),
    }

    def step():
        optimizer.zero_grad(set_to_none=True)
        sum(network([image] * batch, [truth] * batch).values()).backward()
        optimizer.step()

    worker.serve(step)


if __name__ == "__main__":
    {"infer": infer, "train": train}[sys.argv[1]](*map(int, sys.argv[2:]))
