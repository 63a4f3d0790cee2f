"""Supervisely's projects and JSON configs, unchanged: trained, applied, served.

    python -m object_detection.front_doors.supervisely train --config=train_config.json \
        --project=project --model=BASE --output=results
    python -m object_detection.front_doors.supervisely infer --config=inference_config.json \
        --project=project --model=results/00000000 --output=found
    python -m object_detection.front_doors.supervisely deploy --config=inference_config.json \
        --model=results/00000000
"""
